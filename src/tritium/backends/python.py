"""The python backend: ``model.py`` files with a TritonPythonModel, each instance in a worker process."""

from __future__ import annotations

from collections.abc import Mapping

from tritium.backends.api import WorkerBackend
from tritium.environments.python import PythonEnvironments


def python_backend(settings: Mapping[str, str]) -> WorkerBackend:
    """The backend; ``settings`` are those of ``PythonEnvironments``."""
    return WorkerBackend("python", PythonEnvironments(settings).interpreter)
