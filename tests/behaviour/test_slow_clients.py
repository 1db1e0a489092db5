"""Clients that take their time: they are cut, and others do not notice (T21, T22, T23)."""

from __future__ import annotations

import math
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.http import Connection, infer_json, request, wait_until
from tests.harness.models import BIG, PLAIN, write_python_model
from tests.harness.server import GOOD, ServerProcess

COUNT = 100


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("slow")
    write_python_model(root / "models", "echo", PLAIN)
    write_python_model(root / "models", "big", BIG)
    flags = [
        "--http-header-timeout-secs", "1", "--http-body-grace-secs", "1", "--http-min-body-rate", "240",
        "--http-idle-timeout-secs", "2", "--http-write-timeout-secs", "2",
    ]  # fmt: skip
    with ServerProcess(root / "models", *flags, log=root / "log") as running:
        yield running


def latencies(server: ServerProcess, seconds: float) -> list[float]:
    """How long good requests take, one after the other on one connection."""
    found = []
    end = time.monotonic() + seconds
    with server.connect() as connection:
        while time.monotonic() < end:
            began = time.monotonic()
            connection.send(request("POST", "/v2/models/echo/infer", GOOD))
            reply = connection.reply()
            assert reply is not None and reply.status == 200
            found.append(time.monotonic() - began)
            time.sleep(0.005)
    return sorted(found)


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, math.ceil(share * len(values)))]


def trickle(
    server: ServerProcess, head: bytes, byte: bytes, stack: ExitStack
) -> tuple[list[float], list[bytes]]:
    """COUNT connections that send ``head`` and then ``byte``s: when each was cut, and what it was told."""
    connections = [stack.enter_context(server.connect()) for _ in range(COUNT)]
    began = time.monotonic()
    for connection in connections:
        connection.send(head)
    open_ones = {connection.socket: connection for connection in connections}
    cut_after: list[float] = []
    told: list[bytes] = []
    good: list[float] = []
    while open_ones:
        assert time.monotonic() - began < 40, f"{len(open_ones)} are still open"
        good += latencies(server, 0.1)
        readable, _, _ = select.select(list(open_ones), [], [], 0)
        for sock in readable:
            told.append(open_ones.pop(sock).rest())
            cut_after.append(time.monotonic() - began)
        for connection in open_ones.values():
            connection.send(byte)
    assert percentile(sorted(good), 0.99) < 5
    return cut_after, told


def test_t21_heads_that_trickle_are_cut(server: ServerProcess) -> None:
    with ExitStack() as stack:
        cut_after, told = trickle(server, b"GET /v2 HTTP/1.1\r\nX: ", b"a", stack)
    assert min(cut_after) >= 1 and max(cut_after) < 30
    assert all(reply.startswith(b"HTTP/1.1 408 Request Timeout\r\n") for reply in told)
    server.assert_three_ok()


def test_t21_bodies_that_trickle_are_cut(server: ServerProcess) -> None:
    with ExitStack() as stack:
        head = b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"
        cut_after, told = trickle(server, head, b"a", stack)
    assert min(cut_after) >= 1 and max(cut_after) < 30
    assert all(reply.startswith(b"HTTP/1.1 408 Request Timeout\r\n") for reply in told)
    server.assert_three_ok()


def test_t21_chunked_bodies_that_trickle_are_cut(server: ServerProcess) -> None:
    with ExitStack() as stack:
        head = b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        cut_after, told = trickle(server, head, b"1\r\na\r\n", stack)
    assert min(cut_after) >= 1 and max(cut_after) < 30
    assert all(reply.startswith(b"HTTP/1.1 408 Request Timeout\r\n") for reply in told)
    server.assert_three_ok()


def test_t21_a_body_that_comes_fast_enough_is_not_cut(server: ServerProcess) -> None:
    body = GOOD + b" " * (2000 - len(GOOD))
    with server.connect() as connection:
        connection.send(request("POST", "/v2/models/echo/infer", body)[: -len(body)])
        for start in range(0, len(body), 100):
            connection.send(body[start : start + 100])
            time.sleep(0.15)
        reply = connection.reply()
    assert reply is not None and reply.status == 200


def test_t22_readers_that_read_nothing_are_cut_and_their_memory_comes_back(server: ServerProcess) -> None:
    server.assert_three_ok()
    before = server.rss_bytes()
    size = 16 << 20
    with ExitStack() as stack:
        readers = [stack.enter_context(Connection(server.http_port, receive_buffer=4096)) for _ in range(4)]
        body = infer_json([size // 4], parameters={"binary_data_output": True})
        for reader in readers:
            reader.send(request("POST", "/v2/models/big/infer", body))
        count = 'nv_inference_count{model="big",version="1"}'
        wait_until(lambda: server.metrics()[count] >= 4, 30, "outputs are made")
        assert server.rss_bytes() - before < 4 * 2 * size + (20 << 20)
        assert percentile(latencies(server, 1), 0.99) < 5
        wait_until(lambda: server.connections() == 0, 30, "the connections are cut")
        assert all(len(reader.rest()) < size for reader in readers)
    wait_until(lambda: server.rss_bytes() - before < 40 << 20, 30, "memory comes back")
    server.assert_three_ok()


def test_t22_a_reader_that_is_only_slow_gets_everything(server: ServerProcess) -> None:
    size = 8 << 20
    with Connection(server.http_port, receive_buffer=65536) as reader:
        body = infer_json([size // 4], parameters={"binary_data_output": True})
        reader.send(request("POST", "/v2/models/big/infer", body))
        received = 0
        began = time.monotonic()
        while received < size:
            data = reader.socket.recv(32768)
            assert data, f"cut after {received} bytes"
            received += len(data)
            time.sleep(0.015)
        assert time.monotonic() - began > 3, "longer than the time-out for writing"


def test_t23_connections_that_say_nothing_are_closed(server: ServerProcess) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(server.connect()) for _ in range(COUNT)]
        used = [stack.enter_context(server.connect()) for _ in range(COUNT)]
        for connection in used:
            connection.send(request("GET", "/v2/health/live"))
            assert connection.reply() is not None
        began = time.monotonic()
        for connection in [*silent, *used]:
            assert connection.rest() == b""
        assert time.monotonic() - began < 30
    server.assert_three_ok()


def test_t23_keepalive_is_asked_of_tcp(server: ServerProcess) -> None:
    """A client whose machine vanished while a request of its runs is found by TCP's own probes."""
    with server.connect() as connection:
        connection.send(request("GET", "/v2/health/live"))
        assert connection.reply() is not None
        client_port = connection.socket.getsockname()[1]
        listing = Path("/proc/net/tcp").read_text().splitlines()[1:]
        ours, theirs = f":{server.http_port:04X}", f":{client_port:04X}"
        rows = (row.split() for row in listing)
        line = next(row for row in rows if row[1].endswith(ours) and row[2].endswith(theirs))
        assert line[5].startswith("02:"), "timer 2 is the keepalive timer"


def test_t23_a_request_that_runs_longer_than_the_idle_time_out_is_answered(server: ServerProcess) -> None:
    assert socket.getdefaulttimeout() is None
    with server.connect() as connection:
        body = infer_json([1 << 18] * 1)
        connection.send(request("POST", "/v2/models/big/infer", body))
        reply = connection.reply()
        assert reply is not None and reply.status == 200
