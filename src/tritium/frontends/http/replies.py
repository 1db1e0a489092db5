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
    if not isinstance(error, TritiumError):
        logger.error("a handler failed", exc_info=error)
        error = InternalError("internal error; the server's log has the details")
    extra = b"Retry-After: 1\r\n" if isinstance(error, UnavailableError) else b""
    exchange.respond(status_of(error).http, [encode_error(error)], content_type=content_type, extra=extra)
