"""The streams of a connection: which are open, which are gone, and what may still come for those.

A frame for a stream that is gone is legal if the server reset the stream, for the client may not know yet;
after an end that both sides saw it is an error (RFC 9113, section 5.1).
"""

from __future__ import annotations

from collections import deque

from tritium.http2.errors import Http2Code, Http2ConnectionError, Http2StreamError, calm, protocol_error
from tritium.http2.flow import SendFlow
from tritium.http2.frames import MAX_STREAM_ID, goaway, rst_stream, window_update
from tritium.http2.header_rules import RequestHeaders
from tritium.http2.limits import Http2Limits, RateGuard
from tritium.http2.stream import DEAF, Http2Stream, StreamListener

_MAX_SKIPPED = 16


class Streams:
    """What all parts of a connection share.

    Attributes:
        open: by identifier.
        idle_frames: how many came in a row that moved no request; see ``check_idle_frames``.
        max_idle_frames: how many of them are looked at together.
        last_id: the highest identifier that the client used.
        final_id: streams above it are refused; GOAWAY said so.
        finished: there will be no more streams.
        now_s: when the bytes that are being looked at were received.
    """

    def __init__(self, limits: Http2Limits) -> None:
        self.limits = limits
        self.flow = SendFlow(self.reply_sent, limits.send_low_water_bytes)
        self.open: dict[int, Http2Stream] = {}
        self.last_id = 0
        self.final_id = MAX_STREAM_ID
        self.finished = False
        self.now_s = 0.0
        self._gone: dict[int, None] = {}  # the latest that we reset
        self._skipped: deque[tuple[int, int]] = deque(maxlen=_MAX_SKIPPED)  # what the client left out
        self._resets = RateGuard(limits.resets)
        self.idle_frames = 0
        self.max_idle_frames = limits.max_idle_control_frames
        self._sent_before = 0

    # -- lives --

    def begin(self, stream_id: int, headers: RequestHeaders, receiving: bool) -> Http2Stream:
        """A new stream, the last one that the client announced.

        Raises:
            Http2StreamError: it is one too many.
        """
        limits = self.limits
        if len(self.open) >= limits.max_concurrent_streams or stream_id > self.final_id:
            raise Http2StreamError(stream_id, Http2Code.REFUSED_STREAM, "too many streams, or going away")
        stream = self.open[stream_id] = Http2Stream(
            stream_id, self, headers, (limits.stream_window_bytes, self.flow.initial_window), receiving
        )
        return stream

    def announce(self, stream_id: int) -> None:
        """The client begins a stream with an identifier above all others.

        Raises:
            Http2ConnectionError: it is none of a client's.
        """
        if not stream_id & 1:
            raise protocol_error(f"a client may not open stream {stream_id}: its number is even")
        if stream_id > self.last_id + 2:
            self._skipped.append((self.last_id, stream_id))
        self.last_id = stream_id

    def reply_sent(self, stream: Http2Stream) -> None:
        """The end of a reply was sent."""
        if stream.receiving:  # the client need not go on
            self.reset(stream, Http2Code.NO_ERROR)
        else:
            self.forget(stream)

    def reset(self, stream: Http2Stream, code: Http2Code) -> None:
        """End a stream at once."""
        if stream.id in self.open:
            self._refuse(stream.id, code)
            self.forget(stream)

    def forget(self, stream: Http2Stream) -> StreamListener:
        """The stream is gone: who listened to it."""
        listener, stream.listener = stream.listener, DEAF
        stream.receiving = stream.sending = False
        stream.target = None
        if stream.queue is not None:
            self.flow.drop(stream)
        del self.open[stream.id]
        if self.final_id < MAX_STREAM_ID and not self.open:
            self.finished = True
        return listener

    def abandon(self) -> None:
        """The connection is gone."""
        self.finished = True
        for stream in [*self.open.values()]:
            self.forget(stream).on_reset(Http2Code.CANCEL)

    def stop_accepting(self) -> None:
        """Refuse what comes from now on, and finish what is open."""
        if self.final_id == MAX_STREAM_ID and not self.finished:
            self.final_id = self.last_id
            self.flow.emit(goaway(self.last_id, Http2Code.NO_ERROR))
            self.finished = not self.open

    def grant(self, stream: Http2Stream, size: int) -> None:
        """Let the client send so many bytes more on a stream."""
        if stream.receiving:
            stream.recv_window += size
            self.flow.emit(window_update(stream.id, size))

    # -- faults --

    def fail(self, error: Http2StreamError) -> None:
        """A stream breaks a rule. It counts as a reset: in CVE-2025-8671 the server is made to reset.

        Raises:
            Http2ConnectionError: this happens too often.
        """
        stream = self.open.get(error.stream_id)
        self._refuse(error.stream_id, error.code)
        if stream is not None:
            self.forget(stream).on_reset(error.code)
        self.count_reset()

    def _refuse(self, stream_id: int, code: Http2Code) -> None:
        self._gone[stream_id] = None
        if len(self._gone) > 2 * self.limits.max_concurrent_streams:
            del self._gone[next(iter(self._gone))]
        self.flow.emit(rst_stream(stream_id, code))

    def check_known(self, stream_id: int) -> None:
        """Raises Http2ConnectionError if the client never opened the stream."""
        if stream_id > self.last_id or not stream_id & 1:
            raise protocol_error(f"stream {stream_id} is not open")

    def check_gone(self, stream_id: int) -> None:
        """Raises Http2ConnectionError if HEADERS or DATA may not come for a stream that is not open."""
        self.check_known(stream_id)
        if stream_id in self._gone or stream_id > self.final_id:
            self.count_idle_frame()
        elif any(low < stream_id < high for low, high in self._skipped):
            raise protocol_error(f"stream {stream_id} is opened after a later one")
        else:
            raise Http2ConnectionError(Http2Code.STREAM_CLOSED, f"stream {stream_id} is closed")

    def count_reset(self) -> None:
        """Raises Http2ConnectionError if streams are reset too often."""
        if self._resets.exceeded(self.now_s):
            raise calm("streams are reset too fast")

    def count_idle_frame(self) -> None:
        """A frame that moves no request. Raises Http2ConnectionError if there are too many in a row."""
        self.idle_frames += 1
        if self.idle_frames > self.max_idle_frames:
            self.check_idle_frames()

    def check_idle_frames(self) -> None:
        """Many frames moved no request: raises Http2ConnectionError unless replies were sent meanwhile."""
        if self.flow.sent == self._sent_before:
            raise calm("too many control frames")
        self._sent_before = self.flow.sent
        self.idle_frames = 0
