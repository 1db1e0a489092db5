"""The batches that one worker holds, and what becomes of them when it ends. Pure.

When a process ends, the batch that ran is to blame. Its request fails or, when it held several, each is run
once more alone, so that neighbours of a poisonous request get their answers. Batches that had not begun
simply run on the next worker.

A batch whose execution is over may have requests that a response sender still answers: its flight has landed,
the worker is free for the next one, and the batch is done when the last of them has its final response.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from tritium.core.interfaces import Batch, Outcome
from tritium.core.response import InferenceResponse
from tritium.errors import TritiumError
from tritium.worker_root.tritium_worker.board import SLOTS

_MAX_ID = 0xFFFFFFFF  # as wide as a frame has room for; 0 means no batch


class Retry(Enum):
    """What is run once more, alone, when the worker ended that ran it."""

    NONE = "none"
    NEIGHBOURS = "neighbours"  # requests of a batch of several, for only one of them is to blame
    ALL = "all"  # every request that has had no response


@dataclass(slots=True)
class Flight:
    """A batch on its way, and the slots of its requests on the shared board."""

    batch: Batch
    slots: range
    split: _Split | None = None  # the batch that this request ran in when the worker died
    place: int = 0  # of the request in that batch
    finals: dict[int, InferenceResponse] = field(default_factory=dict)  # by position, sent before the end
    began: bool = False  # some response was sent, so it cannot be run again
    landed: Outcome | None = None  # the execution is over, and some requests were left to response senders
    told: bool = False  # that it landed
    retried: bool = False  # it ran before, alone, on a worker that ended


@dataclass(slots=True)
class _Split:
    """A batch whose requests are run again one by one."""

    batch: Batch
    responses: dict[int, InferenceResponse] = field(default_factory=dict)
    delivered: set[int] = field(default_factory=set)
    again: set[int] = field(default_factory=set)


class Flights:
    """What was given to a worker and is not done.

    Args:
        finished: told of every batch, once: the worker is free, and all requests are answered.
        landed: told when only the first of these is true; then ``answered`` is, instead of ``finished``,
            when the second is, too.
    """

    def __init__(
        self,
        finished: Callable[[Batch, Outcome], None],
        landed: Callable[[], None] = lambda: None,
        answered: Callable[[Batch, Outcome], None] = lambda batch, outcome: None,
    ) -> None:
        self._finished = finished
        self._landed = landed
        self._answered = answered
        self._flying: dict[int, Flight] = {}
        self._open: dict[int, Flight] = {}  # landed
        self._kept: set[int] = set()  # their slots
        self._grounded: deque[Flight] = deque()  # to be sent before anything new
        self._last_id = 0
        self._next_slot = 0

    def __len__(self) -> int:
        return len(self._flying) + len(self._grounded) + len(self._open)

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
        """The worker is done with a batch; requests in ``outcome.delivered`` are answered by ``respond``."""
        flight = self._flying.pop(flight_id)
        if not outcome.delivered:
            self._deliver(flight, outcome)
            return
        flight.landed = outcome
        if self._all_answered(flight):
            self._close(flight)
            return
        self._open[flight_id] = flight
        self._kept.update(flight.slots)
        if flight.split is None:
            flight.told = True
            self._landed()

    def respond(self, flight_id: int, position: int, response: InferenceResponse, *, final: bool) -> None:
        """The worker sent a response of one request; nothing happens to one that is answered already.

        Raises:
            KeyError: there is no such flight, or no such request in it.
        """
        flight = self._flying.get(flight_id) or self._open[flight_id]
        if not 0 <= position < len(flight.batch.requests):
            raise KeyError(position)
        if position in flight.finals:
            return
        flight.began = True
        if final:
            flight.finals[position] = response
        flight.batch.sent(flight.batch.requests[position], response, final)
        if flight.landed is not None and self._all_answered(flight):
            del self._open[flight_id]
            self._kept.difference_update(flight.slots)
            self._close(flight)

    def crash(self, current: int | None, error: TritiumError, *, retry: Retry) -> None:
        """The worker ended while it ran the flight ``current``, or all of them if it is None.

        What had not begun is kept for the next worker.
        """
        flying, self._flying = self._flying, {}
        landed, self._open = self._open, {}
        self._kept.clear()
        for flight in landed.values():
            self._fail_open(flight, error)
        for flight_id, flight in flying.items():
            if flight_id != current and current is not None and not flight.began:
                self._grounded.append(flight)
            elif flight.began or not self._runs_again(flight, current, retry):
                self.fail(flight, error)
            elif len(flight.batch.requests) > 1:
                self._split(flight.batch)
            else:
                flight.retried = True
                self._grounded.append(flight)

    @staticmethod
    def _runs_again(flight: Flight, current: int | None, retry: Retry) -> bool:
        if retry is Retry.NEIGHBOURS:
            return current is not None and len(flight.batch.requests) > 1
        return retry is Retry.ALL and flight.split is None and not flight.retried

    def fail(self, flight: Flight, error: TritiumError) -> None:
        """Answer a flight, which is no longer flying, with an error."""
        count = len(flight.batch.requests)
        responses = [flight.finals.get(place) or InferenceResponse(error=error) for place in range(count)]
        self._deliver(flight, Outcome(responses, delivered=frozenset(flight.finals)))

    def fail_all(self, error: TritiumError) -> None:
        """Answer everything with an error."""
        flights = [*self._flying.values(), *self._grounded]
        landed = [*self._open.values()]
        self._flying.clear()
        self._grounded.clear()
        self._open.clear()
        self._kept.clear()
        for flight in flights:
            self.fail(flight, error)
        for flight in landed:
            self._fail_open(flight, error)

    def _fail_open(self, flight: Flight, error: TritiumError) -> None:
        assert flight.landed is not None
        for place in flight.landed.delivered:
            if place not in flight.finals:
                failed = flight.finals[place] = InferenceResponse(error=error)
                flight.batch.sent(flight.batch.requests[place], failed, True)
        self._close(flight)

    @staticmethod
    def _all_answered(flight: Flight) -> bool:
        assert flight.landed is not None
        return flight.finals.keys() >= flight.landed.delivered

    def _close(self, flight: Flight) -> None:
        """Everything about a landed flight is known."""
        outcome = flight.landed
        assert outcome is not None
        for place, response in flight.finals.items():
            outcome.responses[place] = response
        self._deliver(flight, outcome)

    def _split(self, batch: Batch) -> None:
        split = _Split(batch)
        for place, request in enumerate(batch.requests):
            alone = Batch([request], request.batch_size, batch.dispatched_ns, batch.done, batch.sent)
            self._grounded.append(Flight(alone, self._slots(1), split, place))

    def _deliver(self, flight: Flight, outcome: Outcome) -> None:
        split = flight.split
        if split is None:
            (self._answered if flight.told else self._finished)(flight.batch, outcome)
            return
        split.responses[flight.place] = outcome.responses[0]
        if outcome.delivered:
            split.delivered.add(flight.place)
        if outcome.again:
            split.again.add(flight.place)
        if len(split.responses) == len(split.batch.requests):
            responses = [split.responses[place] for place in sorted(split.responses)]
            again, delivered = frozenset(split.again), frozenset(split.delivered)
            self._finished(split.batch, Outcome(responses, delivered=delivered, again=again))

    def _slots(self, count: int) -> range:
        while True:
            if self._next_slot + count > SLOTS:
                self._next_slot = 0
            taken = range(self._next_slot, self._next_slot + count)
            self._next_slot += count
            if not self._kept or self._kept.isdisjoint(taken):
                return taken
