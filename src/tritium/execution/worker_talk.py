"""What the server and a worker say to each other when a model comes and goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from tritium.errors import TritiumError, UnavailableError
from tritium.execution.launcher import Launcher
from tritium.execution.worker import Worker
from tritium.execution.worker_end import EndReason, WorkerEnd, worker_end
from tritium.execution.worker_plan import WorkerPlan
from tritium.worker_root.tritium_worker import frames

logger = logging.getLogger("tritium.execution")

_FINALIZE_S = 10.0


async def spawn(
    name: Callable[[], str],
    plan: WorkerPlan,
    launcher: Launcher,
    *,
    handlers: Mapping[int, Callable[[memoryview], None]],
    on_end: Callable[[WorkerEnd], None],
) -> Worker:
    """Start a worker; see ``Worker`` for the arguments.

    Raises:
        UnavailableError: the system does not start it.
    """
    try:
        handle = await launcher.start(plan.interpreter)
    except OSError as error:
        raise UnavailableError(
            f"cannot start a worker for '{name()}': {error.strerror or type(error).__name__}"
        ) from error
    return Worker(name, handle, launcher, handlers=handlers, on_end=on_end, native=plan.native)


async def load_model(worker: Worker, plan: WorkerPlan) -> dict[str, Any]:
    """Let ``worker`` load the model: what it says of it.

    Raises:
        TritiumError: it cannot be loaded; the worker may have ended.
    """
    args = {**plan.args, "model_instance_name": worker.name}
    try:
        return await worker.ask(frames.LOAD, {"model": plan.model, "args": args}, plan.load_timeout_s)
    except TimeoutError:
        worker.kill(worker_end(EndReason.TIMEOUT, "exceeded its limit for loading"))
        text = f"model instance '{worker.name}' was not loaded within {plan.load_timeout_s:g} s"
        raise UnavailableError(f"{text}; its worker was ended") from None


async def finalize(worker: Worker) -> None:
    """Let the model finalize, and end the process, also when the caller is cancelled meanwhile."""
    try:
        answer = await worker.ask(frames.STOP, {}, _FINALIZE_S)
        if answer.get("finalize"):
            logger.error("%s: finalize failed: %s", worker.name, answer["finalize"])
    except (TritiumError, TimeoutError) as error:
        logger.warning("%s: ended without finalize: %s", worker.name, error or "no answer in time")
    finally:
        await worker.close()
