"""An instance that runs in a worker process, and comes back when the process ends.

    STARTING  spawn and load          -> READY, or DOWN when it fails
    READY     runs batches            -> DOWN when the process ends
    DOWN      waits to be restarted   -> STARTING after the breaker's delay
    STOPPED   for good

What a process that ended had in flight is told apart by the shared board: the batch that ran is to blame. Its
request fails, or, when it held several, each is run once more alone, so that neighbours of a poisonous request
get their answers. Batches that had not begun simply run on the next worker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tritium.core.interfaces import Batch, Outcome
from tritium.core.response import InferenceResponse
from tritium.errors import DeadlineExceededError, InternalError, TritiumError, UnavailableError, WorkerDiedError
from tritium.execution.launcher import Launcher
from tritium.execution.supervisor import CrashBreaker
from tritium.execution.window import InFlightWindow
from tritium.execution.wire import WireCodec
from tritium.execution.worker import Worker
from tritium.worker_root.tritium_worker import frames
from tritium.worker_root.tritium_worker.board import SLOTS

logger = logging.getLogger("tritium.execution")

_WATCHDOG_PERIOD_S = 0.5
_FINALIZE_S = 10.0
_SHOWN_REASON_CHARS = 4096


class InstanceState(Enum):
    """See the module's table."""

    STARTING = "starting"
    READY = "ready"
    DOWN = "down"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How the workers of one model are started and what they load."""

    command: tuple[str, ...]  # the interpreter
    model: dict[str, str]  # directory, version, filename, name
    args: dict[str, str]  # of TritonPythonModel.initialize, without the instance's name
    stopped_limit_s: float = 5.0  # a process that is stopped (SIGSTOP) this long is replaced
    execution_timeout_s: float | None = None


@dataclass(slots=True)
class _InFlight:
    batch: Batch
    slots: range
    split: _Split | None = None  # the batch that a request ran in when the worker died


@dataclass(slots=True)
class _Split:
    """A batch whose requests are run again one by one."""

    batch: Batch
    responses: dict[int, InferenceResponse] = field(default_factory=dict)


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
    ) -> None:
        self.name = name
        self.in_flight = 0
        self.capacity = 0
        self.state = InstanceState.STARTING
        self.last_end = ""
        self._plan = plan
        self._launcher = launcher
        self._breaker = breaker
        self._on_available = on_available
        self._on_broken = on_broken
        self._codec = codec
        self._worker: Worker | None = None
        self._window = InFlightWindow()
        self._flying: dict[int, _InFlight] = {}
        self._again: deque[_InFlight] = deque()  # to run before anything new
        self._next_id = 1
        self._next_slot = 0
        self._restart: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._stopped_since: float | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._drained = asyncio.Event()

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
        worker = self._worker or await self._spawn()
        args = {**plan.args, "model_instance_name": self.name}
        await worker.ask(frames.LOAD, {"model": plan.model, "args": args})
        self.state = InstanceState.READY
        self.capacity = self._window.size
        self._watch()

    async def _spawn(self) -> Worker:
        try:
            handle = await self._launcher.start(self._plan.command)
        except OSError as error:
            raise UnavailableError(
                f"cannot start a worker for '{self.name}': {error.strerror or type(error).__name__}"
            ) from error
        self._worker = Worker(
            self.name, handle, self._launcher, on_result=self._on_result, on_end=self._on_end
        )
        return self._worker

    def execute(self, batch: Batch) -> None:
        """Send ``batch`` to the worker."""
        self.in_flight += 1
        self._send(_InFlight(batch, self._take_slots(len(batch.requests))))

    def flush(self) -> None:
        """Send what ``execute`` took."""
        if self._worker is not None:
            self._worker.flush()

    async def stop(self) -> None:
        """Finish what is in flight, let the model finalize, end the process."""
        if self._flying or self._again:
            self._drained.clear()
            await self._drained.wait()
        self.state = InstanceState.STOPPED
        self.capacity = 0
        for timer in (self._watchdog, self._deadline):
            if timer is not None:
                timer.cancel()
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
        if self._worker is not None:
            await self._finalize(self._worker)

    async def abandon(self) -> None:
        """End the process at once; what is in flight fails."""
        self.state = InstanceState.STOPPED
        self.capacity = 0
        if self._restart is not None:
            self._restart.cancel()
        for timer in (self._watchdog, self._deadline):
            if timer is not None:
                timer.cancel()
        if self._worker is not None:
            await self._worker.close()
        self._fail_all(UnavailableError("Server exiting"))

    async def _finalize(self, worker: Worker) -> None:
        try:
            answer = await worker.ask(frames.STOP, {}, _FINALIZE_S)
            if answer.get("finalize"):
                logger.error("%s: finalize failed: %s", self.name, answer["finalize"])
        except (TritiumError, TimeoutError) as error:
            logger.warning("%s: ended without finalize: %s", self.name, error or "no answer in time")
        await worker.close()

    # -- one batch ---------------------------------------------------------------------------------------------

    def _take_slots(self, count: int) -> range:
        if self._next_slot + count > SLOTS:
            self._next_slot = 0
        first = self._next_slot
        self._next_slot += count
        return range(first, first + count)

    def _send(self, flight: _InFlight) -> None:
        worker = self._worker
        if worker is None or self.state is not InstanceState.READY:
            self._again.append(flight)
            return
        batch_id = self._next_id
        self._next_id = batch_id % 0xFFFFFFFF + 1
        try:
            buffers = frames.encode_batch(frames.EXECUTE, batch_id, self._encode(flight, worker))
        except Exception as error:  # out of shared memory, or of descriptors
            logger.exception("%s: a batch cannot be sent to its worker", self.name)
            self._fail(flight, InternalError(f"cannot hand the request to '{self.name}': {type(error).__name__}"))
            return
        self._flying[batch_id] = flight
        worker.queue(buffers)
        if self._plan.execution_timeout_s is not None and self._deadline is None:
            self._arm_deadline()

    def _encode(self, flight: _InFlight, worker: Worker) -> list[frames.Part]:
        parts = []
        for slot, request in zip(flight.slots, flight.batch.requests, strict=True):
            if worker.board is not None:
                worker.board.clear(slot)
                request.stream.when_cancelled(worker.board.cancel, slot)
            parts.append(self._codec.encode(request, worker, slot))
        return parts

    def _on_result(self, body: memoryview) -> None:
        batch_id, count = frames.BATCH.unpack_from(body)
        times = frames.TIMES.unpack_from(body, frames.BATCH.size)
        flight = self._flying[batch_id]
        worker = self._worker
        assert worker is not None
        if count != len(flight.batch.requests):
            raise InternalError(f"worker '{self.name}' answered {count} of {len(flight.batch.requests)} requests")
        position = frames.BATCH.size + frames.TIMES.size
        responses = [self._codec.decode(part, worker) for part in frames.decode_parts(body, position, count)]
        del self._flying[batch_id]
        self._finish(flight, Outcome(responses, *times))
        self._window.note(sum(times))
        self.capacity = self._window.size
        self._breaker.record_success()
        if self._deadline is not None:
            self._arm_deadline()

    def _finish(self, flight: _InFlight, outcome: Outcome) -> None:
        split = flight.split
        if split is None:
            self.in_flight -= 1
            flight.batch.done(flight.batch, outcome)
        else:
            index = next(i for i, r in enumerate(split.batch.requests) if r is flight.batch.requests[0])
            split.responses[index] = outcome.responses[0]
            if len(split.responses) == len(split.batch.requests):
                self.in_flight -= 1
                split.batch.done(split.batch, Outcome([split.responses[i] for i in sorted(split.responses)]))
        if not self._flying and not self._again:
            self._drained.set()

    def _fail(self, flight: _InFlight, error: TritiumError) -> None:
        self._finish(flight, Outcome([InferenceResponse(error=error) for _ in flight.batch.requests]))

    def _fail_all(self, error: TritiumError) -> None:
        flights = [*self._flying.values(), *self._again]
        self._flying.clear()
        self._again.clear()
        for flight in flights:
            self._fail(flight, error)

    # -- when the process ends ---------------------------------------------------------------------------------

    def _on_end(self, how: str, error: TritiumError | None = None) -> None:
        """The process ended: blame, sort what was in flight, and plan the restart."""
        worker, self._worker = self._worker, None
        if self.state is not InstanceState.READY or worker is None:
            return  # start() reports it
        self.state = InstanceState.DOWN
        self.capacity = 0
        self.last_end = how
        delay_s = self._breaker.record_crash(time.monotonic())
        logger.error("worker of '%s' %s; restart in %.2f s", self.name, how, delay_s)
        current = worker.board.current() if worker.board is not None else min(self._flying, default=0)
        flights, self._flying = self._flying, {}
        for batch_id, flight in flights.items():
            if batch_id == current:
                self._blame(flight, error or WorkerDiedError(f"worker of '{self.name}' died while it ran this request: it {how}"))
            else:
                self._again.append(flight)
        if self._breaker.open:
            broken = UnavailableError(self.broken_text())
            self._fail_all(broken)
            self._on_broken(broken)
        self._restart = asyncio.get_running_loop().create_task(
            self._come_back(worker, delay_s), name=f"restart-{self.name}"
        )

    def _blame(self, flight: _InFlight, error: TritiumError) -> None:
        requests = flight.batch.requests
        if len(requests) == 1 or isinstance(error, DeadlineExceededError):
            self._fail(flight, error)
            return
        split = _Split(flight.batch)
        for request in requests:
            alone = Batch([request], request.batch_size, flight.batch.dispatched_ns, flight.batch.done)
            self._again.append(_InFlight(alone, self._take_slots(1), split))

    def broken_text(self) -> str:
        """Why requests are refused while the breaker is open."""
        return f"model instance '{self.name}' crashed repeatedly and is paused: its worker last {self.last_end}"

    async def _come_back(self, ended: Worker, delay_s: float) -> None:
        await ended.close()
        while self.state is InstanceState.DOWN:
            await asyncio.sleep(delay_s)
            self._breaker.record_start()
            self.state = InstanceState.STARTING
            try:
                await self.start(self._plan)
            except TritiumError as error:
                if self._worker is not None:
                    worker, self._worker = self._worker, None
                    await worker.close()
                self.state = InstanceState.DOWN
                delay_s = max(0.1, self._breaker.record_crash(time.monotonic()))
                self.last_end = f"could not be started again: {str(error)[:_SHOWN_REASON_CHARS]}"
                logger.error("%s: %s", self.name, self.last_end)
                if self._breaker.open:
                    broken = UnavailableError(self.broken_text())
                    self._fail_all(broken)
                    self._on_broken(broken)
        for _ in range(len(self._again)):
            self._send(self._again.popleft())
        self.flush()
        self._on_available()

    # -- watching ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look again and again whether the process was stopped by a signal."""
        now_s = time.monotonic()
        if self.state is InstanceState.READY and self._worker is not None:
            if not self._worker.stopped():
                self._stopped_since = None
            elif self._stopped_since is None:
                self._stopped_since = now_s
            elif now_s - self._stopped_since >= self._plan.stopped_limit_s:
                self._stopped_since = None
                logger.error("worker of '%s' was stopped for %.1f s; it is replaced", self.name, self._plan.stopped_limit_s)
                self._worker.kill()
        if self.state in (InstanceState.READY, InstanceState.STARTING):
            if self._watchdog is not None:
                self._watchdog.cancel()
            self._watchdog = asyncio.get_running_loop().call_later(_WATCHDOG_PERIOD_S, self._watch)

    def _arm_deadline(self) -> None:
        """Give the oldest batch in flight its time from now on."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._flying and self._plan.execution_timeout_s is not None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self._plan.execution_timeout_s, self._on_deadline)

    def _on_deadline(self) -> None:
        self._deadline = None
        worker = self._worker
        if worker is None or not self._flying:
            return
        limit_s = self._plan.execution_timeout_s
        error = DeadlineExceededError(f"execution of model instance '{self.name}' exceeded its limit of {limit_s:g} s")
        worker.kill()  # the answer does not wait until it is gone
        self._on_end(f"exceeded the execution limit of {limit_s:g} s", error)
