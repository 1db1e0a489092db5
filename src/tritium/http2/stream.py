"""One stream: a request that is received and a reply that is sent.

both sides open -> half closed (the client sent END_STREAM) -> gone (the server sent END_STREAM)
any             -> gone (RST_STREAM from either side, or the end of the connection)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from tritium.http2.errors import Http2Code, Http2StreamError
from tritium.http2.frames import END_HEADERS, END_STREAM, HEAD, HEADERS
from tritium.http2.header_rules import Field, RequestHeaders
from tritium.http2.headers import ReplyBlocks

if TYPE_CHECKING:
    from tritium.http2.streams import Streams

Buffer = bytes | bytearray | memoryview


class StreamListener(Protocol):
    """Who takes what a stream receives. Nothing may be raised."""

    def on_data(self, data: memoryview, end: bool) -> None:
        """A piece of the body, valid during the call only; ``end``: it was the last one.

        Empty pieces come at an ``end`` of its own, and when the target of ``receive_into`` is full.
        """
        ...

    def on_reset(self, code: int) -> None:
        """The stream is gone before its reply was complete."""
        ...

    def on_writable(self) -> None:
        """``writable`` is true again."""
        ...


class _Deaf:
    """The listener of a stream that is gone."""

    def on_data(self, data: memoryview, end: bool) -> None:
        pass

    def on_reset(self, code: int) -> None:
        pass

    def on_writable(self) -> None:
        pass


DEAF: StreamListener = _Deaf()
NOTHING = memoryview(b"")


class Http2Stream:
    """A stream, as the application and the connection share it."""

    __slots__ = (
        "content_left",
        "extra_window",
        "headers",
        "id",
        "listener",
        "queue",
        "queued_bytes",
        "received_credit",
        "receiving",
        "recv_window",
        "send_window",
        "sending",
        "streams",
        "target",
        "trailers",
        "wants_writable",
    )  # fmt: skip

    def __init__(
        self,
        stream_id: int,
        streams: Streams,
        headers: RequestHeaders,
        windows: tuple[int, int],
        receiving: bool,
    ) -> None:
        self.id = stream_id
        self.streams = streams
        self.headers = headers
        self.listener: StreamListener = DEAF
        self.recv_window, self.send_window = windows
        self.receiving = receiving  # the client may send more
        self.sending = True  # the reply is not complete; false as soon as its end is queued
        self.content_left = headers.content_length
        self.trailers: tuple[Field, ...] = ()
        self.target: memoryview | None = None  # where what comes next goes
        self.received_credit = 0  # consumed, and not given back to the client yet
        self.extra_window = 0  # given to the client beyond the window, for one long message
        self.queue: deque[tuple[Buffer, int]] | None = None  # unsent; see SendFlow
        self.queued_bytes = 0
        self.wants_writable = False

    # -- receiving --

    def receive_into(self, target: memoryview) -> None:
        """Put what comes next into ``target`` until it is full, and let the client send without a pause."""
        self.target = target
        missing = len(target) - self.recv_window
        if missing > 0:
            self.extra_window += missing
            self.streams.grant(self, missing)

    def consumed(self, size: int) -> None:
        """``size`` bytes of what was received are done with: the client may send as many more."""
        if not self.receiving:
            return
        extra = min(size, self.extra_window)
        self.extra_window -= extra
        self.received_credit += size - extra
        if self.received_credit * 2 >= self.streams.limits.stream_window_bytes:
            credit, self.received_credit = self.received_credit, 0
            self.streams.grant(self, credit)

    # -- sending --

    @property
    def writable(self) -> bool:
        """Whether little enough waits to be sent; if not, ``on_writable`` is called when it does."""
        if self.queued_bytes <= self.streams.limits.send_high_water_bytes:
            return True
        self.wants_writable = True
        return False

    def send_headers(self, block: bytes, *, end: bool = False) -> None:
        """Send a header block that was encoded without a table; first of all, and once."""
        if self.sending:
            self.streams.flow.send_headers(self, block, end=end)

    def send_data(self, *parts: Buffer) -> None:
        """Send a piece of the body, as fast as the client's windows allow. The parts are kept, not copied."""
        if self.sending:
            self.streams.flow.send_data(self, parts)

    def send_trailers(self, block: bytes) -> None:
        """End the reply with trailers, after all that was sent."""
        if self.sending:
            self.streams.flow.send_trailers(self, block)

    def send_response(self, blocks: ReplyBlocks, body: Sequence[Buffer]) -> None:
        """A whole reply at once, its body in parts: in one piece where the windows allow it."""
        if not self.sending:
            return
        flow, size = self.streams.flow, sum(map(len, body))
        if size > flow.free or size > self.send_window or flow.block_prefix:
            headers, trailers = blocks.literal
            flow.send_headers(self, headers, end=False)
            flow.send_data(self, body)
            flow.send_trailers(self, trailers)
            return
        headers, trailers = blocks.later if flow.entered is blocks else flow.blocks(blocks)
        stream_id, pack = self.id, HEAD.pack
        self.send_window -= size
        flow.spend(size)
        flow.emit(
            b"".join(
                (
                    pack(len(headers) << 8 | HEADERS, END_HEADERS, stream_id),
                    headers,
                    pack(size << 8, 0, stream_id),
                    *body,
                    pack(len(trailers) << 8 | HEADERS, END_HEADERS | END_STREAM, stream_id),
                    trailers,
                )
            )
        )
        self.sending = False
        self.streams.reply_sent(self)

    def reset(self, code: Http2Code = Http2Code.CANCEL) -> None:
        """End the stream now; what is unsent is dropped. The listener is not called any more."""
        self.streams.reset(self, code)


def end_of_body(stream: Http2Stream) -> None:
    """The client has sent all, without a last piece of content.

    Raises:
        Http2StreamError: it said that there would be more.
    """
    if stream.content_left:
        raise wrong_length(stream)
    stream.receiving = False


def wrong_length(stream: Http2Stream) -> Http2StreamError:
    """The body is not what content-length says."""
    text = f"the body does not have the {stream.headers.content_length} bytes that content-length says"
    return Http2StreamError(stream.id, Http2Code.PROTOCOL_ERROR, text)
