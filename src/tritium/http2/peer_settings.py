"""What the client's SETTINGS change."""

from __future__ import annotations

from collections.abc import Mapping

from tritium.http2.errors import Http2Code, Http2ConnectionError
from tritium.http2.flow import SendFlow
from tritium.http2.frames import (
    DEFAULT_TABLE_BYTES,
    ENABLE_PUSH,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    MAX_WINDOW,
    MIN_MAX_FRAME_BYTES,
    parse_settings,
)
from tritium.http2.stream import Http2Stream

_MAX_MAX_FRAME_BYTES = (1 << 24) - 1


def apply_settings(payload: memoryview, flow: SendFlow, streams: Mapping[int, Http2Stream]) -> None:
    """Apply the parameters; windows last, for what they let go has to obey the others.

    Those that bound what only a client would send are of no interest.

    Raises:
        Http2ConnectionError: a value is not allowed.
    """
    window = flow.initial_window
    for name, value in parse_settings(payload):
        if name == INITIAL_WINDOW_SIZE:
            if value > MAX_WINDOW:
                text = f"SETTINGS_INITIAL_WINDOW_SIZE is {value}"
                raise Http2ConnectionError(Http2Code.FLOW_CONTROL_ERROR, text)
            window = value
        elif name == MAX_FRAME_SIZE:
            if not MIN_MAX_FRAME_BYTES <= value <= _MAX_MAX_FRAME_BYTES:
                raise Http2ConnectionError(Http2Code.PROTOCOL_ERROR, f"SETTINGS_MAX_FRAME_SIZE is {value}")
            flow.set_max_frame(value)
        elif name == ENABLE_PUSH and value > 1:
            raise Http2ConnectionError(Http2Code.PROTOCOL_ERROR, f"SETTINGS_ENABLE_PUSH is {value}")
        elif name == HEADER_TABLE_SIZE and value < DEFAULT_TABLE_BYTES:
            flow.forgo_table()
    if window != flow.initial_window:
        _set_initial_window(window, flow, streams)


def _set_initial_window(value: int, flow: SendFlow, streams: Mapping[int, Http2Stream]) -> None:
    change = value - flow.initial_window
    flow.initial_window = value
    for stream in [*streams.values()]:
        if not flow.widen_stream(stream, change):
            raise Http2ConnectionError(
                Http2Code.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE makes a window pass 2^31-1"
            )
