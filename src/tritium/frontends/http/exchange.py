"""One HTTP request and the way back to its client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tritium.core.tensor import Buffer
from tritium.frontends.http.head import RequestHead

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

    ``on_abandoned`` is called if the client goes away before the reply; ``abandoned`` says that it did.
    """

    __slots__ = ("_connection", "abandoned", "body", "head", "keep_alive", "on_abandoned", "reply")

    def __init__(self, connection: ReplyPath, head: RequestHead, body: Buffer) -> None:
        self._connection = connection
        self.head = head
        self.body = body
        self.keep_alive = head.keep_alive
        self.abandoned = False
        self.on_abandoned: Callable[[], None] | None = None
        self.reply: list[Buffer] | None = None

    def abandon(self) -> None:
        """The client is gone."""
        self.abandoned = True
        if self.on_abandoned is not None:
            self.on_abandoned()

    def respond(
        self,
        status: int,
        body: Sequence[Buffer] = (),
        *,
        content_type: bytes = TEXT,
        extra: bytes = b"",
    ) -> bytes:
        """Answer: the head that was sent, which ``respond_again`` takes. A second answer is ignored.

        Args:
            extra: further header lines, each ended by CRLF.
        """
        rendered = self._render(status, sum(map(len, body)), content_type, extra)
        self.respond_again(rendered, body)
        return rendered

    def respond_again(self, rendered: bytes, body: Sequence[Buffer]) -> None:
        """Answer with a head that was rendered for the same request head and a body of the same length."""
        if self.reply is None:
            self.reply = [rendered] if self.head.method == b"HEAD" else [rendered, *body]
            self.on_abandoned = None
            self._connection.exchange_done(self)

    def _render(self, status: int, size: int, content_type: bytes, extra: bytes) -> bytes:
        http_1_0 = self.head.http_1_0
        # As Triton: without keep-alive, the end of an HTTP/1.0 connection ends the body.
        length = b"" if http_1_0 and not self.keep_alive else b"Content-Length: %d\r\n" % size
        kind = b"Content-Type: %b\r\n" % content_type
        fields = length + kind + extra if content_type is TEXT else kind + extra + length
        if not self.keep_alive:
            fields += b"Connection: close\r\n"
        elif http_1_0:
            fields += b"Connection: keep-alive\r\n"
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, REASONS[status], fields)
