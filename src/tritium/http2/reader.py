"""Received bytes to frames. Control frames are handed over whole; DATA in pieces, as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tritium.http2.errors import Http2Code, Http2ConnectionError, calm, protocol_error
from tritium.http2.frames import (
    DATA,
    FIXED_LENGTHS,
    HEAD,
    HEAD_BYTES,
    KNOWN_TYPES,
    PADDED,
    PREFACE,
    PRIORITY,
)

_MASK = 0x7FFFFFFF  # the reserved bit of a stream identifier is ignored


FrameHandler = Callable[[int, int, memoryview], None]
"""Takes the flags, the stream and the payload of a whole frame; the payload is valid during the call only."""


class FrameSink(Protocol):
    """Who takes the frames. May raise Http2ConnectionError.

    Attributes:
        handlers: by kind, who takes whole frames; the last one those of all unknown kinds, whose payloads are
            left out. Frames of a fixed length have it, except PRIORITY. The entries may change at any time.
    """

    @property
    def handlers(self) -> Sequence[FrameHandler]:
        """See above."""
        ...

    def on_data_head(self, stream_id: int, length: int) -> None:
        """A DATA frame of ``length`` bytes, padding included, begins: padded, or not all there."""
        ...

    def on_padding(self, stream_id: int, size: int) -> None:
        """So many bytes of it are padding, the byte that says so included."""
        ...

    def on_data(self, stream_id: int, piece: memoryview, end: bool) -> None:
        """A piece of its content; ``end``: the last one of the stream. Valid during the call only."""
        ...


class FrameReader:
    """The receiving half of a connection, up to frames.

    ``left`` bytes of the frame under way are still to come and go straight through; they are content of
    ``data_stream`` or, where that is 0, of no interest.
    """

    __slots__ = ("_end", "_handlers", "_max_control", "_max_frame", "_padding", "_partial", "_preface",
                 "_sink", "data_stream", "left")  # fmt: skip

    def __init__(self, sink: FrameSink, *, max_frame_bytes: int, max_control_bytes: int) -> None:
        self._sink = sink
        self._handlers = sink.handlers
        self._max_frame = max_frame_bytes
        self._max_control = max_control_bytes
        self._partial = bytearray()  # of the preface, or of a frame that has to be whole
        self._preface = False  # it has come
        self.left = 0
        self.data_stream = 0
        self._padding = 0  # bytes after the content of a DATA frame
        self._end = False  # the DATA frame under way ends its stream

    def feed(self, view: memoryview) -> None:
        """Take what was received.

        Raises:
            Http2ConnectionError: from the sink, or because a frame is too long; feed nothing more.
        """
        position = 0
        if self._partial or not self._preface:
            position = self._complete(view)
        position = self._frames(view, position)
        if position < len(view):
            self._partial += view[position:]

    def _frames(self, view: memoryview, position: int) -> int:
        """Take what is there from ``position`` on: where that ends, which is before what needs more bytes."""
        handlers, unpack = self._handlers, HEAD.unpack_from
        end = len(view)
        while position < end:
            if self.left:
                position += self.through(view[position:])
                continue
            start = position + HEAD_BYTES
            if start > end:
                break
            head, flags, stream_id = unpack(view, position)
            length, kind = head >> 8, head & 0xFF
            stream_id &= _MASK
            stop = start + length
            if kind == DATA:
                if stop > end or flags & PADDED or length > self._max_frame:
                    stop = position + self._data(view, position, end, (flags, stream_id, length))
                    if stop == position:
                        break
                else:
                    handlers[DATA](flags, stream_id, view[start:stop])
                position = stop
                continue
            if length != FIXED_LENGTHS.get(kind):
                self._check_length(kind, length)
            if kind >= KNOWN_TYPES:
                handlers[KNOWN_TYPES](flags, stream_id, view[:0])
                self.data_stream, self.left = 0, length
                position = start
            elif stop > end:
                break
            else:
                handlers[kind](flags, stream_id, view[start:stop])
                position = stop
        return position

    def _data(self, view: memoryview, start: int, end: int, head: tuple[int, int, int]) -> int:
        flags, stream_id, length = head
        content = start + HEAD_BYTES
        padding = 0
        if flags & PADDED:
            if not length:
                raise Http2ConnectionError(Http2Code.FRAME_SIZE_ERROR, "padded DATA frame without padding")
            if content == end:
                return 0
            padding = view[content]
            content += 1
            if padding >= length:
                raise protocol_error("padding is longer than its DATA frame")
        if length > self._max_frame:
            raise self._too_long(length, self._max_frame)
        sink = self._sink
        sink.on_data_head(stream_id, length)
        if flags & PADDED:
            sink.on_padding(stream_id, padding + 1)
        stop = start + HEAD_BYTES + length
        last = bool(flags & 1)
        if stop <= end:
            sink.on_data(stream_id, view[content : stop - padding], last)
            return HEAD_BYTES + length
        self.left = stop - padding - content
        self.data_stream, self._padding, self._end = stream_id, padding, last
        if not self.left:  # nothing but padding
            sink.on_data(stream_id, view[:0], last)
            self._end_content()
        return content - start

    def through(self, view: memoryview) -> int:
        """Take bytes of the frame under way: how many of them."""
        size = min(len(view), self.left)
        self.left -= size
        if self.data_stream:
            self._sink.on_data(self.data_stream, view[:size], self._end and not self.left)
            if not self.left:
                self._end_content()
        return size

    def _end_content(self) -> None:
        self.data_stream, self.left, self._padding = 0, self._padding, 0

    def _check_length(self, kind: int, length: int) -> None:
        if length > self._max_frame:
            raise self._too_long(length, self._max_frame)
        if kind < KNOWN_TYPES:
            if length > self._max_control:
                raise calm(
                    f"control frame of {length} bytes; {self._max_control} are enough",
                )
            expected = FIXED_LENGTHS.get(kind, length)
            if length != expected and kind != PRIORITY:
                text = f"frame of type {kind} has {length} bytes, expected {expected}"
                raise Http2ConnectionError(Http2Code.FRAME_SIZE_ERROR, text)

    def _too_long(self, length: int, limit: int) -> Http2ConnectionError:
        text = f"frame of {length} bytes passes the limit of {limit} that was announced"
        return Http2ConnectionError(Http2Code.FRAME_SIZE_ERROR, text)

    def _complete(self, view: memoryview) -> int:
        """Add to the part of a frame, or the preface, that is there: how many bytes were used for it."""
        position = 0
        while self._partial or not self._preface:
            partial = self._partial
            missing = self._wanted() - len(partial)
            if missing > len(view) - position:
                partial += view[position:]
                self._check_preface()
                return len(view)
            partial += view[position : position + missing]
            position += missing
            if not self._preface:
                self._check_preface()
                self._preface = True
                self._partial = bytearray()
                return position
            if self._frames(memoryview(partial), 0):
                self._partial = bytearray()
        return position

    def _wanted(self) -> int:
        """How many bytes at least the partial frame, or the preface, needs to be taken."""
        partial = self._partial
        if not self._preface:
            return len(PREFACE)
        if len(partial) < HEAD_BYTES:
            return HEAD_BYTES
        head: int
        head, flags, _ = HEAD.unpack_from(partial)
        if head & 0xFF == DATA:
            return HEAD_BYTES + bool(flags & PADDED)
        return HEAD_BYTES + (head >> 8)

    def _check_preface(self) -> None:
        if not self._preface and not PREFACE.startswith(self._partial):
            raise protocol_error("the connection does not begin as HTTP/2")
