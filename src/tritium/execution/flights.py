"""The batches that one worker holds, and what becomes of them when it ends. Pure.

When a process ends, the batch that ran is to blame. Its request fails or, when it held several, each is run
once more alone, so that neighbours of a poisonous request get their answers. Batches that had not begun
simply run on the next worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tritium.core.interfaces import Batch, Outcome
from tritium.core.response import InferenceResponse
from tritium.errors import TritiumError
from tritium.worker_root.tritium_worker.board import SLOTS

_MAX_ID = 0xFFFFFFFF  # as wide as a frame has room for; 0 means no batch


@dataclass(slots=True)
class Flight:
    """A batch on its way, and the slots of its requests on the shared board."""

    batch: Batch
    slots: range
    split: _Split | None = None  # the batch that this request ran in when the worker died
    place: int = 0  # of the request in that batch


@dataclass(slots=True)
class _Split:
    """A batch whose requests are run again one by one."""

    batch: Batch
    responses: dict[int, InferenceResponse] = field(default_factory=dict)


class Flights:
    """What was given to a worker and is not done; ``finished`` is told of every batch, once."""

    def __init__(self, finished: Callable[[Batch, Outcome], None]) -> None:
        self._finished = finished
        self._flying: dict[int, Flight] = {}
        self._grounded: deque[Flight] = deque()  # to be sent before anything new
        self._last_id = 0
        self._next_slot = 0

    def __len__(self) -> int:
        return len(self._flying) + len(self._grounded)

    def plan(self, batch: Batch) -> Flight:
        """A flight for a new batch; not sent yet."""
        return Flight(batch, self._slots(len(batch.requests)))

    def depart(self, flight: Flight) -> int:
        """``flight`` is about to be sent: the id by which it comes back."""
        self._last_id = self._last_id % _MAX_ID + 1
        self._flying[self._last_id] = flight
        return self._last_id

    def hold(self, flight: Flight) -> None:
        """There is no worker to send ``flight`` to."""
        self._grounded.append(flight)

    def release(self) -> list[Flight]:
        """What was held, in order: send it now."""
        held = [*self._grounded]
        self._grounded.clear()
        return held

    def flying(self, flight_id: int) -> Flight:
        """The flight with this id.

        Raises:
            KeyError: there is none.
        """
        return self._flying[flight_id]

    @property
    def oldest(self) -> int:
        """The id of the flight that was sent first; 0 for none."""
        return next(iter(self._flying), 0)

    def arrive(self, flight_id: int, outcome: Outcome) -> None:
        """The worker answered."""
        self._deliver(self._flying.pop(flight_id), outcome)

    def crash(self, current: int, error: TritiumError, *, retry: bool) -> None:
        """The worker ended while it ran the flight ``current``.

        Args:
            retry: whether neighbours of the request to blame are to be run again.
        """
        flying, self._flying = self._flying, {}
        for flight_id, flight in flying.items():
            if flight_id != current:
                self._grounded.append(flight)
            elif retry and len(flight.batch.requests) > 1:
                self._split(flight.batch)
            else:
                self.fail(flight, error)

    def fail(self, flight: Flight, error: TritiumError) -> None:
        """Answer a flight, which is no longer flying, with an error."""
        self._deliver(flight, Outcome([InferenceResponse(error=error) for _ in flight.batch.requests]))

    def fail_all(self, error: TritiumError) -> None:
        """Answer everything with an error."""
        flights = [*self._flying.values(), *self._grounded]
        self._flying.clear()
        self._grounded.clear()
        for flight in flights:
            self.fail(flight, error)

    def _split(self, batch: Batch) -> None:
        split = _Split(batch)
        for place, request in enumerate(batch.requests):
            alone = Batch([request], request.batch_size, batch.dispatched_ns, batch.done)
            self._grounded.append(Flight(alone, self._slots(1), split, place))

    def _deliver(self, flight: Flight, outcome: Outcome) -> None:
        split = flight.split
        if split is None:
            self._finished(flight.batch, outcome)
            return
        split.responses[flight.place] = outcome.responses[0]
        if len(split.responses) == len(split.batch.requests):
            self._finished(
                split.batch, Outcome([split.responses[place] for place in sorted(split.responses)])
            )

    def _slots(self, count: int) -> range:
        if self._next_slot + count > SLOTS:
            self._next_slot = 0
        first = self._next_slot
        self._next_slot += count
        return range(first, first + count)
