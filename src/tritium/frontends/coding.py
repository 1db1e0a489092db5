"""The codings that HTTP bodies and gRPC messages share: gzip and deflate, bounded on the way in."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from tritium.core.tensor import Buffer

WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_LEVEL = 1  # tensors gain little from more, and cost much
_CHUNK_BYTES = 1 << 20


class DamagedError(Exception):
    """The data are no complete stream of their coding; the text says why."""


class TooLargeError(Exception):
    """The data are larger than allowed."""

    def __init__(self, size: int) -> None:
        super().__init__(f"at least {size} bytes")
        self.size = size


def inflate(data: Buffer, coding: str, limit: int) -> bytes:
    """The decoded data; no more than a chunk beyond ``limit`` bytes is ever decoded.

    Raises:
        DamagedError: they are corrupt, cut short, or something follows them.
        TooLargeError: there are more than ``limit`` bytes.
    """
    decoder = zlib.decompressobj(WINDOW_BITS[coding])
    parts: list[bytes] = []
    size = 0
    rest: Buffer = data
    try:
        while not decoder.eof:
            part = decoder.decompress(rest, _CHUNK_BYTES)
            rest = decoder.unconsumed_tail
            size += len(part)
            if size > limit:
                raise TooLargeError(size)
            parts.append(part)
            if not part and not rest:
                break
    except zlib.error as error:
        raise DamagedError(str(error)) from None
    if not decoder.eof or decoder.unused_data:
        raise DamagedError("data follow its end" if decoder.eof else "it is cut short")
    return b"".join(parts)


def deflate(buffers: Iterable[Buffer], coding: str) -> list[Buffer]:
    """The encoded data, in pieces."""
    encoder = zlib.compressobj(_LEVEL, zlib.DEFLATED, WINDOW_BITS[coding])
    parts: list[Buffer] = [encoder.compress(buffer) for buffer in buffers]
    parts.append(encoder.flush())
    return parts
