"""An instance that runs in a worker process, and comes back when the process ends.

STARTING  spawn and load          -> READY, or DOWN when it fails
READY     runs batches            -> DOWN when the process ends
DOWN      waits to be restarted   -> STARTING after the breaker's delay
STOPPED   for good
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tritium.core.interfaces import Batch, ModelAccess, Outcome
from tritium.environments.interpreter import Interpreter
from tritium.errors import (
    DeadlineExceededError,
    InternalError,
    TritiumError,
    UnavailableError,
    WorkerDiedError,
)
from tritium.execution.calls import WorkerCalls
from tritium.execution.flights import Flight, Flights
from tritium.execution.launcher import Launcher
from tritium.execution.supervisor import BreakerState, CrashBreaker
from tritium.execution.watch import Deadline, StoppedWatch
from tritium.execution.window import InFlightWindow
from tritium.execution.wire import WireCodec
from tritium.execution.worker import Worker
from tritium.worker_root.tritium_worker import frames

logger = logging.getLogger("tritium.execution")

_FINALIZE_S = 10.0
_SHOWN_REASON_CHARS = 4096
_SIDE_BY_SIDE = 1024  # batches of a model whose execute is a coroutine
_MIN_RELOAD_DELAY_S = 0.1  # between two attempts to load a model that does not load any more


class InstanceState(Enum):
    """See the module's table."""

    STARTING = "starting"
    READY = "ready"
    DOWN = "down"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How the workers of one model are started and what they load."""

    interpreter: Interpreter
    model: dict[str, str]  # host, directory, version, filename, name
    args: dict[str, str]  # of TritonPythonModel.initialize, without the instance's name
    stopped_limit_s: float = 5.0  # a process that is stopped (SIGSTOP) this long is replaced
    execution_timeout_s: float | None = None
    load_timeout_s: float | None = None
    native: bool = False  # an engine that writes to standard error why it ends, and takes all cores it sees


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
        breaker: CrashBreaker,
        *,
        on_available: Callable[[], None],
        on_broken: Callable[[TritiumError], None],
        codec: WireCodec,
        models: ModelAccess,
    ) -> None:
        self.name = name
        self.in_flight = 0
        self.capacity = 0
        self.side_by_side = False
        self.state = InstanceState.STARTING
        self.last_end = ""
        self._plan = plan
        self._launcher = launcher
        self._breaker = breaker
        self._on_available = on_available
        self._on_broken = on_broken
        self._codec = codec
        self._models = models
        self._owner = f"{plan.model['name']}:{plan.model['version']}:{id(self)}"  # of custom metrics
        self._worker: Worker | None = None
        self._calls: WorkerCalls | None = None
        self._window = InFlightWindow()
        self._flights = Flights(self._finished, self._landed, self._answered)
        self._restart: asyncio.Task[None] | None = None
        self._watch = StoppedWatch(plan.stopped_limit_s, lambda: self._worker, self._on_stopped)
        self._deadline: Deadline | None = None
        self._drained = asyncio.Event()

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
        worker = self._worker or await self._spawn()
        args = {**plan.args, "model_instance_name": self.name}
        try:
            answer = await worker.ask(frames.LOAD, {"model": plan.model, "args": args}, plan.load_timeout_s)
        except TimeoutError:
            worker.kill()
            text = f"model instance '{self.name}' was not loaded within {plan.load_timeout_s:g} s"
            raise UnavailableError(f"{text}; its worker was ended") from None
        self.side_by_side = bool(answer.get("concurrent"))
        self.state = InstanceState.READY
        self.capacity = _SIDE_BY_SIDE if self.side_by_side else self._window.size
        self._watch.start()

    async def _spawn(self) -> Worker:
        try:
            handle = await self._launcher.start(self._plan.interpreter, reads_stderr=self._plan.native)
        except OSError as error:
            raise UnavailableError(
                f"cannot start a worker for '{self.name}': {error.strerror or type(error).__name__}"
            ) from error
        handlers: dict[int, Callable[[memoryview], None]] = {
            frames.RESULT: self._on_result,
            frames.RESPONSE: self._on_response,
        }
        worker = Worker(self.name, handle, self._launcher, handlers=handlers, on_end=self._on_end)
        self._calls = WorkerCalls(self, self._owner, worker, self._codec, self._models)
        handlers.update(self._calls.handlers)
        self._worker = worker
        return worker

    async def stop(self) -> None:
        """Finish what is in flight, let the model finalize, end the process."""
        if len(self._flights):
            self._drained.clear()
            await self._drained.wait()
        restart = self._leave()
        if restart is not None:
            await asyncio.gather(restart, return_exceptions=True)
        if self._worker is not None:
            await self._finalize(self._worker)
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
        self.capacity = 0
        self._watch.stop()
        if self._deadline is not None:
            self._deadline.stop()
        if self._restart is not None:
            self._restart.cancel()
        return self._restart

    async def _finalize(self, worker: Worker) -> None:
        try:
            answer = await worker.ask(frames.STOP, {}, _FINALIZE_S)
            if answer.get("finalize"):
                logger.error("%s: finalize failed: %s", self.name, answer["finalize"])
        except (TritiumError, TimeoutError) as error:
            logger.warning("%s: ended without finalize: %s", self.name, error or "no answer in time")
        await worker.close()

    # -- batches --

    def execute(self, batch: Batch) -> None:
        """Take ``batch``; it is sent with ``flush``."""
        self.in_flight += 1
        self._send(self._flights.plan(batch))

    def flush(self) -> None:
        """Send what ``execute`` took."""
        if self._worker is not None:
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
            self.capacity = self._window.size
        self._flights.arrive(flight_id, outcome)
        if self._breaker.state is BreakerState.HALF_OPEN:
            self._breaker.record_success()
        if self._deadline is not None:
            self._next_deadline(self._deadline)

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

    # -- when the process ends --

    def _on_end(self, how: str) -> None:
        self._lose(how, WorkerDiedError(f"worker of '{self.name}' died while it ran this request: it {how}"))

    def _on_stopped(self) -> None:
        limit_s = self._plan.stopped_limit_s
        if self.state is InstanceState.READY and self._worker is not None:
            logger.error("worker of '%s' was stopped for %.1f s; it is replaced", self.name, limit_s)
            self._worker.kill()

    def _on_deadline(self, limit_s: float) -> None:
        if self._worker is not None and self._flights.oldest:
            self._worker.kill()  # the answer does not wait until it is gone
            how = f"exceeded its limit of {limit_s:g} s"
            error = DeadlineExceededError(f"execution of model instance '{self.name}' {how}")
            self._lose(how, error, retry=False)

    def _lose(self, how: str, error: TritiumError, *, retry: bool = True) -> None:
        """The worker is lost: answer or keep what it held, and plan the restart."""
        worker, self._worker = self._worker, None
        if self.state is not InstanceState.READY or worker is None:
            return  # start() reports it
        self.state = InstanceState.DOWN
        self.capacity = 0
        if self._deadline is not None:
            self._deadline.stop()
        delay_s = self._count_crash(how)
        logger.error("worker of '%s' %s; restart in %.2f s", self.name, how, delay_s)
        if self._calls is not None:
            self._calls.end()
        self._flights.crash(self._to_blame(worker), error, retry=retry)
        self._refuse_if_broken()
        self._restart = asyncio.get_running_loop().create_task(
            self._come_back(worker, delay_s), name=f"restart-{self.name}"
        )

    def _to_blame(self, worker: Worker) -> int | None:
        """The batch that ran when the worker ended; None for all that it held."""
        if self.side_by_side:
            return None
        return worker.board.current() if worker.board is not None else self._flights.oldest

    def _count_crash(self, how: str) -> float:
        self.last_end = how
        return self._breaker.record_crash(time.monotonic())

    def _refuse_if_broken(self) -> None:
        if self._breaker.open:
            broken = UnavailableError(self.broken_text())
            self._flights.fail_all(broken)
            self._on_broken(broken)

    def broken_text(self) -> str:
        """Why requests are refused while the breaker is open."""
        return (
            f"model instance '{self.name}' crashed repeatedly and is paused: its worker last {self.last_end}"
        )

    async def _come_back(self, ended: Worker, delay_s: float) -> None:
        """Start again and again until the model is loaded."""
        await ended.close()
        while self.state is InstanceState.DOWN:
            await asyncio.sleep(delay_s)
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
        if worker is not None:
            await worker.close()
        self.state = InstanceState.DOWN
        reason = f"could not be started again: {str(error)[:_SHOWN_REASON_CHARS]}"
        delay_s = max(_MIN_RELOAD_DELAY_S, self._count_crash(reason))
        logger.error("%s %s", self.name, reason)
        self._refuse_if_broken()
        return delay_s
