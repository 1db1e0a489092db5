"""An HTTP/2 connection as its server sees it: received bytes in; streams, and bytes to write, out.

Whatever a client sends, nothing is raised: a broken rule ends the stream (RST_STREAM) or the connection
(GOAWAY), as RFC 9113 says, and so does every bound in ``Http2Limits``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NoReturn

from tritium.http2.blocks import HeaderBlocks
from tritium.http2.content import Content
from tritium.http2.control import ControlFrames
from tritium.http2.errors import Http2Code, Http2ConnectionError, protocol_error
from tritium.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_WINDOW,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    KNOWN_TYPES,
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
from tritium.http2.reader import FrameHandler, FrameReader
from tritium.http2.stream import NOTHING, Buffer, Http2Stream, StreamListener
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
    """Who takes which frame, and which may come now: that is what ``handlers`` says at any time."""

    def __init__(
        self,
        streams: Streams,
        accept: Callable[[Http2Stream], StreamListener],
        on_pong: Callable[[bytes], None],
    ) -> None:
        self.settled = False  # the client's first SETTINGS came
        self._streams = streams
        self._blocks = HeaderBlocks(streams, accept, self._on_block_open)
        self._control = ControlFrames(streams, on_pong)
        self._content = Content(streams)
        self.on_data = self._content.on_data
        self.on_padding = self._content.on_padding
        control = self._control
        self._regular: list[FrameHandler] = [partial(control.on_frame, kind) for kind in range(KNOWN_TYPES)]
        self._regular.append(self._on_skipped)
        self._regular[DATA] = self._content.on_frame
        self._regular[HEADERS] = self._blocks.on_headers
        self._regular[CONTINUATION] = self._blocks.on_continuation
        self._regular[WINDOW_UPDATE] = self._control.on_window_update
        self.handlers: list[FrameHandler] = [_unsettled] * len(self._regular)
        self.handlers[SETTINGS] = self._on_first_settings

    def _on_first_settings(self, flags: int, stream_id: int, payload: memoryview) -> None:
        if flags & ACK:
            _unsettled(flags, stream_id, payload)
        self._control.on_frame(SETTINGS, flags, stream_id, payload)
        self.settled = True
        self.handlers[:] = self._regular

    def _on_block_open(self, is_open: bool) -> None:
        """A header block is not complete: only its CONTINUATION may come; or it is."""
        if is_open:
            self.handlers[:] = [_interrupted] * len(self._regular)
            self.handlers[CONTINUATION] = self._blocks.on_continuation
        else:
            self.handlers[:] = self._regular

    def _on_skipped(self, flags: int, stream_id: int, payload: memoryview) -> None:
        """A frame of an unknown type."""
        self._streams.count_idle_frame()

    def on_data_head(self, stream_id: int, length: int) -> None:
        """A DATA frame begins."""
        if self.handlers[DATA] != self._content.on_frame:
            self.handlers[DATA](0, stream_id, NOTHING)  # which raises
        self._content.on_data_head(stream_id, length)


def _first_settings(limits: Http2Limits) -> bytes:
    values = {
        MAX_CONCURRENT_STREAMS: limits.max_concurrent_streams,
        INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
        MAX_FRAME_SIZE: limits.max_frame_bytes,
        MAX_HEADER_LIST_SIZE: limits.max_header_list_bytes,
    }
    return settings(values) + window_update(0, limits.connection_window_bytes - DEFAULT_WINDOW)


def _interrupted(flags: int, stream_id: int, payload: memoryview) -> NoReturn:
    raise protocol_error("a header block is interrupted by another frame")


def _unsettled(flags: int, stream_id: int, payload: memoryview) -> NoReturn:
    raise protocol_error("the first frame is no SETTINGS")
