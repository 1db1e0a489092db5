from __future__ import annotations

import pytest

from tests.unit.frontends.http.fakes import FakeReplyPath, exchange, reply_of
from tritium.core.tensor import Buffer
from tritium.errors import ErrorCode
from tritium.frontends.http.exchange import BINARY, JSON, REASONS, Exchange
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
