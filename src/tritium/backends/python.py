"""The python backend: ``model.py`` files with a TritonPythonModel, each instance in a worker process.

A python-based backend is such a file that many models share: ``<backend directory>/<backend>/model.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tritium.backends.api import WorkerBackend
from tritium.environments.python import PythonEnvironments

_FILENAME = "model.py"
_BUILT_IN = "python"


def python_backend(settings: Mapping[str, str]) -> WorkerBackend:
    """The backend; ``settings`` are those of ``PythonEnvironments``."""
    return WorkerBackend(_BUILT_IN, PythonEnvironments(settings).interpreter)


def python_based_backend(name: str, directory: Path, settings: Mapping[str, str]) -> WorkerBackend | None:
    """The python-based backend ``name``, if ``directory`` has it.

    Args:
        settings: as for ``python_backend``.
    """
    if not name or name == _BUILT_IN or name.startswith(".") or Path(name).name != name or "\0" in name:
        return None
    script = directory.absolute() / name / _FILENAME
    if not script.is_file():
        return None
    return WorkerBackend(name, PythonEnvironments(settings).interpreter, script=script)
