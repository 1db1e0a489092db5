"""The python backend: ``model.py`` files with a TritonPythonModel, each instance in a worker process."""

from __future__ import annotations

import sys

from tritium.backends.api import WorkerBackend
from tritium.core.model_config import ModelConfig


def _command(config: ModelConfig) -> tuple[str, ...]:
    """The server's own interpreter: it has numpy, which is all that a worker needs."""
    return (sys.executable,)


PYTHON = WorkerBackend("python", _command)
