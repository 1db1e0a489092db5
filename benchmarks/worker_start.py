"""How long a worker takes from nothing to a loaded model, without the server that is around it."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from benchmarks.servers import ServerFailedError
from tritium.environments.interpreter import Interpreter
from tritium.errors import TritiumError
from tritium.execution.launcher import Launcher
from tritium.execution.worker_plan import WorkerPlan
from tritium.execution.worker_talk import finalize, load_model, spawn


def seconds_to_loaded(repository: Path, name: str) -> float:
    """From the order to start a process to its word that ``model.py`` of ``name``, version 1, is loaded.

    Raises:
        ServerFailedError: it was not.
    """
    try:
        return asyncio.run(_start(repository / name, name))
    except TritiumError as error:
        raise ServerFailedError(f"a worker did not load {name}: {error}") from error


async def _start(directory: Path, name: str) -> float:
    place = {"host": "python", "directory": str(directory), "version": "1", "filename": "model.py"}
    plan = WorkerPlan(Interpreter((sys.executable,)), {**place, "name": name, "debug_errors": "0"}, {})
    launcher = Launcher()
    try:
        began = time.perf_counter()
        worker = await spawn(lambda: f"{name}_0", plan, launcher, handlers={}, on_end=lambda _: None)
        try:
            await load_model(worker, plan)
            return time.perf_counter() - began
        finally:
            await finalize(worker)
    finally:
        launcher.close()
