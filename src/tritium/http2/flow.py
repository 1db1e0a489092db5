"""What is sent: frames in order, DATA as far as the client's windows and the transport allow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from tritium.http2.errors import Http2Code, Http2ConnectionError
from tritium.http2.frames import (
    DEFAULT_WINDOW,
    HEAD,
    MAX_WINDOW,
    MIN_MAX_FRAME_BYTES,
    header_frames,
)
from tritium.http2.headers import TABLE_EMPTIED, ReplyBlocks
from tritium.http2.stream import Buffer, Http2Stream

_DATA, _TRAILERS = range(2)  # what an entry of a stream's queue is
_JOIN_BYTES = 4096  # DATA frames up to this size are joined to their head


class SendFlow:
    """The sending half of a connection.

    Attributes:
        block_prefix: what the next header block begins with.
        entered: what has entries in the client's table of header fields.
        emit: puts a frame into ``frames``.
        frames: to be written.
        free: how large a piece of DATA may go out now as one frame, as far as the connection has a say.
        initial_window: of new streams, in bytes.
        max_frame: the longest that the client takes, in bytes.
        sent: counts what carries replies.
    """

    __slots__ = (
        "_blocked",
        "_held",
        "_low_water",
        "_on_sent",
        "_tableless",
        "_window",
        "block_prefix",
        "emit",
        "entered",
        "frames",
        "free",
        "initial_window",
        "max_frame",
        "sent",
    )  # fmt: skip

    def __init__(self, on_sent: Callable[[Http2Stream], None], low_water: int) -> None:
        self._on_sent = on_sent
        self._low_water = low_water
        self._blocked: dict[int, Http2Stream] = {}  # wait for the connection's window, or for the transport
        self._window = DEFAULT_WINDOW
        self._held = False
        self.frames: list[Buffer] = []  # to be written
        self.initial_window = DEFAULT_WINDOW
        self.max_frame = MIN_MAX_FRAME_BYTES
        self.block_prefix = b""
        self.entered: ReplyBlocks | None = None
        self._tableless = False
        self.free = MIN_MAX_FRAME_BYTES
        self.sent = 0
        self.emit = self.frames.append

    def take(self) -> list[Buffer]:
        """All that is to be written now, in order."""
        frames = self.frames
        self.frames = []
        self.emit = self.frames.append
        return frames

    def blocks(self, reply: ReplyBlocks) -> tuple[bytes, bytes]:
        """The headers and trailers of a reply that goes out at once, where ``reply`` is not ``entered``."""
        if self._tableless or self.entered is not None:
            return reply.literal
        self.entered = reply
        return reply.first

    def forgo_table(self) -> None:
        """The client wants a small table of header fields: leave it empty from now on."""
        self.block_prefix = TABLE_EMPTIED
        self.entered = None
        self._tableless = True

    def send_headers(self, stream: Http2Stream, block: bytes, *, end: bool) -> None:
        """A header block, at once."""
        if self.block_prefix:
            block, self.block_prefix = self.block_prefix + block, b""
        self.sent += 1
        self.emit(header_frames(stream.id, block, end_stream=end, max_frame=self.max_frame))
        if end:
            stream.sending = False
            self._on_sent(stream)

    def send_data(self, stream: Http2Stream, parts: Sequence[Buffer]) -> None:
        """DATA, after what the stream has queued."""
        size = sum(map(len, parts))
        if not size:
            return
        if stream.queue is None and size <= self.free and size <= stream.send_window:
            stream.send_window -= size
            self.spend(size)
            self._emit_data(stream.id, size, parts)
            return
        if stream.queue is None:
            stream.queue = deque()
        stream.queue.extend((memoryview(part), _DATA) for part in parts if len(part))
        stream.queued_bytes += size
        self._pump(stream)

    def send_trailers(self, stream: Http2Stream, block: bytes) -> None:
        """A header block that ends the stream, after what is queued."""
        stream.sending = False
        if stream.queue is None:
            self.send_headers(stream, block, end=True)
        else:
            stream.queue.append((block, _TRAILERS))

    def spend(self, size: int) -> None:
        """``size`` bytes of DATA go out."""
        self._window -= size
        self.sent += 1
        if self._window < self.free:
            self._update_free()

    def drop(self, stream: Http2Stream) -> None:
        """The stream is gone, and with it what it has queued."""
        stream.queue = None
        stream.queued_bytes = 0
        self._blocked.pop(stream.id, None)

    # -- what opens the way --

    def widen(self, increment: int) -> None:
        """The client opened the connection's window.

        Raises:
            Http2ConnectionError: too far.
        """
        self._window += increment
        if self._window > MAX_WINDOW:
            raise Http2ConnectionError(Http2Code.FLOW_CONTROL_ERROR, "connection window passes 2^31-1")
        if self.free < self.max_frame:
            self._update_free()
        if self._blocked:
            self._pump_blocked()

    def widen_stream(self, stream: Http2Stream, increment: int) -> bool:
        """The client opened a stream's window; false if too far."""
        stream.send_window += increment
        if stream.send_window > MAX_WINDOW:
            return False
        if stream.queue is not None:
            self._pump(stream)
        return True

    def set_max_frame(self, size: int) -> None:
        """The client takes frames up to ``size``."""
        self.max_frame = size
        self._update_free()

    def hold(self, held: bool) -> None:
        """The transport has enough to write, or wants more."""
        self._held = held
        self._update_free()
        if not held:
            self._pump_blocked()

    def _update_free(self) -> None:
        self.free = 0 if self._held else max(0, min(self._window, self.max_frame))

    # -- queues --

    def _pump_blocked(self) -> None:
        """Let the blocked streams send in turn, a frame each, until the way is closed again."""
        while self._blocked and self.free:
            for stream in [*self._blocked.values()]:
                del self._blocked[stream.id]
                self._pump(stream, frames=1)
                if not self.free:
                    return

    def _pump(self, stream: Http2Stream, *, frames: int = 1 << 30) -> None:
        """Send what ``stream`` has queued, at most so many frames of DATA."""
        queue = stream.queue
        while queue:
            buffer, kind = queue[0]
            if kind == _TRAILERS:
                self.drop(stream)
                self.send_headers(stream, bytes(buffer), end=True)
                return
            if stream.send_window <= 0:
                break
            size = min(len(buffer), self.free, stream.send_window)
            if not size or not frames:
                self._blocked[stream.id] = stream
                break
            frames -= 1
            self._send_piece(stream, queue, size)
        else:
            stream.queue = None
        if stream.wants_writable and stream.queued_bytes <= self._low_water:
            stream.wants_writable = False
            stream.listener.on_writable()

    def _send_piece(self, stream: Http2Stream, queue: deque[tuple[Buffer, int]], size: int) -> None:
        buffer, _ = queue[0]
        if size == len(buffer):
            queue.popleft()
        else:
            queue[0] = (buffer[size:], _DATA)
            buffer = buffer[:size]
        stream.queued_bytes -= size
        stream.send_window -= size
        self.spend(size)
        self._emit_data(stream.id, size, (buffer,))

    def _emit_data(self, stream_id: int, size: int, parts: Sequence[Buffer]) -> None:
        head = HEAD.pack(size << 8, 0, stream_id)
        if size <= _JOIN_BYTES:
            self.emit(b"".join((head, *parts)))
        else:
            self.emit(head)
            self.frames += parts
