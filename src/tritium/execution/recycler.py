"""When a worker has served enough and is to be replaced, healthy as it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecycleLimits:
    """None for no limit."""

    requests: int | None = None
    resident_bytes: int | None = None


class Recycler:
    """Counts what one worker has served."""

    def __init__(self, limits: RecycleLimits) -> None:
        self._limits = limits
        self._requests = 0

    def answered(self, requests: int) -> str | None:
        """So many more were answered: why the worker is to be replaced, if it is."""
        self._requests += requests
        if self._limits.requests is None or self._requests < self._limits.requests:
            return None
        return f"has answered {self._requests} requests"

    def grown(self, resident_bytes: int) -> str | None:
        """The size of the process: why it is to be replaced, if it is."""
        limit = self._limits.resident_bytes
        if limit is None or resident_bytes <= limit:
            return None
        return f"uses {resident_bytes >> 20} MB, more than {limit >> 20}"
