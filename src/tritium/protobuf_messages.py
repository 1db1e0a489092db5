"""Triton's protobuf messages, out of the installed package ``tritonclient``.

``import tritonclient.grpc`` would also import grpcio, which takes longer than all of tritium. So its two
message modules are imported below a package that is empty for the moment. protobuf keeps one pool of
descriptors per process, so a later ``import tritonclient.grpc`` gets the same classes.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_PACKAGE = "tritonclient.grpc"


def _load(name: str) -> ModuleType:
    known = sys.modules.get(f"{_PACKAGE}.{name}")
    if known is not None:
        return known
    found = importlib.util.find_spec("tritonclient")
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if not places:
        raise ImportError("tritium needs the package tritonclient: pip install 'tritonclient[grpc]'")
    directory = Path(places[0], "grpc")
    if not (directory / f"{name}.py").is_file():
        raise ImportError(f"the installed tritonclient has no grpc/{name}.py; install a newer one")
    if _PACKAGE in sys.modules:
        return importlib.import_module(f"{_PACKAGE}.{name}")
    empty = sys.modules[_PACKAGE] = ModuleType(_PACKAGE)
    empty.__path__ = [str(directory)]
    try:
        return importlib.import_module(f"{_PACKAGE}.{name}")
    finally:
        del sys.modules[_PACKAGE]


MODEL_CONFIG = _load("model_config_pb2")


def service_messages() -> ModuleType:
    """The messages of ``inference.GRPCInferenceService``."""
    return _load("service_pb2")
