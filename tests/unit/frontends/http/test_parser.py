from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritium.core.tensor import Buffer
from tritium.frontends.http.exchange import Exchange, HttpRefusal
from tritium.frontends.http.head import HeadCache, RequestHead
from tritium.frontends.http.parser import RequestParser
from tritium.options import HttpOptions

GET = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789"
EMPTY = b"POST /empty HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
CHUNKED = (
    b"POST /chunked HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n"
)
OLD = b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
KNOWN = {
    GET: ("GET", "/v2", b""),
    POST: ("POST", "/v2/models/m/infer", b"0123456789"),
    EMPTY: ("POST", "/empty", b""),
    CHUNKED: ("POST", "/chunked", b"abcdefg"),
    OLD: ("GET", "/old", b""),
}


class Client:
    """Feeds a parser as a transport does, and keeps what comes out."""

    def __init__(
        self,
        heads: HeadCache | None = None,
        plan: Callable[[RequestHead], None] = lambda head: None,
        options: HttpOptions | None = None,
    ) -> None:
        self.heads = heads or HeadCache()
        self.requests: list[tuple[str, str, bytes]] = []
        self.seen: list[RequestHead] = []
        self.planned = 0
        self.expectations = 0
        self.more = True
        self._plan = plan
        self.parser = RequestParser(self, self.plan, options or HttpOptions(), self.heads)
        self._scratch = bytearray(1 << 16)
        self._view = memoryview(self._scratch)

    def plan(self, head: RequestHead) -> Callable[[Exchange], None]:
        self.planned += 1
        self._plan(head)
        return lambda exchange: None

    def on_request(self, head: RequestHead, body: Buffer) -> bool:
        self.seen.append(head)
        self.requests.append((head.method.decode(), head.path, bytes(body)))
        return self.more

    def on_expectation(self) -> None:
        self.expectations += 1

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            while piece:
                space = self.parser.space() if self.parser.direct else self._view
                size = min(len(piece), len(space))
                space[:size] = piece[:size]
                piece = piece[size:]
                if self.parser.direct:
                    self.parser.received(size)
                else:
                    self.parser.feed(self._scratch, self._view, size)


def split(raw: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in raw]


def refusal(pieces: list[bytes], options: HttpOptions) -> tuple[int, str]:
    """Status and text with which a request is refused."""
    client = Client(options=options)
    with pytest.raises(HttpRefusal) as caught:
        client.send(*pieces)
    assert client.requests == []
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize("raw", KNOWN)
def test_a_request_comes_out_as_it_was_sent(raw: bytes) -> None:
    client = Client()
    client.send(raw)
    assert client.requests == [KNOWN[raw]]


@pytest.mark.parametrize("raw", KNOWN)
def test_a_request_may_come_one_byte_at_a_time(raw: bytes) -> None:
    client = Client()
    client.send(*split(raw * 2))
    assert client.requests == [KNOWN[raw]] * 2


@pytest.mark.parametrize("raw", KNOWN)
def test_the_second_request_of_a_kind_is_read_as_the_first(raw: bytes) -> None:
    client = Client()
    client.send(raw, raw, raw + raw)
    assert client.requests == [KNOWN[raw]] * 4


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*KNOWN]), min_size=1, max_size=6), st.lists(st.integers(0, 600), max_size=8))
def test_requests_are_the_same_whatever_pieces_they_come_in(kinds: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(kinds)
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    client = Client()
    client.send(*(raw[a:b] for a, b in pairwise(edges)))
    assert client.requests == [KNOWN[kind] for kind in kinds]


def test_a_head_that_is_known_is_planned_once_for_all_connections() -> None:
    first = Client()
    first.send(POST, POST)
    second = Client(first.heads)
    second.send(POST)
    assert (first.planned, second.planned) == (1, 0)
    assert second.seen[0] is first.seen[0]
    assert second.requests == [KNOWN[POST]]


def test_heads_that_differ_in_a_byte_are_not_mixed_up() -> None:
    client = Client()
    client.send(POST, POST.replace(b"Length: 10", b"Length: 05")[:-5], POST)
    assert [body for _, _, body in client.requests] == [b"0123456789", b"01234", b"0123456789"]


def test_a_long_body_does_not_pass_through_the_scratch_buffer() -> None:
    body = bytes(range(256)) * 1000
    client = Client()
    client.send(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body + GET)
    assert client.requests[0][2] == body
    assert client.requests[1] == KNOWN[GET]


LARGE = b"POST /large HTTP/1.1\r\nContent-Length: 300000\r\n\r\n"


def test_a_large_request_that_is_repeated_is_received_into_one_buffer() -> None:
    client, bodies = Client(), [bytes([turn]) * 300_000 for turn in range(3)]
    client.send(LARGE + bodies[0])
    for body in bodies[1:]:
        assert client.parser.direct
        assert len(client.parser.space()) == len(LARGE) + len(body)
        client.send(LARGE + body)
    assert [body for _, _, body in client.requests] == bodies
    assert client.planned == 1


@pytest.mark.parametrize("other", [*KNOWN, LARGE.replace(b"large", b"small") + bytes(300_000)])
@pytest.mark.parametrize("cut", [1, 20, len(LARGE) + 1])
def test_after_a_large_request_any_other_may_come_in_any_pieces(other: bytes, cut: int) -> None:
    client, large = Client(), LARGE + bytes(300_000)
    client.send(large, other[:cut], other[cut:], large, large[:cut], large[cut:] + other)
    alone = Client()
    alone.send(large, other, large, large, other)
    assert client.requests == alone.requests
    assert len(client.requests) == 5


def test_what_follows_a_large_request_may_be_refused() -> None:
    client = Client()
    client.send(LARGE + bytes(300_000))
    with pytest.raises(HttpRefusal):
        client.send(b"nonsense\r\n\r\n")


def test_a_small_request_that_came_in_pieces_is_not_expected_again() -> None:
    client = Client()
    client.send(POST[:-5], POST[-5:])
    assert not client.parser.direct


def test_no_memory_is_held_for_a_request_that_may_come() -> None:
    client = Client()
    client.send(LARGE + bytes(300_000))
    held = client.parser.space()
    assert client.parser.space() is held
    client.parser.rest()
    assert client.parser.space() is not held


def test_headers_are_by_lower_case_name_and_the_query_is_cut_off() -> None:
    client = Client()
    client.send(b"GET /v2/ec%68o?x=/y HTTP/1.1\r\nX-ONE: a b \r\nx-two:\r\n\r\n")
    (head,) = client.seen
    assert (head.path, head.headers) == ("/v2/ec%68o", {b"x-one": b"a b", b"x-two": b""})
    assert (head.method, head.http_1_0, head.keep_alive, head.length) == (b"GET", False, True, None)


@pytest.mark.parametrize(
    ("raw", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", False),
    ],
)
def test_a_head_says_whether_the_connection_goes_on(raw: bytes, keep_alive: bool) -> None:
    client = Client()
    client.send(raw)
    assert [head.keep_alive for head in client.seen] == [keep_alive]


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://host:8000/v2?x", "/v2"), (b"HTTPS://host/v2/models", "/v2/models"), (b"http://host", "/")],
)
def test_a_target_may_be_a_whole_uri(target: bytes, path: str) -> None:
    client = Client()
    client.send(b"GET " + target + b" HTTP/1.1\r\n\r\n")
    assert client.requests == [("GET", path, b"")]


def test_nothing_is_read_after_a_request_that_is_the_last() -> None:
    client = Client()
    client.more = False
    client.send(POST)
    client.send(POST + POST)
    assert len(client.requests) == 2


def test_a_client_that_expects_to_be_told_is_told_before_its_body() -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
    client = Client()
    client.send(head)
    assert (client.expectations, client.requests) == (1, [])
    client.send(b"abc", head + b"def")
    assert client.expectations == 2
    assert [body for _, _, body in client.requests] == [b"abc", b"def"]


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(
    ("raw", "status", "text"),
    [
        (b"GET / HTTP/2.0\r\n\r\n", 505, ""),
        (b"GET host:80 HTTP/1.1\r\n\r\n", 400, ""),
        (b"GET ftp://host/ HTTP/1.1\r\n\r\n", 400, "request target is neither a path nor an http URI"),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: the-best\r\n\r\n",
            417,
            "expectation is not supported, expected '100-continue'",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400, "header 'host' is given twice"),
        (b"GET /" + b"x" * 8192 + b" HTTP/1.1\r\n\r\n", 414, "request target exceeds 8192 bytes"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 257 + b"\r\n", 431, "request has more than 256 headers"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413, "request body of 1001 bytes exceeds"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "malformed HTTP request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "malformed"),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
            "transfer coding is not supported, expected 'chunked'",
        ),
        (b"nonsense\r\n\r\n", 400, "malformed HTTP request"),
        (b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n", 400, "malformed HTTP request"),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400, "malformed HTTP request"),
        (b"GET / HTTP/1.1\r\nA\x00: b\r\n\r\n", 400, "malformed HTTP request"),
    ],
)
def test_what_cannot_be_read_is_refused(raw: bytes, status: int, text: str, one_by_one: bool) -> None:
    found = refusal(split(raw) if one_by_one else [raw], HttpOptions(max_input_bytes=1000))
    assert found[0] == status
    assert text in found[1]


@pytest.mark.parametrize("ended", [b"\r\n\r\n", b""])
def test_headers_are_bounded_whether_they_end_or_not(ended: bytes) -> None:
    raw = [b"GET / HTTP/1.1\r\nA: ", b"x" * 2000 + ended]
    assert refusal(raw, HttpOptions(max_header_bytes=1000)) == (431, "request headers exceed 1000 bytes")


def test_a_head_that_comes_at_once_is_bounded_as_well() -> None:
    raw = b"GET / HTTP/1.1\r\nA: " + b"x" * 2000 + b"\r\n\r\n"
    assert refusal([raw], HttpOptions(max_header_bytes=1000)) == (431, "request headers exceed 1000 bytes")


def test_headers_that_come_slowly_are_bounded_too() -> None:
    raw = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200
    assert refusal(split(raw), HttpOptions(max_header_bytes=1000)) == (
        431,
        "request headers exceed 1000 bytes",
    )


def test_a_refusal_of_the_application_comes_before_the_body() -> None:
    def refuse(head: RequestHead) -> None:
        raise HttpRefusal(404, "Not Found")

    client = Client(plan=refuse)
    with pytest.raises(HttpRefusal, match="Not Found"):
        client.send(POST[:-10])
    assert client.heads.find(POST[:-10]) is None


def test_a_chunked_body_is_bounded_in_bytes_and_chunks() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refusal([head + b"b\r\n01234567890\r\n0\r\n\r\n"], HttpOptions(max_input_bytes=10))[0] == 413
    assert refusal([head + b"1\r\nx\r\n" * 3 + b"0\r\n\r\n"], HttpOptions(max_chunks=2)) == (
        413,
        "Chunked request body exceeds maximum of 2 non-empty chunks. Send fewer or larger HTTP chunks.",
    )


def test_as_many_chunks_as_are_allowed_are_taken() -> None:
    client = Client(options=HttpOptions(max_chunks=2))
    client.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1\r\ny\r\n0\r\n\r\n")
    assert client.requests == [("POST", "/", b"xy")]


def test_what_surrounds_the_bytes_of_a_chunked_body_is_bounded() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = refusal([head, b"1;", *([b"x" * 500] * 20)], HttpOptions(max_header_bytes=1000, max_chunks=2))
    assert found == (431, "extensions and trailers of the chunked body are too long")


def test_a_trailer_changes_nothing() -> None:
    client = Client()
    client.send(CHUNKED.replace(b"Trailer: t", b"Content-Encoding: gzip"))
    assert b"content-encoding" not in client.seen[0].headers


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([*KNOWN]), st.integers(0, 120), st.binary(max_size=3), st.integers(0, 4), st.booleans()
)
def test_no_damage_brings_the_parser_down(
    raw: bytes, position: int, put: bytes, cut: int, one_by_one: bool
) -> None:
    damaged = raw[:position] + put + raw[position + cut :] + raw
    try:
        Client().send(*(split(damaged) if one_by_one else [damaged]))
    except HttpRefusal as error:
        assert 400 <= error.status < 600
