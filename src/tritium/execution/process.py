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

from tritium.core.interfaces import Batch, ModelAccess, Outcome, WorkerUsage
from tritium.errors import (
    DeadlineExceededError,
    InternalError,
    TritiumError,
    UnavailableError,
    WorkerDiedError,
)
from tritium.execution.call_role import CallRole
from tritium.execution.calls import WorkerCalls
from tritium.execution.flights import Flight, Flights, Retry
from tritium.execution.launcher import Launcher
from tritium.execution.ready_check import ReadyCheck
from tritium.execution.recycler import Recycler
from tritium.execution.restarts import Restarts
from tritium.execution.supervisor import BreakerState
from tritium.execution.watch import Deadline, WorkerWatch
from tritium.execution.window import AHEAD_NS, IN_ORDER_AHEAD_NS, InFlightWindow
from tritium.execution.wire import WireCodec
from tritium.execution.worker import Worker
from tritium.execution.worker_end import EndReason, WorkerEnd, worker_end
from tritium.execution.worker_plan import WorkerPlan
from tritium.execution.worker_talk import finalize, load_model, spawn
from tritium.worker_root.tritium_worker import frames

logger = logging.getLogger("tritium.execution")

_SHOWN_REASON_CHARS = 4096
_SENT_TOGETHER = 8  # of an eager instance: its worker begins before the loop has read all that arrived
_SIDE_BY_SIDE = 1024  # batches of a model whose execute is a coroutine
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
        codec: WireCodec,
        models: ModelAccess,
        role: CallRole,
    ) -> None:
        self.name = name
        self.in_flight = 0
        self.capacity = 0
        self.side_by_side = False
        self.eager = False
        self.state = InstanceState.STARTING
        self._plan = plan
        self._launcher = launcher
        self._restarts = restarts
        self._breaker = restarts.breaker
        self._on_available = on_available
        self._on_broken = on_broken
        self._codec = codec
        self._models = models
        self._role = role
        self._owner = f"{plan.model['name']}:{plan.model['version']}:{id(self)}"  # of custom metrics
        self._worker: Worker | None = None
        self._calls: WorkerCalls | None = None
        self._unsent = 0  # batches since the last ``flush`` that sent at once
        self._window = InFlightWindow()
        self._flights = Flights(self._finished, self._landed, self._answered)
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
        self._deadline: Deadline | None = None
        self._drained = asyncio.Event()

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
        if plan.execution_timeout_s is not None:
            self._deadline = Deadline(plan.execution_timeout_s, self._on_deadline)
        if plan.recycle is not None:
            self._recycler = Recycler(plan.recycle)
        self._window = InFlightWindow(IN_ORDER_AHEAD_NS if plan.in_order else AHEAD_NS)
        worker = self._worker or await self._spawn()
        answer = await load_model(worker, plan)
        self.side_by_side = bool(answer.get("concurrent"))
        self.eager = self.side_by_side and plan.in_order
        self.state = InstanceState.READY
        self.set_capacity()
        self._replacing = False
        if answer.get("checks"):
            self._check.start(worker)

    async def _spawn(self) -> Worker:
        handlers: dict[int, Callable[[memoryview], None]] = {
            frames.RESULT: self._on_result,
            frames.RESPONSE: self._on_response,
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
        await self._drain()
        restart = self._leave()
        if restart is not None:
            await asyncio.gather(restart, return_exceptions=True)
        if self._worker is not None:
            await finalize(self._worker)
        self._models.metrics.release(self._owner)

    async def _drain(self) -> None:
        if len(self._flights):
            self._drained.clear()
            await self._drained.wait()

    async def abandon(self) -> None:
        """End the process at once; what is in flight fails."""
        self._leave()
        if self._worker is not None:
            await self._worker.close()
        self._flights.fail_all(UnavailableError("Server exiting"))

    def _leave(self) -> asyncio.Task[None] | None:
        """Take no more work; the restart that was under way, if any, which is cancelled."""
        self.state = InstanceState.STOPPED
        self.capacity = 0
        self._replacing = False
        self._watch.stop()
        self._check.stop()
        if self._deadline is not None:
            self._deadline.stop()
        if self._restart is not None:
            self._restart.cancel()
        return self._restart

    # -- batches --

    def execute(self, batch: Batch) -> None:
        """Take ``batch``; it is sent with ``flush``."""
        self.in_flight += 1
        self._unsent += 1
        self._send(self._flights.plan(batch))

    def flush(self) -> None:
        """Send what ``execute`` took, if need be with what it will take in this turn of the loop."""
        if self._worker is None:
            return
        if self.eager and self.in_flight > 1 and self._unsent < _SENT_TOGETHER:
            self._worker.flush_soon()
        else:
            self._unsent = 0
            self._worker.flush()

    def _send(self, flight: Flight) -> None:
        worker = self._worker
        if worker is None or self.state is not InstanceState.READY:
            self._flights.hold(flight)
            return
        try:
            parts = self._encode(flight, worker)
        except Exception as error:  # out of shared memory, or of descriptors
            logger.exception("%s: a batch cannot be sent to its worker", self.name)
            text = f"cannot hand the request to '{self.name}': {type(error).__name__}"
            self._flights.fail(flight, InternalError(text))
            return
        if self._deadline is not None and not self._flights.oldest:
            self._deadline.began()
        worker.queue(frames.encode_batch(frames.EXECUTE, self._flights.depart(flight), parts))

    def set_capacity(self) -> None:
        """Take as much as is right now, if anything."""
        if self.state is not InstanceState.READY:
            self.capacity = 0
        elif self.side_by_side:
            self.capacity = _SIDE_BY_SIDE
        else:
            self.capacity = 1 if self._role.both else self._window.size

    def _encode(self, flight: Flight, worker: Worker) -> list[frames.Part]:
        parts = []
        for slot, request in zip(flight.slots, flight.batch.requests, strict=True):
            if worker.board is not None:
                worker.board.clear(slot)
                request.stream.attach(slot, worker.board.cancel, worker.board.pause)
            parts.append(self._codec.encode(request, worker, slot))
        return parts

    def _on_result(self, body: memoryview) -> None:
        flight_id, count = frames.BATCH.unpack_from(body)
        expected = len(self._flights.flying(flight_id).batch.requests)
        worker = self._worker
        assert worker is not None
        if count != expected:
            raise InternalError(f"worker '{self.name}' answered {count} of {expected} requests")
        outcome = self._codec.decode_result(body, worker)
        if self.capacity and not self.side_by_side:
            elapsed_ns = outcome.compute_input_ns + outcome.compute_infer_ns + outcome.compute_output_ns
            self._window.note(elapsed_ns)
            self.set_capacity()
        self._flights.arrive(flight_id, outcome)
        if self._breaker.state is BreakerState.HALF_OPEN:
            self._breaker.record_success()
        if self._deadline is not None:
            self._next_deadline(self._deadline)
        if self._recycler is not None:
            self._recycle_if(self._recycler.answered(expected))

    def _on_response(self, body: memoryview) -> None:
        flight_id, position, _ = frames.SENT.unpack_from(body)
        assert self._worker is not None
        response, final = self._codec.decode_response(body, self._worker)
        self._flights.respond(flight_id, position, response, final=final)

    def _next_deadline(self, deadline: Deadline) -> None:
        if self._flights.oldest:
            deadline.began()
        else:
            deadline.stop()

    def _finished(self, batch: Batch, outcome: Outcome) -> None:
        self.in_flight -= 1
        self._answered(batch, outcome)

    def _landed(self) -> None:
        self.in_flight -= 1
        self._on_available()

    def _answered(self, batch: Batch, outcome: Outcome) -> None:
        batch.done(batch, outcome)
        if not len(self._flights):
            self._drained.set()

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
        self.capacity = 0
        self._plan_restart(self._recycle())

    async def _recycle(self) -> None:
        await self._drain()
        worker, self._worker = self._worker, None
        self._check.stop()
        assert worker is not None  # its end would have cancelled this
        await finalize(worker)
        if self._calls is not None:
            self._calls.end()
        self._restarts.recycled()
        await self._come_back(0.0)

    # -- when the process ends --

    def _on_end(self, end: WorkerEnd) -> None:
        text = f"worker of '{self.name}' died while it ran this request: it {end.text}"
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
        self.capacity = 0
        self._replacing = False
        self._check.stop()
        if self._deadline is not None:
            self._deadline.stop()
        delay_s = self._restarts.crashed(self.name, end.reason, end.text)
        logger.error("worker of '%s' %s; restart in %.2f s", self.name, end.log_text, delay_s)
        if self._calls is not None:
            self._calls.end()
        self._flights.crash(self._to_blame(worker), error, retry=retry)
        self._refuse_if_broken()
        self._plan_restart(self._come_back_after(worker, delay_s))

    def _plan_restart(self, work: Coroutine[Any, Any, None]) -> None:
        if self._restart is not None:
            self._restart.cancel()
        self._restart = asyncio.get_running_loop().create_task(work, name=f"restart-{self.name}")

    def _to_blame(self, worker: Worker) -> int | None:
        """The batch that ran when the worker ended; None for all that it held."""
        if self.side_by_side:
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
        for flight in self._flights.release():
            self._send(flight)
        self.flush()
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
