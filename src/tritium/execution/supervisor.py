"""When a worker that ended is started again: at once, then with back-off, and not at all for a while after a
crash loop. Pure: time comes as an argument (monotonic seconds).

    CLOSED     workers restart after a growing delay      -> OPEN at the fifth crash within the window
    OPEN       nothing starts, requests are refused       -> HALF_OPEN when the pause is over
    HALF_OPEN  one start is tried                         -> CLOSED by a batch that runs, OPEN by a crash
"""

from __future__ import annotations

from collections import deque
from enum import Enum

CRASH_LIMIT = 5
WINDOW_S = 30.0
FIRST_DELAY_S = 0.05
MAX_DELAY_S = 5.0
FIRST_PAUSE_S = 10.0
MAX_PAUSE_S = 300.0


class BreakerState(Enum):
    """See the module's table."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CrashBreaker:
    """The crashes of all instances of one model, and what follows from them."""

    def __init__(self, *, crash_limit: int = CRASH_LIMIT, window_s: float = WINDOW_S) -> None:
        self._crash_limit = crash_limit
        self._window_s = window_s
        self._crashes: deque[float] = deque()
        self._pause_s = FIRST_PAUSE_S
        self._open_until = 0.0
        self.state = BreakerState.CLOSED

    def record_crash(self, now_s: float) -> float:
        """Count a crash: how many seconds to wait before the worker is started again."""
        self._crashes.append(now_s)
        while self._crashes[0] <= now_s - self._window_s:
            self._crashes.popleft()
        if self.state is BreakerState.HALF_OPEN:
            self._pause_s = min(self._pause_s * 2, MAX_PAUSE_S)
            return self._trip(now_s)
        if self.state is BreakerState.OPEN:
            return self._open_until - now_s
        if len(self._crashes) >= self._crash_limit:
            return self._trip(now_s)
        if len(self._crashes) == 1:
            return 0.0
        return float(min(FIRST_DELAY_S * 2 ** (len(self._crashes) - 2), MAX_DELAY_S))

    def record_start(self) -> None:
        """A worker is started; after a pause this is the probe."""
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN

    def record_success(self) -> None:
        """A batch ran: a probe that succeeds closes the breaker."""
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.CLOSED
            self._crashes.clear()
            self._pause_s = FIRST_PAUSE_S

    @property
    def open(self) -> bool:
        """Whether requests are refused."""
        return self.state is BreakerState.OPEN

    def _trip(self, now_s: float) -> float:
        self.state = BreakerState.OPEN
        self._open_until = now_s + self._pause_s
        return self._pause_s
