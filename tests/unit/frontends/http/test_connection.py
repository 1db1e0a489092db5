from __future__ import annotations

from functools import partial

import pytest

from tests.unit.frontends.http.fakes import (
    FakeApplication,
    FakeClock,
    FakeTransport,
    Reply,
    read_reply,
)
from tritium.frontends.http.connection import MAX_PIPELINED, HttpConnection, Shared
from tritium.frontends.http.exchange import Exchange, HttpRefusal
from tritium.frontends.http.head import RequestHead
from tritium.options import HttpOptions

GET = b"GET /v2 HTTP/1.1\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789"
OPTIONS = HttpOptions(
    max_input_bytes=1000,
    header_timeout_s=10,
    body_grace_s=10,
    min_body_rate=100,
    idle_timeout_s=75,
    write_timeout_s=60,
)


class Rig:
    """A connection with everything around it."""

    def __init__(self, application: FakeApplication | None = None) -> None:
        self.application = application or FakeApplication()
        self.clock = FakeClock()
        self.transport = FakeTransport()
        self.closed: list[HttpConnection] = []
        self.connection = HttpConnection(Shared(self.application, OPTIONS, self.clock), self.closed.append)
        self.connection.connection_made(self.transport)

    def send(self, *pieces: bytes) -> None:
        """As the transport does: into the buffer that the connection offers."""
        for piece in pieces:
            while piece:
                space = self.connection.get_buffer(-1)
                size = min(len(space), len(piece))
                space[:size] = piece[:size]
                piece = piece[size:]
                self.connection.buffer_updated(size)

    def sweep(self, after_s: float) -> None:
        """The listener looks, ``after_s`` later."""
        self.clock.s += after_s
        self.connection.sweep(self.clock.s)

    @property
    def seen(self) -> list[Exchange]:
        return self.application.seen

    def reply(self) -> Reply:
        return read_reply(bytes(self.transport.sent))


def silent() -> Rig:
    """A rig whose application answers when the test does."""
    return Rig(FakeApplication(answer=None))


def refusing(status: int = 404, text: str = "Not Found") -> Rig:
    """A rig whose application refuses every head."""

    def refuse(head: RequestHead) -> None:
        raise HttpRefusal(status, text)

    return Rig(FakeApplication(refuse=refuse))


def test_a_request_is_answered_and_the_connection_stays() -> None:
    rig = Rig()
    rig.send(GET)
    assert bytes(rig.transport.sent) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
    )
    assert (rig.transport.ended, rig.connection.idle) == ("", True)


def test_a_request_may_come_one_byte_at_a_time() -> None:
    rig = Rig()
    rig.send(*(bytes([byte]) for byte in POST + GET))
    assert [(e.head.path, bytes(e.body)) for e in rig.seen] == [("/p", b"0123456789"), ("/v2", b"")]
    assert rig.transport.sent.count(b"HTTP/1.1 200 OK") == 2


def test_replies_go_out_in_the_order_of_the_requests() -> None:
    rig = silent()
    rig.send(GET + POST + GET)
    first, second, third = rig.seen
    second.respond(200, [b"second"])
    third.respond(200, [b"third"])
    assert rig.transport.sent == b""
    first.respond(200, [b"first"])
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in bytes(rig.transport.sent).split(b"HTTP/1.1 200 OK")]
    assert bodies[1:] == [b"first", b"second", b"third"]


@pytest.mark.parametrize("size", [10, 40_000])
def test_replies_of_any_size_go_out_in_one_write(size: int) -> None:
    rig = silent()
    rig.send(GET)
    rig.seen[0].respond(200, [bytes(size), b"tail"])
    assert rig.reply().body == bytes(size) + b"tail"
    assert rig.transport.writes == 1


def test_the_last_request_of_a_connection_closes_it_when_it_is_answered() -> None:
    rig = silent()
    rig.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" + GET)
    assert [len(rig.seen), rig.transport.ended] == [1, ""]
    rig.seen[0].respond(200)
    assert rig.transport.ended == "closed"
    rig.send(GET)
    assert len(rig.seen) == 1


def test_a_client_that_expects_to_be_told_to_go_on_is_told() -> None:
    rig = Rig()
    rig.send(b"POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert rig.transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    rig.send(b"abc")
    assert rig.transport.sent.count(b"HTTP/1.1 200 OK") == 1


def test_telling_to_go_on_does_not_overtake_a_reply() -> None:
    rig = silent()
    rig.send(GET, b"POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert rig.transport.sent == b""


@pytest.mark.parametrize("raw", [b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n"])
def test_what_cannot_be_read_is_answered_and_ends_the_connection(raw: bytes) -> None:
    rig = Rig()
    rig.send(raw)
    assert rig.reply().status in (400, 413)
    assert rig.reply().headers["Connection"] == "close"
    assert rig.transport.ended
    rig.send(GET)
    assert rig.seen == []


def test_a_refusal_waits_for_the_replies_before_it() -> None:
    rig = silent()
    rig.send(GET + b"nonsense\r\n\r\n")
    assert rig.transport.sent == b""
    rig.seen[0].respond(200)
    assert rig.transport.sent.index(b"200 OK") < rig.transport.sent.index(b"400 Bad Request")
    assert rig.transport.ended


def test_a_client_that_is_refused_may_read_why_before_it_is_cut() -> None:
    rig = refusing()
    rig.send(POST[:-10])
    assert (rig.reply().status, rig.transport.ended) == (404, "eof")
    rig.send(b"0123456789", GET)
    assert rig.transport.sent.count(b"HTTP/1.1") == 1
    rig.sweep(1)
    assert rig.transport.ended == "eof"
    rig.sweep(2)
    assert rig.transport.ended == "closed"


def test_a_client_that_leaves_cancels_what_it_waits_for_and_nothing_else() -> None:
    rig = silent()
    told: list[int] = []
    rig.send(GET * 3)
    for number, exchange in enumerate(rig.seen):
        exchange.on_abandoned = partial(told.append, number)
    rig.seen[1].respond(200)
    rig.connection.connection_lost(None)
    assert told == [0, 2]
    assert rig.closed == [rig.connection]


def test_answering_a_client_that_has_gone_is_no_error() -> None:
    rig = silent()
    rig.send(GET)
    rig.connection.connection_lost(None)
    rig.seen[0].respond(200)
    rig.connection.abort()
    rig.connection.drain()
    rig.connection.resume_writing()
    rig.sweep(1000)
    assert (bytes(rig.transport.sent), rig.transport.ended) == (b"", "")


def test_the_end_of_what_a_client_sends_ends_the_connection() -> None:
    assert not Rig().connection.eof_received()


def test_no_more_is_read_while_too_many_requests_wait() -> None:
    rig = silent()
    reading = []
    for raw in (GET * (MAX_PIPELINED - 1), GET):
        rig.send(raw)
        reading.append(rig.transport.reading)
    for exchange in rig.seen:
        exchange.respond(200)
    reading.append(rig.transport.reading)
    assert reading == [True, False, True]


def test_no_more_is_read_while_the_client_does_not_read() -> None:
    rig = Rig()
    reading = []
    for change in (rig.connection.pause_writing, rig.connection.resume_writing):
        change()
        reading.append(rig.transport.reading)
    assert reading == [False, True]


def test_a_server_that_stops_closes_idle_connections_at_once() -> None:
    rig = Rig()
    rig.connection.drain()
    assert rig.transport.ended == "closed"


def test_a_server_that_stops_answers_what_was_received() -> None:
    rig = silent()
    rig.send(GET)
    rig.connection.drain()
    assert rig.transport.ended == ""
    rig.seen[0].respond(200, [b"ok"])
    assert rig.reply().body == b"ok"
    assert rig.transport.ended == "closed"


def test_a_server_that_stops_answers_what_is_being_received_and_says_that_it_was_the_last() -> None:
    rig = silent()
    rig.send(GET, POST[:-3])
    rig.connection.drain()
    rig.seen[0].respond(200)
    assert rig.transport.ended == ""
    rig.send(POST[-3:])
    rig.seen[1].respond(200)
    assert b"Connection: close" in rig.transport.sent
    assert rig.transport.ended == "closed"


def test_an_abort_does_not_wait() -> None:
    rig = silent()
    rig.send(GET)
    rig.connection.abort()
    assert rig.transport.ended == "aborted"


def test_an_idle_connection_is_closed_after_its_time() -> None:
    rig = Rig()
    rig.send(GET)
    rig.sweep(75)
    assert rig.transport.ended == ""
    rig.sweep(1)
    assert rig.transport.ended == "closed"


def test_a_connection_that_waits_for_its_answer_is_not_idle() -> None:
    rig = silent()
    rig.send(GET)
    rig.sweep(10_000)
    assert rig.transport.ended == ""


@pytest.mark.parametrize("pieces", [[GET[:-1]], [GET[:3], GET[3:9]]])
def test_a_head_that_does_not_end_is_refused_after_its_time(pieces: list[bytes]) -> None:
    rig = Rig()
    for piece in pieces:
        rig.send(piece)
        rig.sweep(5)
    assert rig.transport.sent == b""
    rig.sweep(6)
    assert rig.reply().status == 408
    assert b"request headers took longer than 10 s" in rig.reply().body
    assert rig.transport.ended


def test_a_body_that_comes_too_slowly_is_refused_after_a_grace() -> None:
    rig = Rig()
    rig.send(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + b"x" * 10)
    rig.sweep(10)
    assert rig.transport.sent == b""
    rig.sweep(1)
    assert rig.reply().status == 408
    assert b"request body came slower than 100 bytes/s" in rig.reply().body
    rig.send(b"x" * 990)
    assert rig.seen == []


def test_a_body_that_comes_fast_enough_is_waited_for() -> None:
    rig = Rig()
    rig.send(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(9):
        rig.send(b"x" * 110)
        rig.sweep(1)
    rig.send(b"x" * 10)
    assert rig.reply().status == 200


def test_a_client_that_takes_nothing_is_cut_after_its_time() -> None:
    rig = Rig()
    rig.send(GET)
    rig.transport.backlog = 100
    rig.sweep(1)
    rig.sweep(60)
    assert rig.transport.ended == ""
    rig.sweep(1)
    assert rig.transport.ended == "aborted"


def test_a_client_that_takes_something_now_and_then_is_not_cut() -> None:
    rig = Rig()
    rig.send(GET)
    for backlog in (100, 80, 60, 40):
        rig.transport.backlog = backlog
        rig.sweep(50)
    assert rig.transport.ended == ""


def test_a_connection_that_reads_no_more_is_closed_when_nothing_is_left_to_answer() -> None:
    rig = silent()
    rig.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    rig.sweep(100)
    assert rig.transport.ended == ""


def test_an_offer_to_upgrade_is_declined_and_the_request_answered() -> None:
    rig = Rig()
    rig.send(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nsomething else")
    assert rig.reply().status == 200
    assert rig.transport.ended == "closed"
