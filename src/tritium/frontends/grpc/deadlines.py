"""The deadlines of many calls, with one timer."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

_STEP_S = 0.005  # how much later than asked a short deadline may be noticed


class Expiring(Protocol):
    """Something with a deadline."""

    def expire(self) -> None:
        """It has passed."""
        ...


class Deadlines:
    """Calls by the step in which their deadline falls; adding and taking back cost the same for any number.

    ``wake_at(time_s)`` is called when ``expire`` should be called earlier than was asked for before.
    """

    def __init__(self, wake_at: Callable[[float], None]) -> None:
        self._wake_at = wake_at
        self._steps: dict[int, dict[Expiring, None]] = {}
        self._order: list[int] = []

    def add(self, call: Expiring, deadline_s: float, timeout_s: float) -> int:
        """Watch ``call``, whose deadline is ``timeout_s`` from now: what ``discard`` takes."""
        width = 1 if timeout_s < 10 else 20 if timeout_s < 600 else 1000  # long ones need less precision
        step = (int(deadline_s / _STEP_S) // width + 1) * width
        calls = self._steps.get(step)
        if calls is None:
            calls = self._steps[step] = {}
            heapq.heappush(self._order, step)
            if self._order[0] == step:
                self._wake_at(step * _STEP_S)
        calls[call] = None
        return step

    def discard(self, call: Expiring, step: int) -> None:
        """Watch ``call`` no longer."""
        calls = self._steps.get(step)
        if calls is not None:
            calls.pop(call, None)

    def expire(self, now_s: float) -> None:
        """Tell those whose deadline has passed."""
        while self._order and self._order[0] * _STEP_S <= now_s:
            step = heapq.heappop(self._order)
            for call in self._steps.pop(step):
                call.expire()
        if self._order:
            self._wake_at(self._order[0] * _STEP_S)
