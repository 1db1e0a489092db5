"""A live sequence, and those that wait for a slot, in order of arrival, with their time-outs. Pure."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tritium.core.request import InferenceRequest
from tritium.core.tensor import Tensor
from tritium.scheduling.sequence_state import State

_SLACK = 16  # time-outs of sequences that wait no more, beside as many as wait


@dataclass(slots=True)
class LiveSequence:
    """A sequence that has begun and not ended.

    ``active`` is the request that is offered to an instance or runs there, and ``own_inputs`` are that
    request's inputs as the client sent them.
    """

    key: int | str
    queue: deque[InferenceRequest] = field(default_factory=deque)
    place: tuple[int, int] | None = None  # slot and instance; None in the backlog
    active: InferenceRequest | None = None
    own_inputs: list[Tensor] = field(default_factory=list)
    state: State = field(default_factory=dict)  # as the last answer left it
    running: bool = False  # the active request was given to an instance
    begun: bool = False  # and so was the sequence's START, or an earlier one of them
    ends: bool = False  # the last request that was accepted has the END flag


class Backlog:
    """First in, first out; a sequence whose first request has a time-out leaves by it, too."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, LiveSequence] = OrderedDict()  # by ticket
        self._deadlines: list[tuple[int, int]] = []  # a heap of time and ticket
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, sequence: LiveSequence) -> None:
        """``sequence``, which has a request, waits behind the others."""
        self._tickets += 1
        self._waiting[self._tickets] = sequence
        first = sequence.queue[0]
        if first.timeout_us:
            heapq.heappush(self._deadlines, (first.arrival_ns // 1000 + first.timeout_us, self._tickets))
            if len(self._deadlines) > 2 * len(self._waiting) + _SLACK:
                self._deadlines = [entry for entry in self._deadlines if entry[1] in self._waiting]
                heapq.heapify(self._deadlines)

    def pop(self) -> LiveSequence:
        """The sequence that waited longest.

        Raises:
            KeyError: none waits.
        """
        return self._waiting.popitem(last=False)[1]

    def expired(self, now_us: int) -> Iterator[LiveSequence]:
        """Sequences whose time is over; they leave."""
        while (deadline := self.next_deadline_us()) is not None and deadline <= now_us:
            yield self._waiting.pop(heapq.heappop(self._deadlines)[1])

    def next_deadline_us(self) -> int | None:
        """When the next time-out is over."""
        while self._deadlines and self._deadlines[0][1] not in self._waiting:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def clear(self) -> None:
        """Nothing waits any more."""
        self._waiting.clear()
        self._deadlines.clear()
