"""Control frames: SETTINGS, PING, RST_STREAM, WINDOW_UPDATE, PRIORITY, GOAWAY."""

from __future__ import annotations

from collections.abc import Callable

from tritium.http2.errors import Http2Code, Http2ConnectionError, Http2StreamError, calm, protocol_error
from tritium.http2.frames import (
    ACK,
    GOAWAY,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    U32,
    ping,
)
from tritium.http2.limits import PingGuard, RateGuard
from tritium.http2.peer_settings import apply_settings
from tritium.http2.streams import Streams

_unpack_u32 = U32.unpack
_CONNECTION_FRAMES = (SETTINGS, PING, GOAWAY)


class ControlFrames:
    """The control frames of a connection. ``on_pong`` is given the eight bytes of each answer to a ping.

    Each method raises Http2ConnectionError where a rule is broken that ends the connection.
    """

    def __init__(self, streams: Streams, on_pong: Callable[[bytes], None]) -> None:
        self._streams = streams
        self._on_pong = on_pong
        self._settings = RateGuard(streams.limits.settings)
        self._pings = PingGuard(streams.limits.pings)
        self._sent_before = 0

    def on_frame(self, kind: int, flags: int, stream_id: int, payload: memoryview) -> None:
        """A frame that is not DATA, HEADERS, CONTINUATION or WINDOW_UPDATE."""
        if kind in _CONNECTION_FRAMES:
            if stream_id:
                raise protocol_error(f"frame of type {kind} belongs to the connection, not to a stream")
        elif not stream_id:
            raise protocol_error(f"frame of type {kind} belongs to a stream, not to the connection")
        if kind == SETTINGS:
            self._on_settings(flags, payload)
        elif kind == PING:
            self._on_ping(flags, payload)
        elif kind == RST_STREAM:
            self._on_rst_stream(stream_id, payload)
        elif kind == PUSH_PROMISE:
            raise protocol_error("a client may not push")
        else:
            if kind == PRIORITY and len(payload) != 5:
                text = "PRIORITY is not 5 bytes long"
                self._streams.fail(Http2StreamError(stream_id, Http2Code.FRAME_SIZE_ERROR, text))
                return
            if kind == GOAWAY and len(payload) < 8:
                raise Http2ConnectionError(Http2Code.FRAME_SIZE_ERROR, "GOAWAY is shorter than 8 bytes")
            self._streams.count_idle_frame()

    def on_window_update(self, flags: int, stream_id: int, payload: memoryview) -> None:
        """A WINDOW_UPDATE frame."""
        streams = self._streams
        streams.idle_frames += 1
        if streams.idle_frames > streams.max_idle_frames:
            streams.check_idle_frames()
        increment = _unpack_u32(payload)[0] & 0x7FFFFFFF
        if not stream_id:
            if not increment:
                raise protocol_error("WINDOW_UPDATE of 0")
            streams.flow.widen(increment)
            return
        stream = streams.open.get(stream_id)
        if stream is None:
            streams.check_known(stream_id)
        elif not increment:
            streams.fail(Http2StreamError(stream_id, Http2Code.PROTOCOL_ERROR, "WINDOW_UPDATE of 0"))
        elif not streams.flow.widen_stream(stream, increment):
            text = "window passes 2^31-1"
            streams.fail(Http2StreamError(stream_id, Http2Code.FLOW_CONTROL_ERROR, text))

    def _on_settings(self, flags: int, payload: memoryview) -> None:
        streams = self._streams
        if len(payload) % 6 or (flags & ACK and payload):
            raise Http2ConnectionError(Http2Code.FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
        if self._settings.exceeded(streams.now_s) or len(payload) > 6 * streams.limits.max_settings:
            raise calm("too many SETTINGS")
        if flags & ACK:
            return
        streams.flow.emit(SETTINGS_ACK)  # before what may now be sent
        apply_settings(payload, streams.flow, streams.open)

    def _on_ping(self, flags: int, payload: memoryview) -> None:
        streams = self._streams
        if flags & ACK:
            streams.count_idle_frame()
            self._on_pong(bytes(payload))
            return
        if streams.flow.sent != self._sent_before:
            self._sent_before = streams.flow.sent
            self._pings.forgive()
        if self._pings.exceeded(streams.now_s, idle=not streams.open):
            raise calm("too_many_pings")  # the text that grpc-core's clients know
        streams.flow.emit(ping(bytes(payload), ack=True))

    def _on_rst_stream(self, stream_id: int, payload: memoryview) -> None:
        streams = self._streams
        streams.check_known(stream_id)
        stream = streams.open.get(stream_id)
        if stream is not None:
            streams.forget(stream).on_reset(U32.unpack(payload)[0])
        streams.count_reset()
