"""Header blocks: HEADERS with their CONTINUATION, to requests and trailers."""

from __future__ import annotations

from collections.abc import Callable

from tritium.http2.errors import Http2Code, Http2ConnectionError, Http2StreamError, calm, protocol_error
from tritium.http2.frames import END_HEADERS, END_STREAM, PADDED, PRIORITY_FLAG
from tritium.http2.header_rules import MalformedError
from tritium.http2.headers import HeaderDecoder
from tritium.http2.stream import NOTHING, Http2Stream, StreamListener, end_of_body
from tritium.http2.streams import Streams


class HeaderBlocks:
    """Puts header blocks together. ``on_open`` is told when one is not complete, and when it is."""

    def __init__(
        self,
        streams: Streams,
        accept: Callable[[Http2Stream], StreamListener],
        on_open: Callable[[bool], None],
    ) -> None:
        self._streams = streams
        self._accept = accept
        self._on_open = on_open
        self._limits = streams.limits
        self._decoder = HeaderDecoder(streams.limits)
        self._block = bytearray()
        self._end_stream = False
        self._continuations = 0
        self._open_stream = 0  # of the block that is not complete

    def on_headers(self, flags: int, stream_id: int, payload: memoryview) -> None:
        """A HEADERS frame; raises Http2ConnectionError."""
        if not stream_id:
            raise protocol_error("HEADERS belong to a stream, not to the connection")
        if flags & (PADDED | PRIORITY_FLAG):
            payload = _unpadded(flags, payload)
        if flags & END_HEADERS:
            self._on_block(stream_id, bytes(payload), bool(flags & END_STREAM))
            return
        self._block = bytearray(payload)
        self._end_stream = bool(flags & END_STREAM)
        self._continuations = 0
        self._open_stream = stream_id
        self._on_open(True)

    def on_continuation(self, flags: int, stream_id: int, payload: memoryview) -> None:
        """A CONTINUATION frame; raises Http2ConnectionError."""
        if not self._open_stream:
            raise protocol_error("CONTINUATION without HEADERS")
        if stream_id != self._open_stream:
            raise protocol_error("a header block is interrupted by another frame")
        self._continuations += 1
        self._block += payload
        limits = self._limits
        if self._continuations > limits.max_continuations or len(self._block) > limits.max_header_block_bytes:
            raise calm("header block is too long")
        if flags & END_HEADERS:
            block, self._block = bytes(self._block), bytearray()
            self._open_stream = 0
            self._on_open(False)
            self._on_block(stream_id, block, self._end_stream)

    def _on_block(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        streams = self._streams
        streams.idle_frames = 0
        try:
            if stream_id > streams.last_id:
                self._on_request(stream_id, block, end_stream)
            elif (stream := streams.open.get(stream_id)) is not None:
                self._on_trailers(stream, block, end_stream)
            else:
                self._decoder.skip(block)
                streams.check_gone(stream_id)
        except MalformedError as error:
            streams.fail(Http2StreamError(stream_id, Http2Code.PROTOCOL_ERROR, str(error)))
        except Http2StreamError as error:
            streams.fail(error)

    def _on_request(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        streams = self._streams
        streams.announce(stream_id)
        headers = self._decoder.request(block)
        stream = streams.begin(stream_id, headers, not end_stream)
        listener = self._accept(stream)
        if stream_id not in streams.open:  # it is answered already
            return
        stream.listener = listener
        if end_stream:
            end_of_body(stream)
            listener.on_data(NOTHING, True)

    def _on_trailers(self, stream: Http2Stream, block: bytes, end_stream: bool) -> None:
        trailers = self._decoder.trailers(block)
        if not stream.receiving:
            raise Http2StreamError(stream.id, Http2Code.STREAM_CLOSED, "HEADERS after END_STREAM")
        if not end_stream:
            raise Http2StreamError(stream.id, Http2Code.PROTOCOL_ERROR, "trailers do not end the stream")
        stream.trailers = trailers
        end_of_body(stream)
        stream.listener.on_data(NOTHING, True)


def _unpadded(flags: int, payload: memoryview) -> memoryview:
    """The header block fragment of a HEADERS frame."""
    start, stop = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise Http2ConnectionError(Http2Code.FRAME_SIZE_ERROR, "padded HEADERS frame without padding")
        start, stop = 1, stop - payload[0]
    if flags & PRIORITY_FLAG:
        start += 5
        if len(payload) < start:
            raise Http2ConnectionError(
                Http2Code.FRAME_SIZE_ERROR, "HEADERS frame is too short for its priority"
            )
    if start > stop:
        raise protocol_error("padding is longer than its HEADERS frame")
    return payload[start:stop]
