"""One HTTP request and the way back to its client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tritium.core.tensor import Buffer
from tritium.protocol.routes import Route

REASONS = {
    200: b"OK", 400: b"Bad Request", 403: b"Forbidden", 404: b"Not Found", 405: b"Not Allowed",
    408: b"Request Timeout", 413: b"Payload Too Large", 414: b"URI Too Long", 417: b"Expectation Failed",
    431: b"Request Header Fields Too Large", 500: b"Internal Server Error", 501: b"Not Implemented",
    503: b"Service Unavailable", 504: b"Gateway Timeout", 505: b"HTTP Version Not Supported",
}  # fmt: skip
JSON = b"application/json"
TEXT = b"text/plain"
BINARY = b"application/octet-stream"


class HttpRefusal(Exception):  # noqa: N818 - it is an answer
    """A request that the HTTP layer itself answers, with a status of HTTP's own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class ReplyPath(Protocol):
    """The connection, as an exchange sees it."""

    def exchange_done(self, exchange: Exchange) -> None:
        """``exchange`` has its reply; send it when its turn comes."""
        ...


class Exchange:
    """A request as it was received, and its reply once there is one.

    ``headers`` are by lower-case name. ``on_abandoned`` is called if the client goes away before the reply.
    """

    __slots__ = (
        "_connection", "body", "headers", "http_1_0", "keep_alive", "method", "on_abandoned", "path", "reply", "route",
    )  # fmt: skip

    def __init__(
        self, connection: ReplyPath, method: bytes, path: str, headers: dict[bytes, bytes], *, http_1_0: bool
    ) -> None:
        self._connection = connection
        self.method = method
        self.path = path
        self.headers = headers
        self.http_1_0 = http_1_0
        self.keep_alive = True
        self.body: Buffer = b""
        self.route: Route | None = None
        self.on_abandoned: Callable[[], None] | None = None
        self.reply: list[Buffer] | None = None

    def respond(
        self,
        status: int,
        body: Sequence[Buffer] = (),
        *,
        content_type: bytes = TEXT,
        extra: bytes = b"",
    ) -> None:
        """Answer. ``extra`` holds further header lines, each ended by CRLF. A second answer is ignored."""
        if self.reply is not None:
            return
        if self.http_1_0 and not self.keep_alive:
            length = b""  # as Triton: the end of the connection ends the body
        else:
            length = b"Content-Length: %d\r\n" % sum(map(len, body))
        kind = b"Content-Type: %b\r\n" % content_type
        fields = length + kind + extra if content_type is TEXT else kind + extra + length
        if not self.keep_alive:
            fields += b"Connection: close\r\n"
        elif self.http_1_0:
            fields += b"Connection: keep-alive\r\n"
        self.reply = [b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, REASONS[status], fields), *body]
        self._connection.exchange_done(self)
