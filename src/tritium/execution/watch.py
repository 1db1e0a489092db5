"""Looks after a worker that may never answer: stopped by a signal, or busy beyond its limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tritium.execution.worker import Worker

_PERIOD_S = 0.5


class StoppedWatch:
    """Tells when the worker's process has been stopped (SIGSTOP) for ``limit_s``. Busy is not stopped."""

    def __init__(
        self, limit_s: float, worker: Callable[[], Worker | None], on_stopped: Callable[[], None]
    ) -> None:
        self._limit_s = limit_s
        self._worker = worker
        self._on_stopped = on_stopped
        self._since_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on, twice a second."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(_PERIOD_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now_s = time.monotonic()
        worker = self._worker()
        if worker is None or not worker.stopped():
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s >= self._limit_s:
            self._since_s = None
            self._on_stopped()
        self.start()


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
