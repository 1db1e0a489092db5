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
EVENT_STREAM = b"text/event-stream; charset=utf-8"

PAUSE_BYTES = (
    65536  # pieces that wait for the client, from which on no more are wanted: as a transport's buffer
)
# What may wait of a producer that cannot be paused, before the client is cut off.
MAX_WAITING_BYTES = 16 << 20


class HttpRefusal(Exception):  # noqa: N818 - it is an answer
    """A request that the HTTP layer itself answers, with a status of HTTP's own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class ReplyPath(Protocol):
    """The connection, as an exchange sees it."""

    def exchange_done(self, exchange: Exchange) -> None:
        """``exchange`` has its reply, or a piece of it; send it when its turn comes."""
        ...

    def abort(self) -> None:
        """The client reads too slowly; close the connection."""
        ...


class Exchange:
    """A request as it was received, and its reply once there is one: whole by ``respond``, or in pieces by
    ``begin``, ``send`` and ``end``.

    ``on_abandoned`` is called if the client goes away before the end of the reply; ``abandoned`` says that it
    did. ``on_pause`` is called with true when pieces come faster than the client reads, and with false when
    more are wanted; ``paused`` says which was the last.
    """

    __slots__ = (
        "_connection",
        "_waiting_bytes",
        "abandoned",
        "body",
        "head",
        "keep_alive",
        "on_abandoned",
        "on_pause",
        "paused",
        "reply",
        "unfinished",
    )

    def __init__(self, connection: ReplyPath, head: RequestHead, body: Buffer) -> None:
        self._connection = connection
        self.head = head
        self.body = body
        self.keep_alive = head.keep_alive
        self.abandoned = False
        self.on_abandoned: Callable[[], None] | None = None
        self.on_pause: Callable[[bool], None] | None = None
        self.reply: list[Buffer] | None = None  # what is to be sent of it
        self.unfinished = False  # pieces follow
        self.paused = False
        self._waiting_bytes = 0

    def abandon(self) -> None:
        """The client is gone."""
        self.abandoned = True
        self.unfinished = False
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

    def begin(self, status: int, *, content_type: bytes, extra: bytes = b"") -> None:
        """Begin a reply whose body comes in pieces. A second answer is ignored."""
        if self.reply is not None or self.abandoned:
            return
        if self.head.http_1_0:
            self.keep_alive = False  # nothing but the end of the connection can end the body
        self.unfinished = True
        self.reply = [self._render(status, None, content_type, extra)]
        self._connection.exchange_done(self)

    def send(self, piece: bytes) -> None:
        """Send a piece of the body; ignored where the reply has not begun, or is over."""
        if not self.unfinished or self.reply is None or not piece:
            return
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._connection.abort()
            self.abandon()
            return
        self.reply.append(piece if self.head.http_1_0 else b"%x\r\n%b\r\n" % (len(piece), piece))
        self._waiting_bytes += len(piece)
        self._connection.exchange_done(self)
        self._pause(self._waiting_bytes > PAUSE_BYTES)

    def end(self) -> None:
        """The body is complete."""
        if not self.unfinished or self.reply is None:
            return
        if not self.head.http_1_0:
            self.reply.append(b"0\r\n\r\n")
        self.unfinished = self.paused = False
        self.on_abandoned = self.on_pause = None
        self._connection.exchange_done(self)

    def take_pieces(self) -> list[Buffer]:
        """What is to be sent now of an unfinished reply; ``pieces_sent`` is to follow."""
        pieces, self.reply = self.reply or [], []
        self._waiting_bytes = 0
        return pieces

    def pieces_sent(self) -> None:
        """The client reads; whoever was asked to pause may go on."""
        self._pause(False)

    def _pause(self, paused: bool) -> None:
        if paused != self.paused:
            self.paused = paused
            if self.on_pause is not None:
                self.on_pause(paused)

    def _render(self, status: int, size: int | None, content_type: bytes, extra: bytes) -> bytes:
        """The head; ``size`` is None for a body in pieces."""
        http_1_0 = self.head.http_1_0
        # As Triton: without keep-alive, the end of an HTTP/1.0 connection ends the body.
        if http_1_0 and not self.keep_alive:
            length = b""
        elif size is None:
            length = b"Transfer-Encoding: chunked\r\n"
        else:
            length = b"Content-Length: %d\r\n" % size
        kind = b"Content-Type: %b\r\n" % content_type
        fields = length + kind + extra if content_type is TEXT else kind + extra + length
        if not self.keep_alive:
            fields += b"Connection: close\r\n"
        elif http_1_0:
            fields += b"Connection: keep-alive\r\n"
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, REASONS[status], fields)
