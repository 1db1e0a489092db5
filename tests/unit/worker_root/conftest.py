"""Puts the worker's import root first on ``sys.path``, as the server does for a worker process."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WORKER_ROOT = Path(__file__).parents[3] / "src" / "tritium" / "worker_root"

if str(WORKER_ROOT) not in sys.path:
    sys.path.insert(0, str(WORKER_ROOT))


@pytest.fixture(autouse=True)
def _unchanged_process() -> Iterator[None]:
    """Take back what hosting a model does to the process: paths, modules, log sink, model directory."""
    from tritium_worker.process import PROCESS

    path, modules = list(sys.path), set(sys.modules)
    sink, version_dir = PROCESS.log_sink, PROCESS.version_dir
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.split(".")[0] in {"1", "2", "sibling", "model", "companion"}:
            del sys.modules[name]
    PROCESS.log_sink, PROCESS.version_dir = sink, version_dir


HostFactory = Callable[..., Any]


@pytest.fixture
def make_host(tmp_path: Path) -> HostFactory:
    """``make_host(source, **files)``: a ModelHost of model ``m`` version 1 whose model.py is ``source``."""
    from tritium_worker.model_host import ModelHost

    def make(source: str | None, files: dict[str, str] | None = None, filename: str = "model.py") -> Any:
        version_dir = tmp_path / "repo" / "m" / "1"
        version_dir.mkdir(parents=True)
        if source is not None:
            (version_dir / filename).write_text(textwrap.dedent(source))
        for name, text in (files or {}).items():
            (version_dir / name).parent.mkdir(parents=True, exist_ok=True)
            (version_dir / name).write_text(textwrap.dedent(text))
        return ModelHost(str(version_dir.parent), "1", filename, "m")

    return make
