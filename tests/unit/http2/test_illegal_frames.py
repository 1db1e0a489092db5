"""What RFC 9113 forbids, and the error that it asks for."""

from __future__ import annotations

import pytest

from tests.unit.http2.peers import DONE_BLOCK, OK_REPLY, REQUEST, REQUEST_BLOCK, Server, consume, frame
from tritium.http2.errors import Http2Code
from tritium.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PRIORITY_FLAG,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from tritium.http2.header_rules import Field
from tritium.http2.headers import encode_fields
from tritium.http2.limits import Http2Limits

PROTOCOL, SIZE, FLOW = Http2Code.PROTOCOL_ERROR, Http2Code.FRAME_SIZE_ERROR, Http2Code.FLOW_CONTROL_ERROR
CLOSED, COMPRESSION = Http2Code.STREAM_CLOSED, Http2Code.COMPRESSION_ERROR
WHOLE = END_HEADERS | END_STREAM
OPEN = frame(HEADERS, END_HEADERS, 1, REQUEST_BLOCK)
ENDED = frame(HEADERS, WHOLE, 1, REQUEST_BLOCK)
WORD = b"\0\0\0\1"


def setting(name: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, name.to_bytes(2, "big") + value.to_bytes(4, "big"))


CONNECTION_ERRORS: dict[str, tuple[bytes, Http2Code]] = {
    "4.2 a frame longer than was announced": (OPEN + frame(DATA, 0, 1, bytes(70_000)), SIZE),
    "4.2 a long frame of an unknown type": (frame(0x77, 0, 0, bytes(70_000)), SIZE),
    "4.3 a header block that cannot be decoded": (frame(HEADERS, WHOLE, 1, b"\x80"), COMPRESSION),
    "4.3 a header block with an index beyond the table": (frame(HEADERS, WHOLE, 1, b"\xff\x7f"), COMPRESSION),
    "4.3 a header block that is cut short": (frame(HEADERS, WHOLE, 1, b"\x00\x05ab"), COMPRESSION),
    "4.3 a table update after a field": (frame(HEADERS, WHOLE, 1, b"\x83\x20"), COMPRESSION),
    "4.3 a table update beyond the limit": (frame(HEADERS, WHOLE, 1, b"\x3f\xe2\x1f"), COMPRESSION),
    "4.3 a header block that another frame interrupts": (
        frame(HEADERS, 0, 1, b"") + frame(PING, 0, 0, bytes(8)),
        PROTOCOL,
    ),
    "4.3 ... that DATA interrupt": (frame(HEADERS, 0, 1, b"") + frame(DATA, 0, 1, b""), PROTOCOL),
    "4.3 ... that an unknown frame interrupts": (
        frame(HEADERS, 0, 1, b"") + frame(0x77, 0, 1, b""),
        PROTOCOL,
    ),
    "4.3 ... that CONTINUATION of another stream interrupts": (
        frame(HEADERS, 0, 1) + frame(CONTINUATION, 4, 3),
        PROTOCOL,
    ),
    "5.1 DATA on an idle stream": (frame(DATA, 0, 1, b"x"), PROTOCOL),
    "5.1 RST_STREAM on an idle stream": (frame(RST_STREAM, 0, 1, WORD), PROTOCOL),
    "5.1 WINDOW_UPDATE on an idle stream": (frame(WINDOW_UPDATE, 0, 1, WORD), PROTOCOL),
    "5.1 CONTINUATION on an idle stream": (frame(CONTINUATION, END_HEADERS, 1, REQUEST_BLOCK), PROTOCOL),
    "5.1 DATA on a stream that the client reset": (
        OPEN + frame(RST_STREAM, 0, 1, WORD) + frame(DATA, 0, 1),
        CLOSED,
    ),
    "5.1 HEADERS on a stream that the client reset": (
        OPEN + frame(RST_STREAM, 0, 1, WORD) + frame(HEADERS, WHOLE, 1, REQUEST_BLOCK),
        CLOSED,
    ),
    "5.1.1 a stream with an even number": (frame(HEADERS, WHOLE, 2, REQUEST_BLOCK), PROTOCOL),
    "5.1.1 a stream with a smaller number than the last": (
        frame(HEADERS, WHOLE, 5, REQUEST_BLOCK) + frame(HEADERS, WHOLE, 3, REQUEST_BLOCK),
        PROTOCOL,
    ),
    "5.1.1 DATA on a stream that was left out": (
        frame(HEADERS, WHOLE, 5, REQUEST_BLOCK) + frame(DATA, 0, 3),
        PROTOCOL,
    ),
    "6.1 DATA on stream 0": (frame(DATA, 0, 0, b"x"), PROTOCOL),
    "6.1 DATA whose padding is its length": (OPEN + frame(DATA, PADDED, 1, b"\x01"), PROTOCOL),
    "6.1 DATA whose padding is longer": (OPEN + frame(DATA, PADDED, 1, b"\x09ab"), PROTOCOL),
    "6.1 padded DATA without room for the length": (OPEN + frame(DATA, PADDED, 1), SIZE),
    "6.2 HEADERS on stream 0": (frame(HEADERS, WHOLE, 0, REQUEST_BLOCK), PROTOCOL),
    "6.2 HEADERS whose padding is longer": (frame(HEADERS, WHOLE | PADDED, 1, b"\x09" + b"x" * 8), PROTOCOL),
    "6.2 padded HEADERS without room for the length": (frame(HEADERS, WHOLE | PADDED, 1), SIZE),
    "6.2 HEADERS without room for their priority": (frame(HEADERS, WHOLE | PRIORITY_FLAG, 1, b"1234"), SIZE),
    "6.2 HEADERS whose padding reaches into the priority": (
        frame(HEADERS, WHOLE | PRIORITY_FLAG | PADDED, 1, b"\x02" + b"12345"),
        PROTOCOL,
    ),
    "6.3 PRIORITY on stream 0": (frame(PRIORITY, 0, 0, b"12345"), PROTOCOL),
    "6.4 RST_STREAM on stream 0": (frame(RST_STREAM, 0, 0, WORD), PROTOCOL),
    "6.4 RST_STREAM of another length": (OPEN + frame(RST_STREAM, 0, 1, b"123"), SIZE),
    "6.5 SETTINGS on a stream": (OPEN + frame(SETTINGS, 0, 1), PROTOCOL),
    "6.5 SETTINGS ACK with parameters": (frame(SETTINGS, ACK, 0, bytes(6)), SIZE),
    "6.5 SETTINGS of another length": (frame(SETTINGS, 0, 0, bytes(5)), SIZE),
    "6.5.2 ENABLE_PUSH of 2": (setting(2, 2), PROTOCOL),
    "6.5.2 INITIAL_WINDOW_SIZE of 2^31": (setting(4, 1 << 31), FLOW),
    "6.5.2 MAX_FRAME_SIZE of 16383": (setting(5, 16_383), PROTOCOL),
    "6.5.2 MAX_FRAME_SIZE of 2^24": (setting(5, 1 << 24), PROTOCOL),
    "6.6 PUSH_PROMISE": (OPEN + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + REQUEST_BLOCK), PROTOCOL),
    "6.7 PING on a stream": (OPEN + frame(PING, 0, 1, bytes(8)), PROTOCOL),
    "6.7 PING of another length": (frame(PING, 0, 0, bytes(7)), SIZE),
    "6.8 GOAWAY on a stream": (OPEN + frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "6.8 GOAWAY that is too short": (frame(GOAWAY, 0, 0, bytes(7)), SIZE),
    "6.9 WINDOW_UPDATE of 0 for the connection": (frame(WINDOW_UPDATE, 0, 0, bytes(4)), PROTOCOL),
    "6.9 WINDOW_UPDATE of another length": (frame(WINDOW_UPDATE, 0, 0, bytes(5)), SIZE),
    "6.9.1 the connection's window beyond 2^31-1": (frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), FLOW),
    "6.9.1 DATA beyond the connection's window": (
        OPEN
        + frame(HEADERS, END_HEADERS, 3, REQUEST_BLOCK)
        + frame(DATA, 0, 1, bytes(40_000))
        + frame(DATA, 0, 3, bytes(65_536)),
        FLOW,
    ),
    "6.9.2 a window beyond 2^31-1 by SETTINGS": (
        OPEN + frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\0\0") + setting(4, 0x7FFFFFFF),
        FLOW,
    ),
    "6.10 CONTINUATION without HEADERS": (ENDED + frame(CONTINUATION, END_HEADERS, 1), PROTOCOL),
    "6.10 CONTINUATION on stream 0": (frame(CONTINUATION, END_HEADERS, 0), PROTOCOL),
}


def request(*changes: Field, without: bytes = b"") -> bytes:
    fields = [field for field in REQUEST if field[0] != without]
    return frame(HEADERS, WHOLE, 1, encode_fields([*fields, *changes]))


def malformed(*fields: Field) -> bytes:
    return frame(HEADERS, WHOLE, 1, encode_fields(fields))


STREAM_ERRORS: dict[str, tuple[bytes, Http2Code]] = {
    "5.1 DATA after the end of the request": (ENDED + frame(DATA, 0, 1, b"x"), CLOSED),
    "5.1 HEADERS after the end of the request": (ENDED + frame(HEADERS, WHOLE, 1, DONE_BLOCK), CLOSED),
    "6.3 PRIORITY of another length": (OPEN + frame(PRIORITY, 0, 1, b"1234"), SIZE),
    "6.9 WINDOW_UPDATE of 0 for a stream": (OPEN + frame(WINDOW_UPDATE, 0, 1, bytes(4)), PROTOCOL),
    "6.9.1 a stream's window beyond 2^31-1": (OPEN + frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"), FLOW),
    "6.9.1 DATA beyond a stream's window": (OPEN + frame(DATA, 0, 1, bytes(50_001)), FLOW),
    "8.1 trailers that do not end the stream": (OPEN + frame(HEADERS, END_HEADERS, 1, DONE_BLOCK), PROTOCOL),
    "8.1 trailers with a pseudo-header field": (OPEN + frame(HEADERS, WHOLE, 1, REQUEST_BLOCK), PROTOCOL),
    "8.1.1 a body longer than content-length": (
        frame(HEADERS, END_HEADERS, 1, encode_fields([*REQUEST, (b"content-length", b"1")]))
        + frame(DATA, 0, 1, b"ab"),
        PROTOCOL,
    ),
    "8.1.1 a body shorter than content-length": (
        frame(HEADERS, END_HEADERS, 1, encode_fields([*REQUEST, (b"content-length", b"3")]))
        + frame(DATA, 1, 1, b"ab"),
        PROTOCOL,
    ),
    "8.1.1 a body that trailers end too early": (
        frame(HEADERS, END_HEADERS, 1, encode_fields([*REQUEST, (b"content-length", b"3")]))
        + frame(HEADERS, WHOLE, 1, DONE_BLOCK),
        PROTOCOL,
    ),
    "8.1.1 no body, but a content-length": (request((b"content-length", b"3")), PROTOCOL),
    "8.1.1 a content-length that is no number": (request((b"content-length", b"-1")), PROTOCOL),
    "8.1.1 two lengths": (request((b"content-length", b"0"), (b"content-length", b"1")), PROTOCOL),
    "8.2 a name in upper case": (request((b"Name", b"x")), PROTOCOL),
    "8.2.1 a name with a space": (request((b"na me", b"x")), PROTOCOL),
    "8.2.1 a name with a colon": (request((b"na:me", b"x")), PROTOCOL),
    "8.2.1 an empty name": (request((b"", b"x")), PROTOCOL),
    "8.2.1 a name beyond ASCII": (request((b"n\xff", b"x")), PROTOCOL),
    "8.2.1 a value with a line feed": (request((b"name", b"x\ny")), PROTOCOL),
    "8.2.1 a value with a carriage return": (request((b"name", b"x\ry")), PROTOCOL),
    "8.2.1 a value with a zero byte": (request((b"name", b"x\0y")), PROTOCOL),
    "8.2.1 a value that begins with a space": (request((b"name", b" x")), PROTOCOL),
    "8.2.1 a value that ends with a tab": (request((b"name", b"x\t")), PROTOCOL),
    "8.2.1 a path with a line feed": (malformed(*REQUEST[:2], (b":path", b"/\n")), PROTOCOL),
    "8.2.2 connection": (request((b"connection", b"close")), PROTOCOL),
    "8.2.2 transfer-encoding": (request((b"transfer-encoding", b"chunked")), PROTOCOL),
    "8.2.2 keep-alive": (request((b"keep-alive", b"1")), PROTOCOL),
    "8.2.2 upgrade": (request((b"upgrade", b"h2c")), PROTOCOL),
    "8.2.2 te of another value": (request((b"te", b"gzip")), PROTOCOL),
    "8.3 a pseudo-header field after others": (request((b"a", b"b"), (b":authority", b"x")), PROTOCOL),
    "8.3 an unknown pseudo-header field": (malformed((b":new", b"x"), *REQUEST), PROTOCOL),
    "8.3 a pseudo-header field of responses": (malformed((b":status", b"200"), *REQUEST), PROTOCOL),
    "8.3 the same pseudo-header field twice": (malformed((b":path", b"/"), *REQUEST), PROTOCOL),
    "8.3.1 no method": (request(without=b":method"), PROTOCOL),
    "8.3.1 no scheme": (request(without=b":scheme"), PROTOCOL),
    "8.3.1 no path": (request(without=b":path"), PROTOCOL),
    "8.3.1 an empty path": (malformed(*REQUEST[:2], (b":path", b"")), PROTOCOL),
    "8.5 CONNECT with a path": (
        malformed((b":method", b"CONNECT"), (b":authority", b"a"), (b":path", b"/")),
        PROTOCOL,
    ),
}

LIMITS = Http2Limits(max_frame_bytes=65_536, connection_window_bytes=80_000, stream_window_bytes=50_000)
ROOMY = Http2Limits(max_frame_bytes=65_536, connection_window_bytes=80_000, stream_window_bytes=80_000)


@pytest.mark.parametrize("step", [None, 1, 7])
@pytest.mark.parametrize("name", CONNECTION_ERRORS)
def test_a_broken_rule_of_the_connection_ends_it_with(name: str, step: int | None) -> None:
    data, code = CONNECTION_ERRORS[name]
    server = Server(consume, ROOMY)
    server.receive(data, step)
    assert server.code() is code
    assert server.connection.finished
    assert all(noted.reset is not None for noted in server.requests.values())


@pytest.mark.parametrize("step", [None, 1, 7])
@pytest.mark.parametrize("name", STREAM_ERRORS)
def test_a_broken_rule_of_a_stream_ends_only_the_stream_with(name: str, step: int | None) -> None:
    data, code = STREAM_ERRORS[name]
    server = Server(consume, LIMITS)
    server.receive(data, step)
    assert server.reset_code() is code
    assert server.connection.open_streams == 0
    assert all(noted.reset == code for noted in server.requests.values())
    server.receive(frame(HEADERS, WHOLE, 3, REQUEST_BLOCK))
    assert server.requests[3].ended


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r",
        b"\x16\x03\x01\x02\x00",
        PREFACE + frame(SETTINGS, ACK),
        PREFACE + frame(PING, 0, 0, bytes(8)),
        PREFACE + frame(0x77),
        PREFACE + frame(DATA, 0, 1),
        PREFACE + OPEN,
    ],
)
def test_a_connection_that_begins_otherwise_is_refused(data: bytes) -> None:
    server = Server(settled=False)
    server.receive(data, 1)
    assert server.code() is PROTOCOL


def test_frames_after_both_sides_ended_the_stream_end_the_connection() -> None:
    for late in (frame(DATA, 0, 1, b"x"), frame(HEADERS, WHOLE, 1, REQUEST_BLOCK)):
        server = Server()
        server.receive(ENDED)
        server.receive(frame(RST_STREAM, 0, 1, WORD) + frame(WINDOW_UPDATE, 0, 1, WORD))
        assert server.connection.error is None
        server.receive(late)
        assert server.code() is CLOSED


def test_frames_after_our_reset_are_ignored_but_keep_the_table_and_the_window_right() -> None:
    server = Server(consume, ROOMY)
    server.receive(OPEN)
    server.requests[1].stream.reset()
    server.output()
    indexed = b"".join(b"\x40" + encode_fields([field])[1:] for field in REQUEST)
    server.receive(frame(HEADERS, WHOLE, 1, indexed) + frame(DATA, 0, 1, bytes(50_000)))
    (update,) = server.frames()
    assert (update.kind, update.stream_id) == (WINDOW_UPDATE, 0)
    server.receive(frame(HEADERS, WHOLE, 3, b"\xc1\xc0\xbf\xbe"))
    assert server.requests[3].stream.headers.path == b"/p"


def test_a_malformed_request_leaves_the_table_right() -> None:
    server = Server(consume)
    server.receive(frame(HEADERS, WHOLE, 1, b"\x40\x01X\x01y" + REQUEST_BLOCK))
    assert server.reset_code() is PROTOCOL
    server.receive(frame(HEADERS, WHOLE, 3, REQUEST_BLOCK + b"\xbe"))
    assert server.reset_code() is PROTOCOL


def test_connect_and_empty_values_are_legal() -> None:
    server = Server(consume)
    server.receive(frame(HEADERS, WHOLE, 1, encode_fields([(b":method", b"CONNECT"), (b":authority", b"a")])))
    server.receive(frame(HEADERS, WHOLE, 3, encode_fields([*REQUEST, (b"te", b"trailers"), (b"empty", b"")])))
    assert server.frames() == []
    assert server.requests[1].stream.headers.method == b"CONNECT"


def test_a_reply_is_not_disturbed_by_errors_of_other_streams() -> None:
    server = Server(consume)
    server.receive(ENDED + frame(HEADERS, WHOLE, 3, b"\x82"))
    server.output()
    server.requests[1].stream.send_response(OK_REPLY, (b"x",))
    assert [f.kind for f in server.frames()] == [HEADERS, DATA, HEADERS]
