"""An instance that runs in a worker process, and comes back when the process ends.

STARTING   spawn and load                -> READY, or DOWN when it fails
READY      runs batches                  -> DOWN when the process ends, RECYCLING when it has served enough
RECYCLING  finishes what is in flight    -> STARTING with a new process, or DOWN when the process ends
DOWN       waits to be restarted         -> STARTING after the breaker's delay
STOPPED    for good
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

import msgspec

from tritium.core.interfaces import Batch, ModelAccess, ModelInstance, WorkerUsage
from tritium.errors import (
    DeadlineExceededError,
    TritiumError,
    UnavailableError,
    WorkerDiedError,
)
from tritium.execution.batch_traffic import BatchTraffic
from tritium.execution.call_role import CallRole
from tritium.execution.calls import WorkerCalls
from tritium.execution.flights import Retry
from tritium.execution.launcher import Launcher
from tritium.execution.ready_check import ReadyCheck
from tritium.execution.recycler import Recycler
from tritium.execution.restarts import Restarts
from tritium.execution.supervisor import BreakerState
from tritium.execution.watch import Deadline, WorkerWatch
from tritium.execution.wire import WireCodec
from tritium.execution.worker import Worker
from tritium.execution.worker_end import EndReason, WorkerEnd, worker_end
from tritium.execution.worker_plan import WorkerPlan
from tritium.execution.worker_talk import finalize, load_model, spawn
from tritium.worker_root.tritium_worker import frames

logger = logging.getLogger("tritium.execution")

_SHOWN_REASON_CHARS = 4096
_MIN_RELOAD_DELAY_S = 0.1  # between two attempts to load a model that does not load any more


class InstanceState(Enum):
    """See the module's table."""

    STARTING = "starting"
    READY = "ready"
    RECYCLING = "recycling"
    DOWN = "down"
    STOPPED = "stopped"


class ProcessInstance:
    """One instance in one worker process.

    Args:
        on_available: called on the loop when the instance can take work again.
        on_broken: called when a crash opened the breaker, with the reason.
        on_lost: called when a worker that served has ended, before what it held is answered.
    """

    def __init__(
        self,
        name: str,
        plan: WorkerPlan,
        launcher: Launcher,
        restarts: Restarts,
        *,
        on_available: Callable[[], None],
        on_broken: Callable[[TritiumError], None],
        on_lost: Callable[[ModelInstance], None],
        codec: WireCodec,
        models: ModelAccess,
        role: CallRole,
    ) -> None:
        self.name = name
        self.state = InstanceState.STARTING
        self._plan = plan
        self._launcher = launcher
        self._restarts = restarts
        self._breaker = restarts.breaker
        self._on_available = on_available
        self._on_broken = on_broken
        self._on_lost = on_lost
        self._codec = codec
        self._models = models
        self._role = role
        self._owner = f"{plan.model['name']}:{plan.model['version']}:{id(self)}"  # of custom metrics
        self._worker: Worker | None = None
        self._calls: WorkerCalls | None = None
        self._traffic = BatchTraffic(
            lambda: self.name, codec, role, on_available=on_available, on_executed=self._on_executed
        )
        self._flights = self._traffic.flights
        self._restart: asyncio.Task[None] | None = None
        self._watch = WorkerWatch(
            plan.stopped_limit_s,
            plan.stalled_limit_s,
            lambda: self._worker,
            on_bad=self._on_bad,
            on_size=self._on_size,
        )
        self._check = ReadyCheck(lambda: self.name, lambda: self.in_flight > 0)
        self._recycler: Recycler | None = None
        self._replacing = False  # from recycling until the new worker runs or fails

    @property
    def runs(self) -> bool:
        """Whether it takes batches, now or as soon as a worker that served enough is replaced."""
        return self.state is InstanceState.READY or self._replacing

    @property
    def ready(self) -> bool:
        """Whether it runs, and its model says that it is ready."""
        return self.runs and self._check.ready

    def usage(self) -> WorkerUsage | None:
        """What its worker has used; None while there is none, or where that cannot be seen."""
        state = self._worker.state() if self._worker is not None else None
        return WorkerUsage(self.name, state.cpu_s, state.resident_bytes) if state is not None else None

    # -- start and stop --

    async def autocomplete(self, config: dict[str, Any]) -> dict[str, Any]:
        """Ask the model to complete ``config``; the worker stays, for ``start``.

        Raises:
            TritiumError: the model refused, or its process ended.
        """
        worker = await self._spawn()
        answer = await worker.ask(frames.AUTOCOMPLETE, {"model": self._plan.model, "config": config})
        completed: dict[str, Any] = answer["config"]
        return completed

    async def start(self, plan: WorkerPlan) -> None:
        """Load the model.

        Raises:
            TritiumError: the model cannot be loaded.
        """
        self._plan = plan
        limit_s = plan.execution_timeout_s
        deadline = Deadline(limit_s, self._on_deadline) if limit_s is not None else None
        if plan.recycle is not None:
            self._recycler = Recycler(plan.recycle)
        worker = self._worker or await self._spawn()
        answer = await load_model(worker, plan)
        self.state = InstanceState.READY
        concurrent = bool(answer.get("concurrent"))
        self._traffic.open(worker, side_by_side=concurrent, in_order=plan.in_order, deadline=deadline)
        self._replacing = False
        if answer.get("checks"):
            self._check.start(worker)

    async def _spawn(self) -> Worker:
        handlers: dict[int, Callable[[memoryview], None]] = {
            frames.RESULT: self._traffic.on_result,
            frames.RESPONSE: self._traffic.on_response,
            frames.CHECKED: self._check.on_checked,
            frames.EXHAUSTED: self._on_exhausted,
        }
        worker = await spawn(
            lambda: self.name, self._plan, self._launcher, handlers=handlers, on_end=self._on_end
        )
        self._calls = WorkerCalls(
            self, self._owner, worker, self._codec, self._models, self._role, loading=self._model_being_loaded
        )
        handlers.update(self._calls.handlers)
        self._worker = worker
        self._watch.start()
        return worker

    def _model_being_loaded(self) -> str | None:
        return self._plan.model["name"] if self.state is InstanceState.STARTING else None

    async def stop(self) -> None:
        """Finish what is in flight, let the model finalize, end the process."""
        await self._traffic.drain()
        restart = self._leave()
        if restart is not None:
            await asyncio.gather(restart, return_exceptions=True)
        if self._worker is not None:
            await finalize(self._worker)
        self._models.metrics.release(self._owner)

    async def abandon(self) -> None:
        """End the process at once; what is in flight fails."""
        self._leave()
        if self._worker is not None:
            await self._worker.close()
        self._flights.fail_all(UnavailableError("Server exiting"))

    def _leave(self) -> asyncio.Task[None] | None:
        """Take no more work; the restart that was under way, if any, which is cancelled."""
        self.state = InstanceState.STOPPED
        self._traffic.lose_worker()
        self._replacing = False
        self._watch.stop()
        self._check.stop()
        if self._restart is not None:
            self._restart.cancel()
        return self._restart

    # -- batches --

    @property
    def in_flight(self) -> int:
        """Batches handed over and not done."""
        return self._traffic.in_flight

    @property
    def capacity(self) -> int:
        """Batches it takes now; 0 while it cannot run."""
        return self._traffic.capacity

    @property
    def side_by_side(self) -> bool:
        """Whether its model's ``execute`` is a coroutine."""
        return self._traffic.side_by_side

    @property
    def eager(self) -> bool:
        """Whether nothing is gained by collecting batches for it."""
        return self._traffic.eager

    def execute(self, batch: Batch) -> None:
        """Take ``batch``; it is sent with ``flush``."""
        self._traffic.execute(batch)

    def flush(self) -> None:
        """Send what ``execute`` took."""
        self._traffic.flush()

    def set_capacity(self) -> None:
        """Something has changed on which it depends."""
        self._traffic.set_capacity()

    def _on_executed(self, requests: int) -> None:
        if self._breaker.state is BreakerState.HALF_OPEN:
            self._breaker.record_success()
        if self._recycler is not None:
            self._recycle_if(self._recycler.answered(requests))

    # -- when the process has served enough --

    def _on_exhausted(self, body: memoryview) -> None:
        self._recycle_if(msgspec.json.decode(body)["why"])

    def _on_size(self, resident_bytes: int) -> None:
        if self._recycler is not None:
            self._recycle_if(self._recycler.grown(resident_bytes))

    def _recycle_if(self, why: str | None) -> None:
        if why is None or self.state is not InstanceState.READY or self._worker is None:
            return
        logger.info("worker of '%s' %s; it is replaced", self.name, why)
        self.state = InstanceState.RECYCLING
        self._replacing = True
        self._traffic.close()
        self._plan_restart(self._recycle())

    async def _recycle(self) -> None:
        await self._traffic.drain()
        worker, self._worker = self._worker, None
        self._check.stop()
        self._traffic.lose_worker()
        assert worker is not None  # its end would have cancelled this
        await finalize(worker)
        if self._calls is not None:
            self._calls.end()
        self._on_lost(self)
        self._restarts.recycled()
        await self._come_back(0.0)

    # -- when the process ends --

    def _on_end(self, end: WorkerEnd) -> None:
        text = f"worker of '{self.name}' died while it ran this request: it {end.text}"
        if self._plan.stateful:
            text += "; the state of its sequence is lost: start it anew, with the START flag"
        self._lose(end, WorkerDiedError(text), self._plan.retry)

    def _on_bad(self, end: WorkerEnd) -> None:
        if self._worker is not None:
            self._worker.kill(end)

    def _on_deadline(self, limit_s: float) -> None:
        if self._worker is not None and self._flights.oldest:
            self._worker.kill()  # the answer does not wait until it is gone
            how = f"exceeded its limit of {limit_s:g} s"
            error = DeadlineExceededError(f"execution of model instance '{self.name}' {how}")
            self._lose(worker_end(EndReason.TIMEOUT, how), error, Retry.NONE)

    def _lose(self, end: WorkerEnd, error: TritiumError, retry: Retry) -> None:
        """The worker is lost: answer or keep what it held, and plan the restart."""
        worker, self._worker = self._worker, None
        if worker is None or self.state not in (InstanceState.READY, InstanceState.RECYCLING):
            return  # start() reports it
        self.state = InstanceState.DOWN
        self._traffic.lose_worker()
        self._replacing = False
        self._check.stop()
        delay_s = self._restarts.crashed(self.name, end.reason, end.text)
        logger.error("worker of '%s' %s; restart in %.2f s", self.name, end.log_text, delay_s)
        if self._calls is not None:
            self._calls.end()
        self._on_lost(self)
        self._flights.crash(self._to_blame(worker), error, retry=retry)
        self._refuse_if_broken()
        self._plan_restart(self._come_back_after(worker, delay_s))

    def _plan_restart(self, work: Coroutine[Any, Any, None]) -> None:
        if self._restart is not None:
            self._restart.cancel()
        self._restart = asyncio.get_running_loop().create_task(work, name=f"restart-{self.name}")

    def _to_blame(self, worker: Worker) -> int | None:
        """The batch that ran when the worker ended; None for all that it held."""
        if self.side_by_side or self._plan.stateful:
            return None
        return worker.board.current() if worker.board is not None else self._flights.oldest

    def _refuse_if_broken(self) -> None:
        if self._breaker.open:
            broken = UnavailableError(self._restarts.broken_text)
            self._flights.fail_all(broken)
            self._on_broken(broken)

    async def _come_back_after(self, ended: Worker, delay_s: float) -> None:
        await ended.close()
        await self._come_back(delay_s)

    async def _come_back(self, delay_s: float) -> None:
        """Start again and again until the model is loaded."""
        while self.state in (InstanceState.DOWN, InstanceState.RECYCLING):
            await asyncio.sleep(delay_s)
            if self.state is InstanceState.DOWN:
                self._breaker.record_start()
            self.state = InstanceState.STARTING
            try:
                await self.start(self._plan)
            except TritiumError as error:
                delay_s = await self._start_failed(error)
        self._traffic.release()
        self._on_available()

    async def _start_failed(self, error: TritiumError) -> float:
        worker, self._worker = self._worker, None
        self._replacing = False
        if worker is not None:
            await worker.close()
        self.state = InstanceState.DOWN
        reason = f"could not be started again: {str(error)[:_SHOWN_REASON_CHARS]}"
        delay_s = max(_MIN_RELOAD_DELAY_S, self._restarts.crashed(self.name, EndReason.LOAD, reason))
        logger.error("%s %s", self.name, reason)
        self._refuse_if_broken()
        return delay_s
