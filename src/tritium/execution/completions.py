"""Results of threads, brought to the loop: however many there are, one wake-up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from tritium.core.interfaces import Batch, Outcome

Finish = Callable[[Batch, Outcome], None]


class Completions:
    """A way from any thread to the loop, for finished batches."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._finished: deque[tuple[Finish, Batch, Outcome]] = deque()
        self._woken = False

    def post(self, finish: Finish, batch: Batch, outcome: Outcome) -> None:
        """Have ``finish`` called on the loop; called by the thread that ran ``batch``."""
        self._finished.append((finish, batch, outcome))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._woken = False  # before the queue is read: what is posted from now on wakes the loop again
        while self._finished:
            finish, batch, outcome = self._finished.popleft()
            finish(batch, outcome)
