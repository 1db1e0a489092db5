"""Replies for what went wrong, the same for every endpoint."""

from __future__ import annotations

import logging

from tritium.errors import InternalError, TritiumError, UnavailableError
from tritium.frontends.http.exchange import JSON, Exchange, HttpRefusal
from tritium.protocol.json_codec import encode_error
from tritium.protocol.status import status_of

logger = logging.getLogger("tritium.http")


def respond_error(exchange: Exchange, error: Exception, content_type: bytes) -> None:
    """The reply for anything that was raised while ``exchange`` was handled."""
    if isinstance(error, HttpRefusal):
        exchange.respond(error.status, [encode_error(str(error))], content_type=JSON)
        return
    told = as_tritium_error(error)
    extra = extra_headers(told)
    exchange.respond(status_of(told).http, [encode_error(told)], content_type=content_type, extra=extra)


def as_tritium_error(error: Exception) -> TritiumError:
    """What a client is told of anything that was raised; a fault of the server goes to the log."""
    if isinstance(error, TritiumError):
        return error
    logger.error("a handler failed", exc_info=error)
    return InternalError("internal error; the server's log has the details")


def extra_headers(error: TritiumError) -> bytes:
    """Header lines that go with an error, each ended by CRLF."""
    return b"Retry-After: 1\r\n" if isinstance(error, UnavailableError) else b""
