"""How many batches an instance may hold: the one that runs, and enough quick ones that it never waits."""

from __future__ import annotations

_AHEAD_NS = (
    300_000  # work handed over ahead of time: a fraction of a millisecond, so queues stay exact in effect
)
_MAX_AHEAD = 8


class InFlightWindow:
    """Follows how long batches take. An instance whose batches take microseconds gets some in advance."""

    def __init__(self) -> None:
        self._mean_ns = float(_AHEAD_NS)
        self.size = 1

    def note(self, elapsed_ns: int) -> None:
        """A batch took ``elapsed_ns`` in the instance."""
        self._mean_ns += (elapsed_ns - self._mean_ns) / 8
        self.size = (
            1 if self._mean_ns >= _AHEAD_NS else min(_MAX_AHEAD, 1 + int(_AHEAD_NS / (self._mean_ns + 1)))
        )
