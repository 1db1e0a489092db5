"""The queue of a batching scheduler: priority levels, exact bounds, time-outs, cancellation. Pure.

Requests wait in one line: level 1 first, then level 2, and so on; within a level in the order of arrival, and
behind them those of the level whose time is over and whose policy is DELAY. All that a request costs is
O(log n) in the requests that wait and in the levels: the line is a linked list, and time-outs are heaps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from tritium.core.request import InferenceRequest
from tritium.core.schedulers_config import QueuePolicy
from tritium.errors import UnavailableError

_SPARE = 64  # entries of requests that left which a heap may hold, beside as many as wait


class Waiting:
    """A request in the line, and its neighbours there."""

    __slots__ = ("arrival_us", "next", "number", "place", "previous", "quota", "request", "rows", "signature")

    def __init__(
        self, request: InferenceRequest, number: int, place: int, *, quota: Quota, arrival_us: int
    ) -> None:
        self.request = request
        self.number = number
        self.place = place  # twice the level, and one more for requests that are late
        self.quota = quota
        self.arrival_us = arrival_us
        self.rows = request.batch_size
        self.signature: Hashable = None
        self.previous: Waiting | None = None
        self.next: Waiting | None = None


@dataclass(slots=True)
class Quota:
    """How many requests may wait, and how many do."""

    limit: int
    used: int = 0


class Deadlines:
    """Requests by when their time is over, the first one first."""

    def __init__(self, waiting: Mapping[int, Waiting]) -> None:
        self._waiting = waiting
        self._heap: list[tuple[int, int]] = []  # deadline in us, number; also of requests that left

    def add(self, deadline_us: int, number: int) -> None:
        """Request ``number`` has time until ``deadline_us``."""
        if len(self._heap) > 2 * len(self._waiting) + _SPARE:
            self._heap = [entry for entry in self._heap if entry[1] in self._waiting]
            heapify(self._heap)
        heappush(self._heap, (deadline_us, number))

    def next_us(self) -> int | None:
        """When the time of a request is over next; None for never."""
        heap = self._heap
        while heap and heap[0][1] not in self._waiting:
            heappop(heap)
        return heap[0][0] if heap else None

    def take(self, now_us: int) -> list[Waiting]:
        """Those whose time is over, in the order of their arrival."""
        numbers = []
        while self._heap and self._heap[0][0] <= now_us:
            numbers.append(heappop(self._heap)[1])
        return [self._waiting[number] for number in sorted(numbers) if number in self._waiting]


@dataclass(slots=True)
class _Level:
    policy: QueuePolicy
    quota: Quota


@dataclass(slots=True)
class QueueSettings:
    """How a queue treats its requests.

    ``max_queue_size`` is the bound of all levels together whose policy has none.
    """

    max_queue_size: int
    levels: int = 0  # 0: one level, and the priority of requests means nothing
    default_level: int = 0
    default_policy: QueuePolicy = field(default_factory=QueuePolicy)
    policies: Mapping[int, QueuePolicy] = field(default_factory=dict)  # by level


class RequestQueue:
    """The line of one model. ``head`` is who would run next; ``removals`` grows whenever somebody leaves."""

    def __init__(self, settings: QueueSettings) -> None:
        self._default_level = settings.default_level if settings.levels else 0
        shared = Quota(settings.max_queue_size)
        levels = range(1, settings.levels + 1) if settings.levels else (0,)
        self._levels = {
            level: _level(settings.policies.get(level, settings.default_policy), shared) for level in levels
        }
        self.head: Waiting | None = None
        self.removals = 0
        self._waiting: dict[int, Waiting] = {}
        self._numbers = 0
        self._places: list[int] = []  # that somebody waits in, ascending
        self._tails: dict[int, Waiting] = {}  # the last one of each place
        self._reject = Deadlines(self._waiting)
        self._delay = Deadlines(self._waiting)
        self._cancelled: list[InferenceRequest] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        entry = self.head
        while entry is not None:
            yield entry
            entry = entry.next

    def add(self, request: InferenceRequest, now_us: int) -> Waiting:
        """Let ``request`` wait; its time counts from ``now_us``.

        Raises:
            UnavailableError: the queue of its level is full.
        """
        number = request.priority
        level = self._levels.get(number) or self._levels[number := self._default_level]
        quota = level.quota
        if quota.used >= quota.limit:
            raise UnavailableError(f"{request.label} Exceeds maximum queue size")
        quota.used += 1
        self._numbers += 1
        entry = Waiting(request, self._numbers, 2 * number, quota=quota, arrival_us=now_us)
        self._waiting[entry.number] = entry
        self._insert(entry)
        timeout_us = _timeout_us(level.policy, request)
        if timeout_us:
            deadlines = self._reject if level.policy.timeout_action == "REJECT" else self._delay
            deadlines.add(now_us + timeout_us, entry.number)
        if request.stream.cancelled:
            self._on_cancel(entry.number)
        else:
            request.stream.wait(entry.number, self._on_cancel)
        return entry

    def remove(self, entry: Waiting) -> None:
        """Take ``entry`` out of the line."""
        del self._waiting[entry.number]
        entry.quota.used -= 1
        self._unlink(entry)

    def delay_late(self, now_us: int) -> None:
        """Put requests whose time is over, and who may still run, behind their level."""
        for entry in self._delay.take(now_us):
            self._unlink(entry)
            entry.place |= 1
            self._insert(entry)

    def take_late(self, now_us: int) -> list[InferenceRequest]:
        """Take out the requests whose time is over and who may not run any more."""
        late = self._reject.take(now_us)
        for entry in late:
            self.remove(entry)
        return [entry.request for entry in late]

    def next_deadline_us(self) -> int | None:
        """When ``take_late`` has something next; None for never."""
        return self._reject.next_us()

    def take_cancelled(self) -> list[InferenceRequest]:
        """Requests that left since the last call because their clients had gone."""
        taken, self._cancelled = self._cancelled, []
        return taken

    def _on_cancel(self, number: int) -> None:
        entry = self._waiting.get(number)
        if entry is not None:
            self.remove(entry)
            self._cancelled.append(entry.request)

    def _insert(self, entry: Waiting) -> None:
        """Link ``entry`` behind everybody of its place and of those before."""
        place = entry.place
        before = self._tails.get(place)
        if before is None:
            index = bisect_right(self._places, place)
            before = self._tails[self._places[index - 1]] if index else None
            insort(self._places, place)
        self._tails[place] = entry
        after = self.head if before is None else before.next
        entry.previous, entry.next = before, after
        if before is None:
            self.head = entry
        else:
            before.next = entry
        if after is not None:
            after.previous = entry

    def _unlink(self, entry: Waiting) -> None:
        self.removals += 1
        before, after, place = entry.previous, entry.next, entry.place
        if before is None:
            self.head = after
        else:
            before.next = after
        if after is not None:
            after.previous = before
        if self._tails[place] is entry:
            if before is not None and before.place == place:
                self._tails[place] = before
            else:
                del self._tails[place]
                del self._places[bisect_left(self._places, place)]
        entry.previous = entry.next = None


def _level(policy: QueuePolicy, shared: Quota) -> _Level:
    return _Level(policy, Quota(policy.max_queue_size) if policy.max_queue_size else shared)


def _timeout_us(policy: QueuePolicy, request: InferenceRequest) -> int:
    """How long ``request`` may wait, 0 for ever. As in Triton a client can only shorten the policy's time."""
    timeout_us = policy.default_timeout_microseconds
    if policy.allow_timeout_override and 0 < request.timeout_us < timeout_us:
        return request.timeout_us
    return timeout_us
