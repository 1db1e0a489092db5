"""The next request of a client that sends a large body again and again: head and body in one buffer.

Such a client's head is known before it is received, and so is the length of what follows, so the whole
request can be read at once into memory of its own, with nothing to copy afterwards.
"""

from __future__ import annotations

import numpy as np

from tritium.frontends.http.head import RequestHead

MIN_BYTES = 1 << 18  # smaller requests come in one read anyway
MAX_BYTES = 1 << 24  # larger requests take much longer than a copy of their first piece


class RepeatedRequest:
    """Where a request that begins with ``raw``, a known head with a length, is expected.

    Args:
        raw: the bytes of the head, blank line included.
    """

    __slots__ = ("_buffer", "_raw", "head", "head_bytes")

    def __init__(self, raw: bytes, head: RequestHead) -> None:
        self.head = head
        self.head_bytes = len(raw)
        self._raw = raw
        self._buffer: memoryview | None = None

    def space(self) -> memoryview:
        """Where the transport writes the request: exactly as long as it."""
        if self._buffer is None:
            self._buffer = new_buffer(self.head_bytes + (self.head.length or 0))
        return self._buffer

    def take(self, count: int) -> tuple[memoryview, memoryview | None]:
        """What was received into ``space``, ``count`` bytes, and the body's place if it is that request."""
        assert self._buffer is not None
        buffer, self._buffer, length = self._buffer, None, self.head_bytes
        known = count >= length and buffer[:length] == self._raw
        return buffer[:count], buffer[length:] if known else None

    def rest(self) -> None:
        """Hold no memory while nothing comes."""
        self._buffer = None


def new_buffer(size: int) -> memoryview:
    """``size`` bytes, not zeroed."""
    return np.empty(size, np.uint8).data
