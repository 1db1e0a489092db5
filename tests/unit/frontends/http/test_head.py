from __future__ import annotations

import pytest

from tritium.frontends.http.head import HeadCache, RequestHead


def head(length: int | None = None, *, keep_alive: bool = True, **headers: bytes) -> RequestHead:
    given = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return RequestHead(b"GET", "/", given, http_1_0=False, keep_alive=keep_alive, length=length)


@pytest.mark.parametrize(
    ("found", "has_body", "chunked"),
    [
        (head(), False, False),
        (head(0), False, False),
        (head(1), True, False),
        (head(transfer_encoding=b"chunked"), True, True),
    ],
)
def test_a_head_says_whether_a_body_follows(found: RequestHead, has_body: bool, chunked: bool) -> None:
    assert (found.has_body, found.chunked) == (has_body, chunked)


def test_a_head_is_found_by_its_bytes() -> None:
    heads, known = HeadCache(), head()
    heads.remember(b"GET / HTTP/1.1\r\n\r\n", known)
    assert heads.find(b"GET / HTTP/1.1\r\n\r\n") is known
    assert heads.find(b"GET / HTTP/1.0\r\n\r\n") is None


@pytest.mark.parametrize(
    ("raw", "unfit"),
    [
        (b"x", head(transfer_encoding=b"chunked")),
        (b"x", head(3, expect=b"100-continue")),
        (b"x", head(keep_alive=False)),
        (b"x" * 2049, head()),
    ],
    ids=["chunked", "expectation", "last of its connection", "long"],
)
def test_heads_that_need_the_parser_each_time_are_not_remembered(raw: bytes, unfit: RequestHead) -> None:
    heads = HeadCache()
    heads.remember(raw, unfit)
    assert heads.find(raw) is None


def test_the_number_of_heads_is_bounded() -> None:
    heads = HeadCache()
    for number in range(600):
        heads.remember(b"%d" % number, head())
    found = [number for number in range(600) if heads.find(b"%d" % number) is not None]
    assert 599 in found
    assert len(found) <= 512
