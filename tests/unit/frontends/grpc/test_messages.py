from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.frontends.grpc.rig import message
from tests.unit.http2.peers import REQUEST_BLOCK, Server, consume, frame
from tritium.frontends.grpc.messages import MessageReader, compress, decompress
from tritium.frontends.grpc.status import GrpcError, GrpcStatus
from tritium.http2.frames import DATA, END_HEADERS, HEADERS


def reader(limit: int = 1 << 30) -> tuple[MessageReader, list[tuple[bool, bytes]], Callable[[bytes], None]]:
    """A reader, what it read, and how to send it a piece of the body."""
    read: list[tuple[bool, bytes]] = []
    server = Server(consume)
    server.receive(frame(HEADERS, END_HEADERS, 1, REQUEST_BLOCK))
    noted = server.requests[1]
    made = MessageReader(
        noted.stream, limit, bytearray, lambda flag, content: read.append((flag, bytes(content)))
    )
    noted.on_data = lambda data, end: made.feed(data)  # type: ignore[method-assign]
    return made, read, lambda body: server.receive(frame(DATA, 0, 1, body))


@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=8),
    st.lists(st.integers(1, 60), max_size=60),
)
def test_messages_cut_anywhere_are_put_together(messages: list[tuple[bool, bytes]], cuts: list[int]) -> None:
    made, read, send = reader()
    body = b"".join(message(content, int(flag)) for flag, content in messages)
    for cut in cuts:
        if body:
            send(body[:cut])
        body = body[cut:]
    if body:
        send(body)
    assert read == messages
    assert made.whole


def test_half_a_message_is_not_whole() -> None:
    for part in (b"\0", message(b"abc")[:-1]):
        made, read, send = reader()
        send(part)
        assert not made.whole
        assert read == []


def test_a_message_beyond_the_limit_is_refused_at_its_prefix() -> None:
    made, _, _ = reader(limit=10)
    with pytest.raises(GrpcError, match=r"Received message larger than max \(11 vs\. 10\)") as caught:
        made.feed(memoryview(b"\0\0\0\0\x0b"))
    assert caught.value.status is GrpcStatus.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_is_compressed_is_decompressed(coding: str) -> None:
    content = b"abc" * 1000
    assert decompress(compress(content, coding), coding, 3000) == content


def test_no_more_than_the_limit_is_decompressed() -> None:
    with pytest.raises(GrpcError, match="larger than max"):
        decompress(compress(bytes(3001), "gzip"), "gzip", 3000)
