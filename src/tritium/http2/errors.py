"""What can go wrong on an HTTP/2 connection: with all of it, or with one stream."""

from __future__ import annotations

from enum import IntEnum


class Http2Code(IntEnum):
    """Error codes of RFC 9113, section 7."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Http2ConnectionError(Exception):
    """The peer broke a rule that ends the connection: GOAWAY with ``code``, the text as its debug data."""

    def __init__(self, code: Http2Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class Http2StreamError(Exception):
    """The peer broke a rule that ends one stream: RST_STREAM with ``code``."""

    def __init__(self, stream_id: int, code: Http2Code, text: str) -> None:
        super().__init__(text)
        self.stream_id = stream_id
        self.code = code


def protocol_error(text: str) -> Http2ConnectionError:
    """The most common of the errors."""
    return Http2ConnectionError(Http2Code.PROTOCOL_ERROR, text)


def calm(text: str) -> Http2ConnectionError:
    """A bound of ours is passed."""
    return Http2ConnectionError(Http2Code.ENHANCE_YOUR_CALM, text)
