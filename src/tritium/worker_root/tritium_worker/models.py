"""Model control from within a model: Triton's ``load_model``, ``unload_model`` and ``is_model_ready``."""

from __future__ import annotations

import base64
from typing import Dict, Optional

from tritium_worker.process import PROCESS
from tritium_worker.text import text


def load_model(model_name: str, config: str = "", files: Optional[Dict[str, bytes]] = None) -> None:
    """Load or reload a model; returns when it serves.

    Args:
        config: JSON that replaces the model's configuration.
        files: contents by ``file:<version>/<name>``, in place of the model's directory; needs ``config``.

    Raises:
        TritonModelException: it could not be loaded, or the server does not run in explicit control mode.
    """
    encoded = {name: base64.b64encode(data).decode("ascii") for name, data in (files or {}).items()}
    PROCESS.calls().ask(
        "load",
        model=text(model_name, "load_model(model_name)"),
        config=text(config, "load_model(config)"),
        files=encoded,
    )


def unload_model(model_name: str, unload_dependents: bool = False) -> None:
    """Begin to unload a model.

    Raises:
        TritonModelException: it could not be unloaded, or the server does not run in explicit control mode.
    """
    name = text(model_name, "unload_model(model_name)")
    PROCESS.calls().ask("unload", model=name, dependents=bool(unload_dependents))


def is_model_ready(model_name: str, model_version: str = "") -> bool:
    """Whether a model can run a request now.

    Args:
        model_version: a number; empty for the highest that is ready.
    """
    name = text(model_name, "is_model_ready(model_name)")
    version = text(model_version, "is_model_ready(model_version)")
    answer = PROCESS.calls().ask("ready", model=name, version=version)
    return bool(answer["ready"])
