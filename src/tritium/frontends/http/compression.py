"""Content codings of HTTP bodies: gzip and deflate, bounded on the way in."""

from __future__ import annotations

from tritium.core.tensor import Buffer
from tritium.errors import InvalidArgumentError
from tritium.frontends.coding import WINDOW_BITS, DamagedError, TooLargeError, inflate
from tritium.frontends.http.body import too_large


def decompress(body: Buffer, coding: str, limit: int) -> bytes:
    """The decoded body.

    Raises:
        InvalidArgumentError: it is corrupt or cut short.
        HttpRefusal: it is larger than ``limit`` bytes.
    """
    try:
        return inflate(body, coding, limit)
    except TooLargeError as error:
        raise too_large(error.size, limit) from None
    except DamagedError as error:
        raise InvalidArgumentError(f"request body is not valid {coding}: {error}") from None


def preferred_coding(accept: bytes) -> str | None:
    """The coding of a reply for an Accept-Encoding header: the heaviest of those we have, None for identity.

    The first wins on ties; ``*`` and weights of 0 are ignored, as Triton does.
    """
    best, best_weight = "identity", 0.0
    for item in accept.decode("latin-1").split(","):
        coding, _, parameters = item.strip().lower().partition(";")
        weight = _weight(parameters)
        if coding.strip() in ("identity", *WINDOW_BITS) and weight > best_weight:
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
