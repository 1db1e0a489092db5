"""An HTTP/2 connection as its server sees it: received bytes in; streams, and bytes to write, out.

Whatever a client sends, nothing is raised: a broken rule ends the stream (RST_STREAM) or the connection
(GOAWAY), as RFC 9113 says, and so does every bound in ``Http2Limits``.
"""

from __future__ import annotations

from collections.abc import Callable

from tritium.http2.blocks import HeaderBlocks
from tritium.http2.content import Content
from tritium.http2.control import ControlFrames
from tritium.http2.errors import Http2Code, Http2ConnectionError, Http2StreamError, protocol_error
from tritium.http2.frames import (
    ACK,
    CONTINUATION,
    DEFAULT_WINDOW,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    MAX_STREAM_ID,
    SETTINGS,
    WINDOW_UPDATE,
    goaway,
    ping,
    settings,
    window_update,
)
from tritium.http2.limits import Http2Limits
from tritium.http2.reader import FrameReader
from tritium.http2.stream import Buffer, Http2Stream, StreamListener
from tritium.http2.streams import Streams

_DRAIN_PING = b"tritium!"
_DIRECT_BYTES = 1 << 16  # shorter pieces are received with what follows them, and copied


class Http2Connection:
    """One connection.

    ``accept`` is given each new stream and returns who listens to it. It and the listeners must not raise.

    Attributes:
        error: what ended the connection, if the client broke a rule or a bound.
        shutting_down: ``shut_down`` was called.
    """

    def __init__(self, accept: Callable[[Http2Stream], StreamListener], limits: Http2Limits) -> None:
        streams = self._streams = Streams(limits)
        self.error: Http2ConnectionError | None = None
        self.shutting_down = False
        self._frames = _Frames(streams, accept, self._on_drained)
        self._reader = FrameReader(
            self._frames,
            max_frame_bytes=limits.max_frame_bytes,
            max_control_bytes=limits.max_header_block_bytes,
        )
        streams.flow.emit(_first_settings(limits))

    @property
    def finished(self) -> bool:
        """Nothing more is read: close the transport once the output is written."""
        return self._streams.finished

    @property
    def open_streams(self) -> int:
        """How many requests are under way."""
        return len(self._streams.open)

    @property
    def listeners(self) -> list[StreamListener]:
        """Who listens to the streams that are open."""
        return [stream.listener for stream in self._streams.open.values()]

    @property
    def settled(self) -> bool:
        """The client has begun as HTTP/2 asks."""
        return self._frames.settled

    @property
    def sent(self) -> int:
        """Grows with each frame of a reply."""
        return self._streams.flow.sent

    def receive(self, data: memoryview, now_s: float) -> None:
        """Take what was received at ``now_s``, a monotonic time."""
        self._take(self._reader.feed, data, now_s)

    def space(self) -> memoryview | None:
        """Where the next bytes can be received without a copy, if there is such a place; see ``received``."""
        reader = self._reader
        if reader.left < _DIRECT_BYTES or not reader.data_stream:
            return None
        stream = self._streams.open.get(reader.data_stream)
        if stream is None or stream.target is None or len(stream.target) < _DIRECT_BYTES:
            return None
        return stream.target[: reader.left]

    def received(self, filled: memoryview, now_s: float) -> None:
        """Bytes came into ``filled``, the beginning of the last ``space()``."""
        self._take(self._reader.through, filled, now_s)

    def _take(self, take: Callable[[memoryview], object], data: memoryview, now_s: float) -> None:
        streams = self._streams
        if streams.finished:
            return
        streams.now_s = now_s
        try:
            take(data)
        except Http2ConnectionError as error:
            self.error = error
            streams.flow.emit(goaway(streams.last_id, error.code, str(error)))
            streams.abandon()

    def take_output(self) -> list[Buffer]:
        """What is to be written now, in order."""
        return self._streams.flow.take()

    def hold(self, held: bool) -> None:
        """The transport has enough to write for now, or wants more: DATA waits meanwhile."""
        self._streams.flow.hold(held)

    def lost(self) -> None:
        """The transport is gone: every stream is reset."""
        self._streams.abandon()

    def ping(self, payload: bytes) -> None:
        """Send a PING of eight bytes. Its answer is not reported: it is a sign of life as any other byte."""
        self._streams.flow.emit(ping(payload, ack=False))

    def shut_down(self) -> None:
        """Say that the connection will close, without refusing what is on its way; a second call refuses it.

        The client's answer to a ping does as a second call. When the last stream ends, ``finished`` is set.
        """
        if self.shutting_down:
            self._streams.stop_accepting()
        elif not self.finished:
            self.shutting_down = True
            self._streams.flow.emit(goaway(MAX_STREAM_ID, Http2Code.NO_ERROR))
            self.ping(_DRAIN_PING)

    def _on_drained(self, payload: bytes) -> None:
        if self.shutting_down and payload == _DRAIN_PING:
            self._streams.stop_accepting()


class _Frames:
    """Which frames may come now, and who takes them."""

    __slots__ = ("_blocks", "_content", "_control", "_streams", "on_data", "on_padding")

    def __init__(
        self,
        streams: Streams,
        accept: Callable[[Http2Stream], StreamListener],
        on_pong: Callable[[bytes], None],
    ) -> None:
        self._streams = streams
        self._blocks = HeaderBlocks(streams, accept)
        self._control = ControlFrames(streams, on_pong)
        self._content = Content(streams)
        self.on_data = self._content.on_data
        self.on_padding = self._content.on_padding

    @property
    def settled(self) -> bool:
        """The client's first SETTINGS came."""
        return self._control.settled

    def on_frame(self, kind: int, flags: int, stream_id: int, payload: memoryview) -> None:
        """A frame other than DATA."""
        blocks, control = self._blocks, self._control
        if blocks.open_stream and (kind != CONTINUATION or stream_id != blocks.open_stream):
            raise _interrupted()
        if not control.settled and (kind != SETTINGS or flags & ACK):
            raise _unsettled()
        try:
            if kind == HEADERS:
                blocks.on_headers(flags, stream_id, payload)
            elif kind == WINDOW_UPDATE:
                control.on_window_update(stream_id, payload)
            elif kind == CONTINUATION:
                blocks.on_continuation(flags, payload)
            else:
                control.on_frame(kind, flags, stream_id, payload)
        except Http2StreamError as error:
            self._streams.fail(error)

    def on_skipped(self, stream_id: int) -> None:
        """A frame of an unknown type."""
        self._check_order()
        self._streams.count_idle_frame()

    def on_data_head(self, stream_id: int, length: int) -> None:
        """A DATA frame begins."""
        self._check_order()
        self._content.on_data_head(stream_id, length)

    def _check_order(self) -> None:
        if self._blocks.open_stream:
            raise _interrupted()
        if not self._control.settled:
            raise _unsettled()


def _first_settings(limits: Http2Limits) -> bytes:
    values = {
        MAX_CONCURRENT_STREAMS: limits.max_concurrent_streams,
        INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
        MAX_FRAME_SIZE: limits.max_frame_bytes,
        MAX_HEADER_LIST_SIZE: limits.max_header_list_bytes,
    }
    return settings(values) + window_update(0, limits.connection_window_bytes - DEFAULT_WINDOW)


def _interrupted() -> Http2ConnectionError:
    return protocol_error("a header block is interrupted by another frame")


def _unsettled() -> Http2ConnectionError:
    return protocol_error("the first frame is no SETTINGS")
