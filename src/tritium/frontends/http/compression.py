"""Content codings of HTTP bodies: gzip and deflate, bounded on the way in."""

from __future__ import annotations

import zlib

from tritium.core.tensor import Buffer
from tritium.errors import InvalidArgumentError
from tritium.frontends.http.body import too_large

_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_LEVEL = 1  # tensors gain little from more, and cost much
_CHUNK_BYTES = 1 << 20


def decompress(body: Buffer, coding: str, limit: int) -> bytes:
    """The decoded body.

    Raises:
        InvalidArgumentError: it is corrupt or cut short.
        HttpRefusal: it is larger than ``limit`` bytes.
    """
    decoder = zlib.decompressobj(_WINDOW[coding])
    parts: list[bytes] = []
    size = 0
    rest: Buffer = body
    try:
        while not decoder.eof:
            part = decoder.decompress(rest, _CHUNK_BYTES)
            rest = decoder.unconsumed_tail
            size += len(part)
            if size > limit:
                raise too_large(size, limit)
            parts.append(part)
            if not part and not rest:
                break
    except zlib.error as error:
        raise InvalidArgumentError(f"request body is not valid {coding}: {error}") from None
    if not decoder.eof or decoder.unused_data:
        detail = "data follow its end" if decoder.eof else "it is cut short"
        raise InvalidArgumentError(f"request body is not valid {coding}: {detail}")
    return b"".join(parts)


def compress(buffers: list[Buffer], coding: str) -> list[Buffer]:
    """The encoded body."""
    encoder = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[coding])
    parts: list[Buffer] = [encoder.compress(buffer) for buffer in buffers]
    parts.append(encoder.flush())
    return parts


def preferred_coding(accept: bytes) -> str | None:
    """The coding of a reply for an Accept-Encoding header: the heaviest of those we have, None for identity.

    The first wins on ties; ``*`` and weights of 0 are ignored, as Triton does.
    """
    best, best_weight = "identity", 0.0
    for item in accept.decode("latin-1").split(","):
        coding, _, parameters = item.strip().lower().partition(";")
        weight = _weight(parameters)
        if coding.strip() in ("identity", *_WINDOW) and weight > best_weight:
            best, best_weight = coding.strip(), weight
    return None if best == "identity" else best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
