"""The layout of frames: RFC 9113, sections 4 and 6."""

from __future__ import annotations

import struct

from tritium.http2.errors import Http2Code

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">IBI")  # length << 8 | type, flags, stream identifier
HEAD_BYTES = 9
U32 = struct.Struct(">I")
MIN_MAX_FRAME_BYTES = 16384
MAX_WINDOW = (1 << 31) - 1
MAX_STREAM_ID = (1 << 31) - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)
KNOWN_TYPES = 10
FIXED_LENGTHS = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)
MAX_HEADER_LIST_SIZE = 6
DEFAULT_WINDOW = 65535
DEFAULT_TABLE_BYTES = 4096

_SETTING = struct.Struct(">HI")
_TWO = struct.Struct(">II")
SETTINGS_ACK = HEAD.pack(SETTINGS, ACK, 0)


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join(_SETTING.pack(*item) for item in values.items())
    return HEAD.pack(len(payload) << 8 | SETTINGS, 0, 0) + payload


def parse_settings(payload: memoryview) -> list[tuple[int, int]]:
    """The parameters of a SETTINGS frame, whose length is a multiple of six, in order."""
    return list(_SETTING.iter_unpack(payload))


def window_update(stream_id: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return HEAD.pack(4 << 8 | WINDOW_UPDATE, 0, stream_id) + U32.pack(increment)


def rst_stream(stream_id: int, code: int) -> bytes:
    """A RST_STREAM frame."""
    return HEAD.pack(4 << 8 | RST_STREAM, 0, stream_id) + U32.pack(code)


def ping(payload: bytes, *, ack: bool) -> bytes:
    """A PING frame with its eight bytes."""
    return HEAD.pack(8 << 8 | PING, ACK if ack else 0, 0) + payload


def goaway(last_stream_id: int, code: Http2Code, text: str = "") -> bytes:
    """A GOAWAY frame with debug data."""
    debug = text.encode()
    return HEAD.pack(8 + len(debug) << 8 | GOAWAY, 0, 0) + _TWO.pack(last_stream_id, code) + debug


def header_frames(stream_id: int, block: bytes, *, end_stream: bool, max_frame: int) -> bytes:
    """A HEADERS frame, and CONTINUATION frames if ``block`` is longer than a frame may be."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= max_frame:
        return HEAD.pack(len(block) << 8 | HEADERS, flags | END_HEADERS, stream_id) + block
    pieces = [HEAD.pack(max_frame << 8 | HEADERS, flags, stream_id), block[:max_frame]]
    for start in range(max_frame, len(block), max_frame):
        piece = block[start : start + max_frame]
        last = END_HEADERS if start + max_frame >= len(block) else 0
        pieces += [HEAD.pack(len(piece) << 8 | CONTINUATION, last, stream_id), piece]
    return b"".join(pieces)
