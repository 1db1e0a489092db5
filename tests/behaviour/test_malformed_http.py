"""What is not HTTP is refused with an answer and ends the connection (T30); pipelining and more (T31)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import h11
import pytest

from tests.behaviour.malformed_requests import ALL, CHUNK, SMUGGLED, chunked, framed, get, header
from tests.harness.http import Connection, infer_json, request
from tests.harness.models import PLAIN, SLOW, write_python_model
from tests.harness.server import GOOD, ServerProcess

REFUSALS = {b"400", b"405", b"413", b"417", b"501", b"505"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("malformed")
    write_python_model(root / "models", "echo", PLAIN)
    write_python_model(root / "models", "slow", SLOW, extra="instance_group { count: 4 kind: KIND_CPU }")
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running


def test_t30_the_corpus_is_large_enough() -> None:
    assert len(ALL) >= 150


@pytest.mark.parametrize("name", ALL)
def test_t30_malformed_requests_are_refused_and_nothing_after_them_is_answered(
    server: ServerProcess, name: str
) -> None:
    with server.connect(timeout_s=5) as connection:
        connection.send(ALL[name] + SMUGGLED)
        received = connection.rest()
    assert received.count(b"HTTP/1.1 ") == 1, received
    assert received[9:12] in REFUSALS, received
    assert b"\r\nConnection: close\r\n" in received
    assert b'{"error":"' in received


@pytest.mark.parametrize("name", ALL)
def test_t30_malformed_requests_are_refused_byte_by_byte(server: ServerProcess, name: str) -> None:
    """However the bytes are cut: here every byte is a segment of its own, up to 200 of them."""
    data = ALL[name] + SMUGGLED
    with server.connect(timeout_s=5) as connection:
        for start in range(min(len(data), 200)):
            connection.send(data[start : start + 1])
        connection.send(data[200:])
        received = connection.rest()
    assert received.count(b"HTTP/1.1 ") == 1, received
    assert received[9:12] in REFUSALS, received


def h11_refuses(data: bytes) -> bool:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.EndOfMessage):
                return False
    except h11.RemoteProtocolError:
        return True


UNUSUAL = {
    "no Host": b"GET /v2 HTTP/1.1\r\n\r\n",  # refused by h11; Triton takes it, and so do we
    "empty Host": b"GET /v2 HTTP/1.1\r\nHost:\r\n\r\n",
    "empty lines before": b"\r\n\r\n" + get(b"GET /v2 HTTP/1.1"),
    "absolute form": get(b"GET http://x/v2 HTTP/1.1"),
    "absolute form, https, upper case": get(b"GET HTTPS://X:1/v2 HTTP/1.1"),
    "two spaces after the method": get(b"GET  /v2 HTTP/1.1"),
    "query": get(b"GET /v2?a=b&c=%20 HTTP/1.1"),
    "names in other cases": b"GET /v2 HTTP/1.1\r\nhOST: x\r\nCONNECTION: keep-alive\r\n\r\n",
    "no space after the colon": b"GET /v2 HTTP/1.1\r\nHost:x\r\n\r\n",
    "tabs around a value": b"GET /v2 HTTP/1.1\r\nHost:\tx\t\r\n\r\n",
    "empty value": header(b"X-Name:"),
    "bytes above 127 in a value": header(b"X-Name: \xff\xc3\xbc"),
    "underscore in a name": header(b"X_Name: a"),
    "all token characters in a name": header(b"!#$%&'*+-.^_`|~09az: a"),
    "length 0": b"GET /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "length with zeros": framed(b"Content-Length: 000%d" % len(GOOD), GOOD),
    "length with a space after it": framed(b"Content-Length: %d " % len(GOOD), GOOD),
    "chunked": chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)),
    "Chunked": framed(b"Transfer-Encoding: ChUnKeD", b"%X\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)),
    "chunk size with zeros": chunked(b"000%x\r\n%b\r\n000\r\n\r\n" % (len(GOOD), GOOD)),
    "chunk extension": chunked(b'%x;a=b;c="d e"\r\n%b\r\n0;last\r\n\r\n' % (len(GOOD), GOOD)),
    "trailers": chunked(b"%x\r\n%b\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n" % (len(GOOD), GOOD)),
    "trailers that lie": chunked(
        b"%x\r\n%b\r\n0\r\nHost: y\r\nInference-Header-Content-Length: 7\r\nContent-Encoding: br\r\n\r\n"
        % (len(GOOD), GOOD)
    ),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_t30_unusual_but_legal_requests_are_answered(server: ServerProcess, name: str) -> None:
    with server.connect() as connection:
        connection.send(UNUSUAL[name] + SMUGGLED)
        first, second = connection.reply(), connection.reply()
    assert first is not None and first.status == 200, first
    assert second is not None and second.json["name"] == "triton", "the next request is answered as well"


@pytest.mark.parametrize("name", UNUSUAL)
def test_t30_unusual_but_legal_requests_are_answered_byte_by_byte(server: ServerProcess, name: str) -> None:
    with server.connect() as connection:
        for byte in UNUSUAL[name]:
            connection.send(bytes([byte]))
        first = connection.reply()
    assert first is not None and first.status == 200, first


def test_t30_h11_refuses_nothing_that_is_taken_here() -> None:
    """Of what is answered here, h11 refuses three: Triton takes requests without a Host, and so do we."""
    refused = {name for name, data in UNUSUAL.items() if h11_refuses(data)}
    assert refused == {"no Host", "empty lines before", "two spaces after the method"}
    assert sum(h11_refuses(data + SMUGGLED) for data in ALL.values()) > 100


def test_t30_a_head_that_was_seen_before_is_read_the_same_way_again(server: ServerProcess) -> None:
    """Repeated requests may take a shorter way through the server; what follows them must not."""
    good = request("POST", "/v2/models/echo/infer", GOOD)
    bad = framed(b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(GOOD), GOOD)
    for _ in range(3):
        with server.connect() as connection:
            connection.send(good * 3 + bad + SMUGGLED)
            received = connection.rest()
        assert received.count(b"HTTP/1.1 200 OK") == 3
        assert received.count(b"HTTP/1.1 400 Bad Request") == 1
        assert received.count(b"HTTP/1.1 ") == 4


def test_t31_a_hundred_pipelined_requests_are_answered_in_order(server: ServerProcess) -> None:
    padding = {"X-Padding": "p" * 1000}
    wire = b"".join(request("POST", "/v2/models/echo/infer", infer_json([i]), padding) for i in range(100))
    assert len(wire) > 64 << 10
    with server.connect() as connection:
        connection.send(wire)
        for i in range(100):
            reply = connection.reply()
            assert reply is not None and reply.status == 200, reply
            assert reply.json["outputs"][0]["data"] == [float(i)]


def test_t31_slow_and_quick_pipelined_requests_are_answered_in_order(server: ServerProcess) -> None:
    seconds = [0.2, 0.0, 0.1, 0.0]
    with server.connect() as connection:
        for value in seconds:
            connection.send(request("POST", "/v2/models/slow/infer", infer_json([value])))
            connection.send(request("GET", "/v2"))
        for value in seconds:
            slow, quick = connection.reply(), connection.reply()
            assert slow is not None and quick is not None
            assert slow.json["outputs"][0]["data"] == [pytest.approx(value)]
            assert quick.json["name"] == "triton"


def test_t31_many_requests_in_one_read_with_a_cut_in_a_head(server: ServerProcess) -> None:
    one = request("GET", "/v2/health/live")
    wire = one * (200_000 // len(one)) + request("GET", "/v2")
    with server.connect() as connection:
        connection.send(wire[:-10])
        time.sleep(0.1)
        connection.send(wire[-10:])
        for _ in range(200_000 // len(one)):
            reply = connection.reply()
            assert reply is not None and reply.status == 200
        last = connection.reply()
    assert last is not None and last.json["name"] == "triton"


def test_t31_expect_100_continue(server: ServerProcess) -> None:
    with server.connect() as connection:
        head = request("POST", "/v2/models/echo/infer", GOOD, {"Expect": "100-continue"})[: -len(GOOD)]
        for _ in range(2):
            connection.send(head)
            first = connection.reply()
            assert first is not None and (first.status, first.reason) == (100, "Continue")
            connection.send(GOOD)
            reply = connection.reply()
            assert reply is not None and reply.status == 200


def test_t31_expect_100_continue_is_not_said_for_a_request_that_is_refused(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.send(
            b"POST /v2/models/echo/infer HTTP/1.1\r\nExpect: 100-continue\r\n"
            b"Content-Length: 9999999999\r\n\r\n"
        )
        assert connection.rest().startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "TLS/1.2"])
def test_t31_an_upgrade_is_declined(server: ServerProcess, upgrade: str) -> None:
    with server.connect() as connection:
        headers = {
            "Connection": "Upgrade, HTTP2-Settings",
            "Upgrade": upgrade,
            "HTTP2-Settings": "AAMAAABkAAQAAP__",
        }
        connection.send(request("GET", "/v2", headers=headers))
        reply = connection.reply()
        assert reply is not None and reply.status == 200
        assert reply.headers["connection"] == "close", "the server reads no further"
        assert connection.rest() == b""


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_t31_other_methods_are_not_allowed(server: ServerProcess, method: str) -> None:
    reply = server.ask(method, "/v2")
    assert (reply.status, reply.reason, reply.error) == (405, "Not Allowed", "Method Not Allowed")


def test_t31_the_answer_to_head_has_no_body(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.send(request("HEAD", "/v2") + request("GET", "/v2"))
        first = connection.reply(head=True)
        assert first is not None and (first.status, first.headers["content-length"]) == (405, "30")
        second = connection.reply()
        assert second is not None and second.status == 200


def test_http_1_0_closes_unless_it_asks_to_stay(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.send(b"GET /v2 HTTP/1.0\r\n\r\n" + SMUGGLED)
        received = connection.rest()
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"Content-Length" not in received
    with server.connect() as connection:
        for _ in range(2):
            connection.send(b"GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            reply = connection.reply()
            assert reply is not None and reply.headers["connection"] == "keep-alive"


def test_connection_close_is_honoured(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.send(request("GET", "/v2", headers={"Connection": "close"}) + SMUGGLED)
        received = connection.rest()
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in received


def test_the_metrics_port_reads_http_as_strictly(server: ServerProcess) -> None:
    for data in (
        ALL["coding: with a length after it"],
        ALL["length: twice, differing"],
        ALL["protocol: TLS hello"],
    ):
        with Connection(server.metrics_port, timeout_s=5) as connection:
            connection.send(data + SMUGGLED)
            received = connection.rest()
        assert received.count(b"HTTP/1.1 ") == 1 and received[9:12] in {b"400", b"405"}


def test_all_is_well_afterwards(server: ServerProcess) -> None:
    assert CHUNK in ALL["coding: xchunked"]
    server.assert_three_ok()
