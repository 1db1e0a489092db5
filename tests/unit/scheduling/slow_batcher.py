"""Dynamic batching written for being read: every question is answered from a plain list, from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from tritium.core.request import InferenceRequest
from tritium.core.schedulers_config import QueuePolicy


@dataclass
class Case:
    """The settings of one batcher; ``policies`` has every level."""

    max_rows: int
    preferred: frozenset[int]
    delay_us: int
    policies: Mapping[int, QueuePolicy]
    default_level: int

    def level(self, request: InferenceRequest) -> int:
        return request.priority if request.priority in self.policies else self.default_level


@dataclass
class Waiter:
    """A request that waits. Who is late and delayed gets the next ``late`` number."""

    request: InferenceRequest
    number: int
    level: int
    arrival_us: int
    deadline_us: int | None
    late: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.request.inputs[0].shape[1:]


class SlowBatcher:
    """What ``DynamicBatcher`` should do."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.waiting: list[Waiter] = []
        self.arrivals = 0
        self.delayed = 0

    def line(self) -> list[Waiter]:
        return sorted(self.waiting, key=lambda w: (w.level, w.late > 0, w.late or w.number))

    def accepts(self, request: InferenceRequest) -> bool:
        level = self.case.level(request)
        limit = self.case.policies[level].max_queue_size
        return sum(w.level == level for w in self.waiting) < limit

    def add(self, request: InferenceRequest, now_us: int) -> None:
        level = self.case.level(request)
        policy = self.case.policies[level]
        timeout_us = policy.default_timeout_microseconds
        if policy.allow_timeout_override and request.timeout_us:
            timeout_us = min(timeout_us, request.timeout_us)
        self.arrivals += 1
        deadline_us = now_us + timeout_us if timeout_us else None
        self.waiting.append(Waiter(request, self.arrivals, level, now_us, deadline_us))

    def leave(self, request: InferenceRequest) -> None:
        self.waiting = [w for w in self.waiting if w.request is not request]

    def due(self, action: str, now_us: int) -> list[Waiter]:
        """Those whose time is over and has to have this consequence."""
        return [
            w
            for w in self.waiting
            if w.deadline_us is not None
            and w.deadline_us <= now_us
            and self.case.policies[w.level].timeout_action == action
        ]

    def next_expiry_us(self) -> int | None:
        times = [
            w.deadline_us
            for w in self.waiting
            if w.deadline_us is not None and self.case.policies[w.level].timeout_action == "REJECT"
        ]
        return min(times, default=None)

    def take_expired(self, now_us: int) -> list[InferenceRequest]:
        late = [w.request for w in self.due("REJECT", now_us)]
        for request in late:
            self.leave(request)
        return late

    def next_batch(self, now_us: int) -> list[InferenceRequest] | None:
        for waiter in self.due("DELAY", now_us):
            if not waiter.late:
                self.delayed += 1
                waiter.late = self.delayed
        line = self.line()
        if not line:
            return None
        count = self.count(line, now_us)
        batch = [waiter.request for waiter in line[:count]]
        for request in batch:
            self.leave(request)
        return batch or None

    def count(self, line: Sequence[Waiter], now_us: int) -> int:
        """How many of the line leave now."""
        case = self.case
        sums = list(accumulate(w.request.batch_size for w in line))
        most = 0  # who can run together
        while most < len(line) and sums[most] <= case.max_rows and line[most].shape == line[0].shape:
            most += 1
        if case.delay_us and now_us - min(w.arrival_us for w in line[:most]) >= case.delay_us:
            return most
        exact = [i + 1 for i in range(most) if sums[i] in case.preferred]
        if exact:
            return exact[-1]
        aim = max(case.preferred, default=case.max_rows)
        below = sum(rows <= aim for rows in sums[:most])
        if below < len(line) and sums[below] > aim:
            return max(below, 1)
        joined = most < len(line)
        return most if joined or not case.delay_us or sums[most - 1] >= case.max_rows else 0

    def next_wakeup_us(self) -> int | None:
        line = self.line()
        if not line:
            return None
        sums = accumulate(w.request.batch_size for w in line)
        together = []
        for waiter, rows in zip(line, sums, strict=True):
            if rows > self.case.max_rows or waiter.shape != line[0].shape:
                break
            together.append(waiter.arrival_us)
        return min(together) + self.case.delay_us
