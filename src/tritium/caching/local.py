"""The cache in the server's own memory: a budget of bytes, the least recently used entries go first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from tritium.caching.entry import Entry
from tritium.caching.interface import CacheCounts, Found


class LocalCache:
    """A ResponseCache of at most ``size_bytes``."""

    shared = False

    def __init__(self, size_bytes: int, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.counts = CacheCounts()
        self._size_bytes = size_bytes
        self._used_bytes = 0
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._now_ns = now_ns

    def lookup(self, key: bytes, found: Found) -> None:
        """Call ``found`` at once."""
        began = self._now_ns()
        entry = self.at_hand(key)
        if entry is None:
            self.counts.lookups += 1
            self.counts.lookup_ns += self._now_ns() - began
        found(entry)

    def at_hand(self, key: bytes) -> Entry | None:
        """The entry, if there is one."""
        began = self._now_ns()
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            counts = self.counts
            counts.hits += 1
            counts.lookups += 1
            counts.lookup_ns += self._now_ns() - began
        return entry

    def insert(self, key: bytes, entry: Entry) -> None:
        """Keep ``entry``, in the place of those that were not used for the longest time."""
        began = self._now_ns()
        size = entry.nbytes
        if size <= self._size_bytes:
            self._remove(key)
            while self._used_bytes + size > self._size_bytes:
                self._remove(next(iter(self._entries)))
                self.counts.evictions += 1
            self._entries[key] = entry
            self._used_bytes += size
        self.counts.insertion_ns += self._now_ns() - began

    def _remove(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._used_bytes -= entry.nbytes

    @property
    def entries(self) -> int:
        """How many are kept."""
        return len(self._entries)

    @property
    def utilisation(self) -> float:
        """The used share of the budget."""
        return self._used_bytes / self._size_bytes

    async def open(self) -> None:
        """Nothing to reach."""

    async def close(self) -> None:
        """Nothing to leave."""
