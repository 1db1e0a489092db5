"""Looks after a worker that may never answer: stopped by a signal, stalled, or busy beyond its limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tritium.execution.worker import Worker
from tritium.execution.worker_end import EndReason, WorkerEnd, worker_end

_PERIOD_S = 0.5


class WorkerWatch:
    """Looks at one worker after the other, twice a second. Busy is neither stopped nor stalled.

    Args:
        stopped_limit_s: how long the process may be stopped (SIGSTOP).
        stalled_limit_s: how long it may send nothing in the middle of a message.
        on_bad: told how the worker is to end.
        on_size: told the resident bytes of a worker that is well.
    """

    def __init__(
        self,
        stopped_limit_s: float,
        stalled_limit_s: float,
        worker: Callable[[], Worker | None],
        *,
        on_bad: Callable[[WorkerEnd], None],
        on_size: Callable[[int], None],
    ) -> None:
        self._stopped = _Lasting(stopped_limit_s)
        self._stalled = _Lasting(stalled_limit_s)
        self._worker = worker
        self._on_bad = on_bad
        self._on_size = on_size
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on, at a worker that is new."""
        self.stop()
        self._stopped.since_s = self._stalled.since_s = None
        self._timer = asyncio.get_running_loop().call_later(_PERIOD_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_PERIOD_S, self._look)
        worker = self._worker()
        if worker is None:
            return
        now_s = time.monotonic()
        state = worker.state()
        stalled = worker.take_stalled()  # asked each time: it tells what came since the last time
        if self._stopped.note(state is not None and state.stopped, now_s):
            text = f"was stopped for {self._stopped.limit_s:.1f} s and was ended"
            self._on_bad(worker_end(EndReason.STOPPED, text))
        elif self._stalled.note(stalled, now_s):
            text = (
                f"sent a part of a message and nothing more for {self._stalled.limit_s:.1f} s and was ended"
            )
            self._on_bad(worker_end(EndReason.PROTOCOL, text))
        elif state is not None:
            self._on_size(state.resident_bytes)


class _Lasting:
    """Something that may be true for a while."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.since_s: float | None = None

    def note(self, holds: bool, now_s: float) -> bool:
        """Whether it has been true at every look for the limit."""
        if not holds:
            self.since_s = None
            return False
        if self.since_s is None:
            self.since_s = now_s
        return now_s - self.since_s >= self.limit_s


class Deadline:
    """Gives the batch that runs its time: ``limit_s`` from when it began."""

    def __init__(self, limit_s: float, on_passed: Callable[[float], None]) -> None:
        self._limit_s = limit_s
        self._on_passed = on_passed
        self._timer: asyncio.TimerHandle | None = None

    def began(self) -> None:
        """A batch was sent to an idle worker, or the next one began when another ended."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(self._limit_s, self._on_passed, self._limit_s)

    def stop(self) -> None:
        """No batch runs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
