"""What every batching policy offers to the runner: pure, driven by calls, with time as an argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tritium.core.request import InferenceRequest
from tritium.errors import TritiumError


class BatchPolicy(Protocol):
    """Holds the requests of one model that wait, and says which of them run next.

    ``collects`` says whether it makes batches of several.
    """

    collects: bool

    def add(self, request: InferenceRequest, now_us: int) -> None:
        """Queue ``request``.

        Raises:
            UnavailableError: the queue is full.
        """
        ...

    def next_batch(self, now_us: int) -> list[InferenceRequest] | None:
        """The requests to run now on a free instance, or None while nothing should run yet.

        Those that have waited too long are taken out by ``take_expired`` before.
        """
        ...

    def next_wakeup_us(self) -> int | None:
        """When ``next_batch`` may change its answer although nothing was added; None for never."""
        ...

    def take_expired(self, now_us: int) -> Sequence[tuple[InferenceRequest, TritiumError]]:
        """Requests that have waited longer than they may, and what to tell them; they have left the queue."""
        ...

    def next_expiry_us(self) -> int | None:
        """When ``take_expired`` has something next, whether an instance is free or not; None for never."""
        ...

    def take_cancelled(self) -> list[InferenceRequest]:
        """Requests found cancelled since the last call; they have left the queue and never run."""
        ...

    def take_all(self) -> list[InferenceRequest]:
        """Empty the queue: everything that waits, in order."""
        ...

    def __len__(self) -> int:
        """Requests that wait."""
        ...
