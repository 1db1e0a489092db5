"""Clients that send much of what costs them little: each ends in GOAWAY ENHANCE_YOUR_CALM."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.unit.http2.peers import OK_REPLY, REQUEST_BLOCK, Server, consume, frame
from tritium.http2.errors import Http2Code
from tritium.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)

WHOLE = END_HEADERS | END_STREAM


def streams() -> Iterator[int]:
    return count(1, 2)


def rapid_reset() -> Iterator[bytes]:
    for stream_id in streams():
        yield frame(HEADERS, WHOLE, stream_id, REQUEST_BLOCK) + frame(RST_STREAM, 0, stream_id, b"\0\0\0\x08")


def made_resets() -> Iterator[bytes]:
    for stream_id in streams():
        yield frame(HEADERS, WHOLE, stream_id, REQUEST_BLOCK) + frame(WINDOW_UPDATE, 0, stream_id, bytes(4))


def malformed_requests() -> Iterator[bytes]:
    for stream_id in streams():
        yield frame(HEADERS, WHOLE, stream_id, b"\x82")


def too_many_streams() -> Iterator[bytes]:
    for stream_id in streams():
        yield frame(HEADERS, END_HEADERS, stream_id, REQUEST_BLOCK)


def continuations() -> Iterator[bytes]:
    yield frame(HEADERS, 0, 1, REQUEST_BLOCK)
    while True:
        yield frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b" * 1000)


def empty_continuations() -> Iterator[bytes]:
    yield frame(HEADERS, 0, 1, REQUEST_BLOCK)
    while True:
        yield frame(CONTINUATION, 0, 1)


def empty_data() -> Iterator[bytes]:
    yield frame(HEADERS, END_HEADERS, 1, REQUEST_BLOCK)
    while True:
        yield frame(DATA, 0, 1)


def late_data() -> Iterator[bytes]:
    yield frame(HEADERS, END_HEADERS, 1, REQUEST_BLOCK) + frame(WINDOW_UPDATE, 0, 1, bytes(4))
    while True:
        yield frame(DATA, 0, 1, b"x")


def repeated(data: bytes) -> Iterator[bytes]:
    while True:
        yield data


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "rapid reset, CVE-2023-44487": rapid_reset,
    "resets that we are made to send, CVE-2025-8671": made_resets,
    "malformed requests": malformed_requests,
    "more streams than allowed": too_many_streams,
    "CONTINUATION, CVE-2024-27316": continuations,
    "empty CONTINUATION": empty_continuations,
    "empty DATA, CVE-2019-9518": empty_data,
    "DATA for a stream that we reset": late_data,
    "PING, CVE-2019-9512": lambda: repeated(frame(PING, 0, 0, bytes(8))),
    "answers to pings": lambda: repeated(frame(PING, ACK, 0, bytes(8))),
    "SETTINGS, CVE-2019-9515": lambda: repeated(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x10")),
    "SETTINGS ACK": lambda: repeated(frame(SETTINGS, ACK)),
    "many SETTINGS in one frame": lambda: repeated(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x10" * 2000)),
    "PRIORITY, CVE-2019-9513": lambda: repeated(frame(PRIORITY, 0, 1, b"\0\0\0\0\1")),
    "WINDOW_UPDATE": lambda: repeated(frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1")),
    "unknown frames": lambda: repeated(frame(0x77, 0, 0, b"x")),
    "GOAWAY": lambda: repeated(frame(GOAWAY, 0, 0, bytes(8))),
    "a long control frame": lambda: repeated(frame(GOAWAY, 0, 0, bytes(100_000))),
    "HPACK bomb: one entry named many times": lambda: repeated(
        frame(HEADERS, WHOLE, 1, b"\x40\x01n\x7f\xb9\x16" + b"x" * 3000 + b"\xbe" * 10_000)
    ),
    "HPACK bomb: many small fields": lambda: repeated(frame(HEADERS, WHOLE, 1, b"\x00\x01a\x00" * 16_000)),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_the_connection_with_bounded_memory(name: str) -> None:
    server = Server(consume)
    tracemalloc.start()
    try:
        for data, _ in zip(FLOODS[name](), range(20_000), strict=False):
            server.receive(data)
            if server.connection.finished:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert server.code() is Http2Code.ENHANCE_YOUR_CALM
    assert peak < 4 << 20
    assert server.connection.open_streams == 0


def test_what_comes_slowly_is_no_flood() -> None:
    server = Server(consume)
    for stream_id in range(1, 6001, 2):
        server.now_s += 0.1
        server.receive(
            frame(HEADERS, END_HEADERS, stream_id, REQUEST_BLOCK)
            + frame(DATA, 0, stream_id)
            + frame(SETTINGS)
            + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 10
            + frame(RST_STREAM, 0, stream_id, b"\0\0\0\x08")
        )
    assert server.connection.error is None


def test_pings_are_forgiven_where_replies_are_sent() -> None:
    server = Server()
    for stream_id in range(1, 201, 2):
        server.receive(frame(HEADERS, WHOLE, stream_id, REQUEST_BLOCK) + frame(PING, 0, 0, bytes(8)))
    assert server.connection.error is None


def test_pings_are_as_frequent_as_grpc_core_allows() -> None:
    server = Server(consume)
    server.receive(frame(HEADERS, WHOLE, 1, REQUEST_BLOCK))
    for now_s in (0, 300, 600, 601, 602):
        server.now_s = now_s
        server.receive(frame(PING, 0, 0, bytes(8)))
        assert server.connection.error is None
    server.receive(frame(PING, 0, 0, bytes(8)))
    assert str(server.connection.error) == "too_many_pings"


def test_the_window_updates_of_a_long_reply_are_no_flood() -> None:
    server = Server(consume)
    server.receive(frame(HEADERS, WHOLE, 1, REQUEST_BLOCK))
    stream = server.requests[1].stream
    stream.send_data(bytes(200_000))
    for _ in range(100_000):
        server.receive(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1") + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"))
    assert server.connection.error is None
    stream.send_response(OK_REPLY, (b"",))
