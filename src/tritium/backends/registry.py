"""Backends by name: the built-in ones, and those of other packages (entry points ``tritium.backends``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

from tritium.backends.api import Backend
from tritium.backends.oneflow_engines import oneflow_backend
from tritium.backends.oneflow_python import oneflow_python_backend
from tritium.backends.onnxruntime import OnnxRuntimeBackend
from tritium.backends.python import python_backend
from tritium.errors import InvalidArgumentError

ENTRY_POINT_GROUP = "tritium.backends"

Settings = Mapping[str, str]  # of one backend: key and value of each --backend-config

_BUILT_IN: Mapping[str, Callable[[Settings], Backend]] = {
    "oneflow": oneflow_backend,
    "oneflow_python": oneflow_python_backend,
    "onnxruntime": lambda settings: OnnxRuntimeBackend(),
    "python": python_backend,
}


def backend_named(name: str, settings: Settings = MappingProxyType({})) -> Backend:
    """The backend that ``backend: "<name>"`` means.

    Raises:
        InvalidArgumentError: there is none; the text lists those that are.
    """
    built_in = _BUILT_IN.get(name)
    if built_in is not None:
        return built_in(settings)
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        made: Backend = entry.load()()
        return made
    raise InvalidArgumentError(
        f"unable to find backend library for backend '{name}', try specifying runtime on the model "
        f"configuration. Backends of this server: {', '.join(sorted(_BUILT_IN))}"
    )
