"""The batches of one instance: how many it takes, their way to its worker, and what comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tritium.core.interfaces import Batch, Outcome
from tritium.errors import InternalError
from tritium.execution.call_role import CallRole
from tritium.execution.flights import Flight, Flights
from tritium.execution.watch import Deadline
from tritium.execution.window import AHEAD_NS, IN_ORDER_AHEAD_NS, InFlightWindow
from tritium.execution.wire import WireCodec
from tritium.execution.worker import Worker
from tritium.worker_root.tritium_worker import frames

logger = logging.getLogger("tritium.execution")

_SENT_TOGETHER = 8  # of an eager instance: its worker begins before the loop has read all that arrived
_SIDE_BY_SIDE = 1024  # batches of a model whose execute is a coroutine


class BatchTraffic:
    """Batches in flight, whatever becomes of the worker meanwhile.

    ``in_flight``, ``capacity``, ``side_by_side`` and ``eager`` are those of ModelInstance.

    Args:
        name: the instance's, which may change once.
        role: of the model; what is taken in advance depends on it.
        on_available: called when the worker is free for another batch though requests of the last one are not
            all answered.
        on_executed: called with the number of requests of each batch whose execution is over.
    """

    def __init__(
        self,
        name: Callable[[], str],
        codec: WireCodec,
        role: CallRole,
        *,
        on_available: Callable[[], None],
        on_executed: Callable[[int], None],
    ) -> None:
        self.in_flight = 0
        self.capacity = 0
        self.side_by_side = False
        self.eager = False
        self.flights = Flights(self._finished, self._landed, self._answered)
        self._name = name
        self._codec = codec
        self._role = role
        self._on_available = on_available
        self._on_executed = on_executed
        self._worker: Worker | None = None  # to decode for, until it is lost
        self._open = False  # batches go to it
        self._window = InFlightWindow()
        self._deadline: Deadline | None = None
        self._unsent = 0  # batches since the last ``flush`` that sent at once
        self._drained = asyncio.Event()

    def open(self, worker: Worker, *, side_by_side: bool, in_order: bool, deadline: Deadline | None) -> None:
        """From now on batches go to ``worker``, which has loaded the model.

        Args:
            in_order: see WorkerPlan.
            deadline: of the batch that runs.
        """
        self._worker = worker
        self._deadline = deadline
        self._open = True
        self.side_by_side = side_by_side
        self.eager = side_by_side and in_order
        self._window = InFlightWindow(IN_ORDER_AHEAD_NS if in_order else AHEAD_NS)
        self.set_capacity()

    def close(self) -> None:
        """Take no more, and hold what comes all the same; what is in flight may come back."""
        self._open = False
        self.capacity = 0

    def lose_worker(self) -> None:
        """Nothing comes back any more."""
        self.close()
        self._worker = None
        if self._deadline is not None:
            self._deadline.stop()

    def release(self) -> None:
        """Send what was held."""
        for flight in self.flights.release():
            self._send(flight)
        self.flush()

    async def drain(self) -> None:
        """Wait until nothing is in flight."""
        if len(self.flights):
            self._drained.clear()
            await self._drained.wait()

    def set_capacity(self) -> None:
        """Take as much as is right now, if anything."""
        if not self._open:
            self.capacity = 0
        elif self.side_by_side:
            self.capacity = _SIDE_BY_SIDE
        else:
            self.capacity = 1 if self._role.both else self._window.size

    def execute(self, batch: Batch) -> None:
        """Take ``batch``; it is sent with ``flush``."""
        self.in_flight += 1
        self._unsent += 1
        self._send(self.flights.plan(batch))

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
        if worker is None or not self._open:
            self.flights.hold(flight)
            return
        try:
            parts = self._encode(flight, worker)
        except Exception as error:  # out of shared memory, or of descriptors
            logger.exception("%s: a batch cannot be sent to its worker", self._name())
            text = f"cannot hand the request to '{self._name()}': {type(error).__name__}"
            self.flights.fail(flight, InternalError(text))
            return
        if self._deadline is not None and not self.flights.oldest:
            self._deadline.began()
        worker.queue(frames.encode_batch(frames.EXECUTE, self.flights.depart(flight), parts))

    def _encode(self, flight: Flight, worker: Worker) -> list[frames.Part]:
        parts = []
        for slot, request in zip(flight.slots, flight.batch.requests, strict=True):
            if worker.board is not None:
                worker.board.clear(slot)
                request.stream.attach(slot, worker.board.cancel, worker.board.pause)
            parts.append(self._codec.encode(request, worker, slot))
        return parts

    def on_result(self, body: memoryview) -> None:
        """A RESULT frame came.

        Raises:
            InternalError: it has another number of responses than there were requests.
        """
        flight_id, count = frames.BATCH.unpack_from(body)
        expected = len(self.flights.flying(flight_id).batch.requests)
        worker = self._worker
        assert worker is not None
        if count != expected:
            raise InternalError(f"worker '{self._name()}' answered {count} of {expected} requests")
        outcome = self._codec.decode_result(body, worker)
        if self.capacity and not self.side_by_side:
            elapsed_ns = outcome.compute_input_ns + outcome.compute_infer_ns + outcome.compute_output_ns
            self._window.note(elapsed_ns)
            self.set_capacity()
        self.flights.arrive(flight_id, outcome)
        if self._deadline is not None:
            self._next_deadline(self._deadline)
        self._on_executed(expected)

    def on_response(self, body: memoryview) -> None:
        """A RESPONSE frame came."""
        flight_id, position, _ = frames.SENT.unpack_from(body)
        assert self._worker is not None
        response, final = self._codec.decode_response(body, self._worker)
        self.flights.respond(flight_id, position, response, final=final)

    def _next_deadline(self, deadline: Deadline) -> None:
        if self.flights.oldest:
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
        if not len(self.flights):
            self._drained.set()
