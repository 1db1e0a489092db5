from __future__ import annotations

import pytest

from tests.unit.frontends.http.fakes import FakeReplyPath, exchange, reply_of
from tritium.core.tensor import Buffer
from tritium.errors import ErrorCode
from tritium.frontends.http.exchange import (
    BINARY,
    EVENT_STREAM,
    JSON,
    MAX_WAITING_BYTES,
    PAUSE_BYTES,
    REASONS,
    Exchange,
)
from tritium.frontends.http.head import RequestHead
from tritium.protocol.status import STATUS


def rendered(one: Exchange) -> bytes:
    assert one.reply is not None
    return b"".join(one.reply)


def test_a_plain_text_reply_is_tritons_byte_for_byte() -> None:
    one = exchange()
    one.respond(200)
    assert rendered(one) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/plain\r\n\r\n"


def test_other_replies_have_tritons_order_of_headers() -> None:
    one = exchange()
    one.respond(200, [b"ab", b"c"], content_type=BINARY, extra=b"Inference-Header-Content-Length: 2\r\n")
    assert rendered(one) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nInference-Header-Content-Length: 2\r\n"
        b"Content-Length: 3\r\n\r\nabc"
    )


def test_a_wrong_method_is_not_allowed_in_tritons_words() -> None:
    one = exchange()
    one.respond(405, content_type=JSON)
    assert rendered(one).startswith(b"HTTP/1.1 405 Not Allowed\r\n")


@pytest.mark.parametrize(
    ("http_1_0", "keep_alive", "connection", "length"),
    [
        (False, True, None, "1"),
        (False, False, "close", "1"),
        (True, True, "keep-alive", "1"),
        (True, False, "close", None),
    ],
)
def test_the_end_of_a_reply_is_shown_as_the_version_of_http_knows_it(
    http_1_0: bool, keep_alive: bool, connection: str | None, length: str | None
) -> None:
    one = exchange(http_1_0=http_1_0, keep_alive=keep_alive)
    one.respond(200, [b"x"])
    headers = reply_of(one).headers
    assert (headers.get("Connection"), headers.get("Content-Length")) == (connection, length)


def test_a_reply_to_head_has_the_length_of_a_body_and_no_body() -> None:
    one = exchange("HEAD")
    one.respond(405, [b"x" * 30])
    assert reply_of(one).headers["Content-Length"] == "30"
    assert reply_of(one).body == b""


def test_only_the_first_answer_counts() -> None:
    path = FakeReplyPath()
    one = Exchange(path, RequestHead(b"GET", "/", {}, http_1_0=False, keep_alive=True, length=None), b"")
    one.respond(200, [b"first"])
    one.respond(500, [b"second"])
    assert reply_of(one).body == b"first"
    assert path.done == [one]


def test_a_head_can_be_used_again_for_the_same_form_of_reply() -> None:
    one, other = exchange(), exchange()
    first: list[Buffer] = [b"abc"]
    head = one.respond(200, first, content_type=BINARY)
    other.respond_again(head, [b"xyz"])
    assert rendered(other) == rendered(one).replace(b"abc", b"xyz")


def test_nobody_is_told_of_a_client_that_leaves_after_its_answer() -> None:
    one = exchange()
    one.on_abandoned = lambda: None
    one.respond(200)
    assert one.on_abandoned is None


def test_every_status_that_an_error_can_have_has_a_reason_phrase() -> None:
    assert {STATUS[code].http for code in ErrorCode} <= set(REASONS)


# -- replies in pieces --


def begun(*, http_1_0: bool = False, keep_alive: bool = True) -> tuple[Exchange, FakeReplyPath]:
    path = FakeReplyPath()
    one = exchange("POST", reply_path=path, http_1_0=http_1_0, keep_alive=keep_alive)
    one.begin(200, content_type=EVENT_STREAM)
    return one, path


def test_pieces_are_chunks_and_an_empty_one_ends_them() -> None:
    one, path = begun()
    one.send(b"x" * 17)
    one.send(b"")
    one.end()
    assert rendered(one) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"
    )
    assert len(path.done) == 3


@pytest.mark.parametrize("keep_alive", [False, True])
def test_a_client_of_http_1_0_gets_pieces_as_they_are_and_the_end_of_the_connection(keep_alive: bool) -> None:
    one, _ = begun(http_1_0=True, keep_alive=keep_alive)
    one.send(b"abc")
    one.end()
    assert not one.keep_alive
    assert rendered(one) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\nabc"
    )


def test_an_answer_in_pieces_and_a_whole_one_exclude_each_other() -> None:
    one, _ = begun()
    one.respond(500)
    one.begin(500, content_type=JSON)
    one.end()
    one.send(b"late")
    one.end()
    assert rendered(one).startswith(b"HTTP/1.1 200 OK")
    assert rendered(one).endswith(b"\r\n\r\n0\r\n\r\n")
    other = exchange()
    other.send(b"early")
    other.respond(200)
    other.begin(500, content_type=JSON)
    other.send(b"late")
    other.end()
    assert reply_of(other).status == 200


def test_a_reply_pauses_when_much_waits_and_resumes_when_it_is_sent() -> None:
    one, _ = begun()
    told: list[bool] = []
    one.on_pause = told.append
    one.send(b"x" * PAUSE_BYTES)
    assert told == []
    for _ in range(2):
        one.send(b"x")
        assert (told, one.paused) == ([True], True)
    one.take_pieces()
    for _ in range(2):
        one.pieces_sent()
        assert (told, one.paused) == ([True, False], False)


def test_a_client_for_whom_too_much_waits_is_cut_off() -> None:
    one, path = begun()
    cancelled: list[str] = []
    one.on_abandoned = lambda: cancelled.append("cancelled")
    one.send(bytes(MAX_WAITING_BYTES + 1))  # a single piece may be as large as it likes
    assert cancelled == []
    one.send(b"x")
    assert (path.aborted, one.abandoned, cancelled) == (True, True, ["cancelled"])
    one.send(b"x")
    one.end()
    assert cancelled == ["cancelled"]


def test_nothing_is_begun_for_a_client_that_has_gone() -> None:
    one = exchange()
    one.abandon()
    one.begin(200, content_type=JSON)
    assert one.reply is None
