"""One shared page between a server and a worker: which batch runs, and what clients do."""

from __future__ import annotations

import mmap
import struct

_CURRENT = struct.Struct("<I")
_FLAGS_AT = 64
SLOTS = 65536 - _FLAGS_AT  # more than can be in flight
BYTES = 65536
_CANCELLED = 1
_PAUSED = 2


class Board:
    """Bytes in shared memory. The worker writes the current batch, the server the cancel flags."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, BYTES)

    def start(self, batch_id: int) -> None:
        """The worker begins ``batch_id``; 0 means that it runs none."""
        _CURRENT.pack_into(self._map, 0, batch_id)

    def current(self) -> int:
        """The batch that runs, or ran when the worker died."""
        return int(_CURRENT.unpack_from(self._map, 0)[0])

    def clear(self, slot: int) -> None:
        """A request takes ``slot``: nobody has cancelled it."""
        self._map[_FLAGS_AT + slot] = 0

    def cancel(self, slot: int) -> None:
        """The client of the request in ``slot`` has gone."""
        self._map[_FLAGS_AT + slot] |= _CANCELLED

    def cancelled(self, slot: int) -> bool:
        """Whether the client of a request in flight has gone."""
        return bool(self._map[_FLAGS_AT + slot] & _CANCELLED)

    def pause(self, slot: int, paused: bool) -> None:
        """The client of the request in ``slot`` reads slower than it is answered, or can take more."""
        flags = self._map[_FLAGS_AT + slot]
        self._map[_FLAGS_AT + slot] = flags | _PAUSED if paused else flags & ~_PAUSED

    def paused(self, slot: int) -> bool:
        """Whether no more responses should be sent for now."""
        return bool(self._map[_FLAGS_AT + slot] & _PAUSED)
