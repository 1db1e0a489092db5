"""How often the workers of one model ended, why, and when the next one may start."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tritium.execution.supervisor import CrashBreaker
from tritium.execution.worker_end import EndReason


class Restarts:
    """Shared by the instances of a model."""

    def __init__(self) -> None:
        self.breaker = CrashBreaker()
        self.broken_text = ""  # why requests are refused while the breaker is open
        self._counts = dict.fromkeys(EndReason, 0)

    def crashed(self, name: str, reason: EndReason, text: str) -> float:
        """A worker of the instance ``name`` ended: how many seconds to wait before it is started again."""
        self.broken_text = f"model instance '{name}' crashed repeatedly and is paused: its worker last {text}"
        self._counts[reason] += 1
        return self.breaker.record_crash(time.monotonic())

    def recycled(self) -> None:
        """A worker is replaced, and nothing is wrong with it."""
        self._counts[EndReason.RECYCLED] += 1

    def by_reason(self) -> Mapping[str, int]:
        """All reasons, those that never happened with 0."""
        return {reason.value: count for reason, count in self._counts.items()}
