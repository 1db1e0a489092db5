"""Many connections, lost ones, and no more descriptors (T9, T24, T25; CVE-2024-0103, CVE-2026-47478)."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import Connection, infer_binary, infer_json, request, wait_until
from tests.harness.models import PLAIN, SLOW, write_python_model
from tests.harness.server import GOOD, ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("connections")
    write_python_model(root / "models", "echo", PLAIN)
    write_python_model(root / "models", "slow", SLOW, extra="instance_group { count: 2 kind: KIND_CPU }")
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running


def test_t09_without_descriptors_the_server_waits_quietly_and_recovers(
    start_server: StartServer, repository: Path
) -> None:
    server = start_server(repository, open_files=128)
    with ExitStack() as stack:
        connections = []
        for _ in range(400):
            try:
                connections.append(stack.enter_context(Connection(server.http_port, timeout_s=5)))
            except OSError:
                break
        for connection in connections:
            connection.send(request("GET", "/v2/health/live"))
        time.sleep(0.3)
        before = server.cpu_s()
        time.sleep(1)
        assert server.cpu_s() - before < 0.1, "it does not spin"
        assert server.process.poll() is None
        first = connections[0].reply()
        assert first is not None and first.status == 200, "who is connected is served"
    wait_until(lambda: server.connections() == 0, 30, "the connections are gone")
    for _ in range(20):
        server.assert_three_ok()


def test_the_number_of_connections_has_a_limit(start_server: StartServer, repository: Path) -> None:
    server = start_server(repository, "--http-max-connections", "10")
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect(timeout_s=2)) for _ in range(10)]
        for connection in connections:
            connection.send(request("GET", "/v2/health/live"))
            reply = connection.reply()
            assert reply is not None and reply.status == 200
        late = stack.enter_context(server.connect(timeout_s=2))
        late.send(request("GET", "/v2/health/live"))
        try:
            refused = late.reply()
            assert refused is None or refused.status == 503
        except TimeoutError:
            pass  # it may also have to wait for its turn
        for connection in connections:
            connection.send(request("GET", "/v2/health/live"))
            reply = connection.reply()
            assert reply is not None and reply.status == 200
    wait_until(lambda: server.connections() == 0, 30, "the connections are gone")
    server.assert_three_ok()


async def steady_client(port: int, end: float, latencies: list[float], delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    wire = request("POST", "/v2/models/echo/infer", GOOD)
    while time.monotonic() < end:
        began = time.monotonic()
        writer.write(wire)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append(time.monotonic() - began)
        await asyncio.sleep(max(0.0, began + 1 - time.monotonic()))
    writer.close()
    await writer.wait_closed()


def test_t24_a_thousand_connections_of_a_request_a_second(server: ServerProcess) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < 1200:
        pytest.skip(f"this shell may open {limit} files only")
    latencies: list[float] = []

    async def all_clients() -> None:
        end = time.monotonic() + 9
        async with asyncio.TaskGroup() as group:
            for i in range(1000):
                group.create_task(steady_client(server.http_port, end, latencies, i / 1000))

    asyncio.run(all_clients())
    latencies.sort()
    assert len(latencies) > 3000
    assert latencies[int(len(latencies) * 0.99)] < 5
    assert server.rss_bytes() < 150 << 20
    server.assert_three_ok()


def test_t25_two_thousand_connections_opened_and_closed_leave_nothing(server: ServerProcess) -> None:
    server.assert_three_ok()
    wait_until(lambda: server.connections() == 0, 30, "nobody is connected")
    before = server.open_files()
    for i in range(2000):
        with server.connect() as connection:
            if i % 2:
                connection.reset()
    wait_until(lambda: server.connections() == 0, 30, "the connections are gone")
    wait_until(lambda: server.open_files() <= before, 30, "no descriptor is left")
    server.assert_three_ok()


def test_cve_2024_0103_a_reset_in_a_body_never_shows_in_another_request(server: ServerProcess) -> None:
    """Bytes of bodies that were cut off must not turn up where memory is used again."""
    canary = b"CANARY!!" * (100_000 // 8)
    zeros = np.zeros(100_000 // 4, np.float32).tobytes()
    for i in range(300):
        with server.connect() as connection:
            connection.send(request("POST", "/v2/models/echo/infer", b"x" * 200_000)[:-200_000] + canary)
            connection.reset()
        if i % 10 == 0:
            body, headers = infer_binary(
                [("IN", "FP32", [1, len(zeros) // 4], zeros)], parameters={"binary_data_output": True}
            )
            reply = server.infer("echo", body, headers)
            assert reply.status == 200
            assert reply.body.endswith(zeros)
            assert b"CANARY" not in reply.body
            assert b"CANARY" not in server.infer("echo", b"{").body
    server.assert_three_ok()


def test_cve_2026_47478_no_answer_goes_to_a_connection_that_did_not_ask(server: ServerProcess) -> None:
    """Descriptors are used again at once: no answer may reach who has the number of one that left."""
    for i in range(1500):
        with server.connect() as leaver:
            leaver.send(request("POST", "/v2/models/slow/infer", infer_json([0.0], id=f"leaver{i}")))
            leaver.reset()
        with server.connect() as asker:
            asker.send(request("POST", "/v2/models/echo/infer", infer_json([float(i)], id=f"asker{i}")))
            reply = asker.reply()
            assert reply is not None and reply.json["id"] == f"asker{i}"
            assert reply.json["outputs"][0]["data"] == [float(i)]
    server.assert_three_ok()
