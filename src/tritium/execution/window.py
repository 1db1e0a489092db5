"""How many batches an instance may hold: the one that runs, and enough quick ones that it never waits."""

from __future__ import annotations

AHEAD_NS = 300_000  # work handed over ahead of time: little, for what waits in a queue can still get company
IN_ORDER_AHEAD_NS = 1_000_000  # where no request gets company, and one runs after the other as they came
_MAX_AHEAD = 8
_UNKNOWN = 4.0


class InFlightWindow:
    """Follows how long batches take. An instance whose batches take microseconds gets some in advance.

    Args:
        ahead_ns: how much work is handed over in advance.
    """

    def __init__(self, ahead_ns: int = AHEAD_NS) -> None:
        self._ahead_ns = ahead_ns
        self._mean_ns = _UNKNOWN * float(ahead_ns)  # a few quick batches are no proof yet
        self.size = 1

    def note(self, elapsed_ns: int) -> None:
        """A batch took ``elapsed_ns`` in the instance."""
        self._mean_ns += (elapsed_ns - self._mean_ns) / 8
        ahead = int(self._ahead_ns / (self._mean_ns + 1)) if self._mean_ns < self._ahead_ns else 0
        self.size = min(_MAX_AHEAD, 1 + ahead)
