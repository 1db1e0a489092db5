"""Replies in pieces on a connection: their order, back-pressure, and what comes after them."""

from __future__ import annotations

import pytest

from tests.unit.frontends.http.fakes import FakeApplication
from tests.unit.frontends.http.test_connection import Rig
from tritium.frontends.http.exchange import EVENT_STREAM, MAX_WAITING_BYTES, PAUSE_BYTES, Exchange

POST = b"POST /p HTTP/1.1\r\n\r\n"
GET = b"GET /g HTTP/1.1\r\n\r\n"


def streaming_rig() -> Rig:
    """POST begins a stream, anything else is answered at once."""

    def answer(exchange: Exchange) -> None:
        if exchange.head.method == b"POST":
            exchange.begin(200, content_type=EVENT_STREAM)
        else:
            exchange.respond(200, [b"ok"])

    return Rig(FakeApplication(answer))


def bodies(rig: Rig) -> bytes:
    """What was sent after the first head."""
    return bytes(rig.transport.sent).partition(b"\r\n\r\n")[2]


def ended(rig: Rig) -> str:
    return rig.transport.ended


def test_each_piece_leaves_at_once_and_the_connection_lives_on() -> None:
    rig = streaming_rig()
    rig.send(POST)
    assert b"Transfer-Encoding: chunked" in rig.transport.sent
    for number, piece in enumerate((b"a", b"b")):
        rig.seen[0].send(piece)
        assert bodies(rig).endswith(b"1\r\n" + piece + b"\r\n"), number
    rig.seen[0].end()
    rig.send(GET)
    assert bodies(rig).startswith(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert not ended(rig)


def test_a_pipelined_reply_waits_for_the_end_of_the_stream_before_it() -> None:
    rig = streaming_rig()
    rig.send(POST + GET)
    assert b"ok" not in rig.transport.sent
    rig.seen[0].send(b"a")
    assert b"ok" not in rig.transport.sent
    rig.seen[0].end()
    assert rig.transport.sent.endswith(b"ok")


def test_a_pipelined_stream_waits_for_the_reply_before_it_and_goes_on_when_its_turn_comes() -> None:
    rig = Rig(FakeApplication(None))
    rig.send(GET + POST)
    first, second = rig.seen
    told: list[bool] = []
    second.on_pause = told.append
    second.begin(200, content_type=EVENT_STREAM)
    second.send(b"x" * (PAUSE_BYTES + 1))
    assert (told, bytes(rig.transport.sent)) == ([True], b"")
    first.respond(200, [b"ok"])
    assert told == [True, False]
    second.send(b"y")
    second.end()
    assert rig.transport.sent.index(b"ok") < rig.transport.sent.index(b"xx")
    assert rig.transport.sent.endswith(b"1\r\ny\r\n0\r\n\r\n")


def test_while_the_client_does_not_read_pieces_wait_and_the_sender_is_paused() -> None:
    rig = streaming_rig()
    rig.send(POST)
    (stream,) = rig.seen
    told: list[tuple[bool, int]] = []
    stream.on_pause = lambda paused: told.append((paused, len(rig.transport.sent)))
    rig.connection.pause_writing()
    sent = len(rig.transport.sent)
    stream.send(b"a" * PAUSE_BYTES)
    stream.send(b"b")
    assert told == [(True, sent)]
    rig.connection.resume_writing()
    assert told[1:] == [(False, len(rig.transport.sent))]
    assert rig.transport.sent.endswith(b"1\r\nb\r\n")


def test_who_sends_more_when_the_stream_resumes_keeps_the_order() -> None:
    rig = streaming_rig()
    rig.send(POST)
    (stream,) = rig.seen
    stream.on_pause = lambda paused: None if paused else stream.send(b"second")
    rig.connection.pause_writing()
    stream.send(b"first" + b"." * PAUSE_BYTES)
    rig.connection.resume_writing()
    assert rig.transport.sent.index(b"first") < rig.transport.sent.index(b"second")


def test_the_end_may_come_while_the_client_does_not_read() -> None:
    rig = streaming_rig()
    rig.send(POST)
    rig.connection.pause_writing()
    rig.seen[0].send(b"a")
    rig.seen[0].end()
    rig.connection.resume_writing()
    assert bodies(rig) == b"1\r\na\r\n0\r\n\r\n"
    rig.send(GET)
    assert rig.transport.sent.endswith(b"ok")


def test_a_sender_that_cannot_pause_is_cut_off() -> None:
    rig = streaming_rig()
    rig.send(POST)
    rig.connection.pause_writing()
    for _ in range(2):
        rig.seen[0].send(bytes(MAX_WAITING_BYTES // 2 + 1))
    assert not ended(rig)
    rig.seen[0].send(b"x")
    assert ended(rig) == "aborted"


def test_a_client_that_goes_away_cancels_what_streams() -> None:
    rig = streaming_rig()
    rig.send(POST)
    cancelled: list[str] = []
    rig.seen[0].on_abandoned = lambda: cancelled.append("cancelled")
    rig.connection.connection_lost(None)
    assert cancelled == ["cancelled"]
    rig.seen[0].send(b"late")
    rig.seen[0].end()


@pytest.mark.parametrize("extra", [b"", b"Connection: keep-alive\r\n"])
def test_a_stream_to_a_client_of_http_1_0_ends_the_connection(extra: bytes) -> None:
    rig = streaming_rig()
    rig.send(b"POST /p HTTP/1.0\r\n" + extra + b"\r\n")
    rig.seen[0].send(b"abc")
    assert not ended(rig)
    rig.seen[0].end()
    assert (ended(rig), bodies(rig)) == ("closed", b"abc")


def test_connection_close_is_heeded_at_the_end() -> None:
    rig = streaming_rig()
    rig.send(b"POST /p HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"Connection: close\r\n" in rig.transport.sent
    rig.seen[0].send(b"a")
    assert not ended(rig)
    rig.seen[0].end()
    assert ended(rig) == "closed"


def test_a_server_that_stops_lets_the_stream_end() -> None:
    rig = streaming_rig()
    rig.send(POST)
    rig.connection.drain()
    rig.seen[0].send(b"a")
    assert not ended(rig)
    rig.seen[0].end()
    assert ended(rig) == "closed"


def test_a_stream_that_is_silent_is_not_idle_but_one_that_nobody_reads_is_cut() -> None:
    rig = streaming_rig()
    rig.send(POST)
    rig.sweep(1000)
    assert not ended(rig)
    rig.transport.backlog = 5
    rig.sweep(1)
    rig.sweep(61)
    assert ended(rig) == "aborted"
