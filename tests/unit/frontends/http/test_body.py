from __future__ import annotations

import pytest

from tritium.frontends.http.body import RequestBody, too_large
from tritium.frontends.http.exchange import HttpRefusal


def body(announced: int | None = None, limit: int = 100, chunk_limit: int = 10) -> RequestBody:
    return RequestBody(announced, limit=limit, chunk_limit=chunk_limit)


@pytest.mark.parametrize("chunks", [[], [b"abc"], [b"a", b"", b"bc"]])
def test_pieces_become_one_body(chunks: list[bytes]) -> None:
    collected = body()
    for chunk in chunks:
        collected.feed(chunk)
    assert collected.take() == b"".join(chunks)
    assert collected.size == len(b"".join(chunks))


def test_a_body_of_one_piece_is_not_copied() -> None:
    collected, chunk = body(), bytes(50)
    collected.feed(chunk)
    assert collected.take() is chunk


def test_an_announced_body_is_received_into_its_own_buffer() -> None:
    collected = body(6)
    collected.go_direct(memoryview(bytearray(b"ab....")), 2)
    whole = []
    for piece in (b"c", b"def"):
        collected.space()[: len(piece)] = piece
        whole.append(collected.received(len(piece)))
    assert whole == [False, True]
    assert (collected.size, collected.take()) == (6, bytearray(b"abcdef"))


def test_there_is_no_space_beyond_what_was_announced() -> None:
    collected = body(6)
    collected.go_direct(memoryview(bytearray(b"ab....")), 2)
    assert len(collected.space()) == 4


def test_an_announcement_beyond_the_limit_is_refused_before_anything_is_read() -> None:
    with pytest.raises(HttpRefusal) as caught:
        body(101)
    assert caught.value.status == 413
    assert str(caught.value) == str(too_large(101, 100))
    assert str(caught.value) == (
        "request body of 101 bytes exceeds the maximum of 100 bytes. Use --http-max-input-size to increase "
        "the limit."
    )
    assert body(100).announced == 100


def test_a_body_without_announcement_is_refused_when_it_passes_the_limit() -> None:
    collected = body()
    collected.feed(bytes(100))
    with pytest.raises(HttpRefusal, match="request body of 101 bytes"):
        collected.feed(b"x")


def test_chunks_are_bounded_and_the_last_empty_one_is_free() -> None:
    collected = body(chunk_limit=3)
    for _ in range(3 + 1):
        collected.count_chunk()
    with pytest.raises(HttpRefusal) as caught:
        collected.count_chunk()
    assert caught.value.status == 413
    assert str(caught.value) == (
        "Chunked request body exceeds maximum of 3 non-empty chunks. Send fewer or larger HTTP chunks."
    )
