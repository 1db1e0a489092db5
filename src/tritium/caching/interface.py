"""What a response cache offers, wherever its entries are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tritium.caching.entry import Entry

Found = Callable[[Entry | None], None]


@dataclass(slots=True)
class CacheCounts:
    """What a cache has done since the server started. Durations in ns."""

    lookups: int = 0
    hits: int = 0
    evictions: int = 0
    lookup_ns: int = 0
    insertion_ns: int = 0


class ResponseCache(Protocol):
    """Entries by key. Lives on the loop's thread."""

    shared: bool  # with other servers, or with this one when it was started before
    counts: CacheCounts

    def lookup(self, key: bytes, found: Found) -> None:
        """Call ``found`` with the entry or None, at once or later. A failure of the store is None."""
        ...

    def at_hand(self, key: bytes) -> Entry | None:
        """The entry if it is here, counted as a lookup; None, which says nothing and is not counted, else."""
        ...

    def insert(self, key: bytes, entry: Entry) -> None:
        """Keep ``entry``, if there is room for it at all."""
        ...

    @property
    def entries(self) -> int | None:
        """How many are kept; None if only the store knows."""
        ...

    @property
    def utilisation(self) -> float | None:
        """The used share of the memory, 0 to 1; None if only the store knows."""
        ...

    async def open(self) -> None:
        """Reach the store.

        Raises:
            TritiumError: it cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Leave it."""
        ...
