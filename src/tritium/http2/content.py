"""DATA: accounting for the windows, and the way of a body to who listens to it."""

from __future__ import annotations

from tritium.http2.errors import Http2Code, Http2ConnectionError, Http2StreamError, calm, protocol_error
from tritium.http2.frames import END_STREAM, window_update
from tritium.http2.limits import RateGuard
from tritium.http2.stream import NOTHING, Http2Stream, wrong_length
from tritium.http2.streams import Streams


class Content:
    """The DATA frames of a connection. The connection's window is given back as its bytes come, for every
    stream has a window of its own."""

    __slots__ = ("_empty", "_full", "_low", "_streams", "_window")

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._full = self._window = streams.limits.connection_window_bytes
        self._low = self._full // 2  # below it the window is given back
        self._empty = RateGuard(streams.limits.empty_frames)

    def on_frame(self, flags: int, stream_id: int, payload: memoryview) -> None:
        """A whole DATA frame without padding; raises Http2ConnectionError."""
        streams, size = self._streams, len(payload)
        stream = streams.open.get(stream_id)
        window = self._window - size
        if (
            stream is None
            or not stream.receiving
            or not 0 < size <= stream.recv_window
            or window < self._low
            or stream.target is not None
            or stream.content_left is not None
        ):
            self.on_data_head(stream_id, size)
            self.on_data(stream_id, payload, bool(flags & END_STREAM))
            return
        self._window = window
        stream.recv_window -= size
        streams.idle_frames = 0
        if flags & END_STREAM:
            stream.receiving = False
            stream.listener.on_data(payload, True)
        else:
            stream.listener.on_data(payload, False)

    def on_data_head(self, stream_id: int, length: int) -> None:
        """A DATA frame of ``length`` bytes begins; raises Http2ConnectionError."""
        if not stream_id:
            raise protocol_error("DATA belong to a stream, not to the connection")
        streams = self._streams
        window = self._window - length
        if window < 0:
            raise Http2ConnectionError(Http2Code.FLOW_CONTROL_ERROR, "DATA beyond the connection's window")
        if window < self._low:
            streams.flow.emit(window_update(0, self._full - window))
            window = self._full
        self._window = window
        stream = streams.open.get(stream_id)
        if stream is None:
            streams.check_gone(stream_id)
        elif not stream.receiving:
            streams.fail(Http2StreamError(stream_id, Http2Code.STREAM_CLOSED, "DATA after END_STREAM"))
        elif length > stream.recv_window:
            text = "DATA beyond the stream's window"
            streams.fail(Http2StreamError(stream_id, Http2Code.FLOW_CONTROL_ERROR, text))
        else:
            stream.recv_window -= length

    def on_padding(self, stream_id: int, size: int) -> None:
        """So many bytes of a DATA frame were no content: nobody but us consumes them."""
        stream = self._streams.open.get(stream_id)
        if stream is not None:
            stream.consumed(size)

    def on_data(self, stream_id: int, piece: memoryview, end: bool) -> None:
        """Content of a DATA frame; raises Http2ConnectionError."""
        streams = self._streams
        stream = streams.open.get(stream_id)
        if stream is None:
            return
        size = len(piece)
        if size:
            streams.idle_frames = 0
        elif not end and self._empty.exceeded(streams.now_s):
            raise calm("too many empty DATA frames")
        if stream.content_left is not None:
            stream.content_left -= size
            if stream.content_left < 0 or (end and stream.content_left):
                streams.fail(wrong_length(stream))
                return
        if stream.target is not None:
            piece = _fill(stream, stream.target, piece)
            if stream.target is not None and not end:
                return
        if end:
            stream.receiving = False
        stream.listener.on_data(piece, end)


def _fill(stream: Http2Stream, target: memoryview, piece: memoryview) -> memoryview:
    """Put the piece, or its beginning, where the stream wants it: what is left of the piece."""
    size = min(len(target), len(piece))
    if piece.obj is not target.obj:  # else it was received there
        target[:size] = piece[:size]
    if size < len(target):
        stream.target = target[size:]
        return piece[size:]
    stream.target = None
    if len(piece) > size:
        stream.listener.on_data(NOTHING, False)
    return piece[size:]
