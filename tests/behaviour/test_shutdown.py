"""SIGTERM: what was accepted is answered, and the end always comes (T18, T19)."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json, request, wait_until
from tests.harness.models import SLOW, write_onnx_model, write_python_model
from tests.harness.server import ServerProcess, alive

# Answers, and goes on for a minute without asking whether anybody is still there; ``.running`` says so.
DEAF = """
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            sender.send(answer(values(request)))
            open(os.path.join(os.path.dirname(__file__), ".running"), "w").close()
            time.sleep(60)
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


def keep_asking(server: ServerProcess, begun: threading.Semaphore) -> tuple[int, int]:
    """Requests of 0.3 s one after the other until the server closes: (answered, lost)."""
    answered = 0
    with server.connect() as connection:
        while True:
            connection.send(request("POST", "/v2/models/slow/infer", infer_json([0.3])))
            begun.release()
            reply = connection.reply()
            if reply is None:  # closed between two requests: this one was not accepted
                return answered, 0
            if reply.status != 200:
                return answered, 1
            answered += 1


@pytest.mark.parametrize("drain_s", [0, 4])
def test_t18_sigterm_loses_no_accepted_request(
    start_server: StartServer, repository: Path, drain_s: int
) -> None:
    write_python_model(repository, "slow", SLOW, extra="instance_group { count: 4 kind: KIND_CPU }")
    server = start_server(repository, "--drain-delay-secs", str(drain_s))
    begun = threading.Semaphore(0)
    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(keep_asking, server, begun) for _ in range(8)]
        for _ in range(16):
            begun.acquire()
        server.signal(signal.SIGTERM)
        began = time.monotonic()
        if drain_s:
            wait_until(lambda: server.get("/v2/health/ready").status == 400, 3, "not ready")
            assert server.get("/v2/health/live").status == 200
            assert server.infer("slow", infer_json([0.1])).status == 200
        results = [client.result() for client in clients]
        assert server.process.wait(30) == 0
        assert time.monotonic() - began < drain_s + 20
    assert all(answered >= 1 for answered, _ in results)
    assert sum(lost for _, lost in results) == 0


def test_t18_a_request_that_is_queued_at_sigterm_is_answered(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "slow", SLOW)
    write_onnx_model(repository, "double", extra="dynamic_batching { max_queue_delay_microseconds: 300000 }")
    server = start_server(repository)
    with ThreadPoolExecutor(8) as pool:
        slow = [pool.submit(server.infer, "slow", infer_json([1])) for _ in range(5)]
        delayed = [pool.submit(server.infer, "double", infer_json([i])) for i in range(3)]
        wait_until(
            lambda: server.pending("slow") == 4,
            20,
            "queued",
        )
        server.signal(signal.SIGTERM)
        assert [future.result().status for future in slow] == [200] * 5
        assert [future.result().json["outputs"][0]["data"] for future in delayed] == [[0.0], [2.0], [4.0]]
        assert server.process.wait(30) == 0


def test_t18_idle_connections_do_not_delay_the_end(start_server: StartServer, repository: Path) -> None:
    server = start_server(repository)
    with server.connect() as used, server.connect():
        used.send(request("GET", "/v2"))
        assert used.reply() is not None
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15


def test_t18_sigint_ends_it_too(start_server: StartServer, repository: Path) -> None:
    server = start_server(repository)
    server.signal(signal.SIGINT)
    assert server.process.wait(30) == 0


def test_t19_a_second_sigterm_ends_it_at_once(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "slow", SLOW)
    server = start_server(repository)
    workers = server.workers()
    with server.connect() as connection:
        connection.send(request("POST", "/v2/models/slow/infer", infer_json([60])))
        wait_until(lambda: server.infer("slow", b"{").status == 400, 20, "the request is accepted")
        server.signal(signal.SIGTERM)
        wait_until(lambda: "Waiting for in-flight" in server.output(), 20, "it waits")
        server.signal(signal.SIGTERM)
        assert server.process.wait(30) != 0
        wait_until(lambda: not any(alive(pid) for pid in workers), 20, "workers are gone")


def test_t19_a_stuck_request_ends_with_the_exit_timeout(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "slow", SLOW)
    server = start_server(repository, "--exit-timeout-secs", "1")
    workers = server.workers()
    with server.connect() as connection:
        connection.send(request("POST", "/v2/models/slow/infer", infer_json([60])))
        wait_until(lambda: server.infer("slow", b"{").status == 400, 20, "the request is accepted")
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.process.wait(30) != 0
        assert 0.9 < time.monotonic() - began < 30
        wait_until(lambda: not any(alive(pid) for pid in workers), 20, "workers are gone")
    assert "Exit timeout expired. Exiting immediately." in server.output()


def test_t19_a_cancelled_request_whose_model_goes_on_ends_with_the_exit_timeout(
    start_server: StartServer, repository: Path
) -> None:
    decoupled = "model_transaction_policy { decoupled: true }"
    write_python_model(repository, "deaf", DEAF, max_batch_size=0, extra=decoupled)
    server = start_server(repository, "--exit-timeout-secs", "1")
    workers = server.workers()
    with server.connect() as connection:
        connection.send(request("POST", "/v2/models/deaf/generate_stream", b'{"IN": [1.0]}'))
        wait_until((repository / "deaf" / "1" / ".running").exists, 20, "the model runs")
    wait_until(lambda: server.connections() == 0, 20, "the server has seen that the client left")
    server.signal(signal.SIGTERM)
    assert server.process.wait(30) != 0
    wait_until(lambda: not any(alive(pid) for pid in workers), 20, "workers are gone")
    assert "Exit timeout expired. Exiting immediately." in server.output()


def test_t19_sigterm_while_a_model_loads(start_server: StartServer, repository: Path, tmp_path: Path) -> None:
    write_python_model(repository, "late", "import time\ntime.sleep(60)\n" + SLOW)
    server = ServerProcess(repository, log=tmp_path / "loading.log")
    try:
        wait_until(lambda: len(server.workers()) == 2, 10, "the model is loading")
        workers = server.workers()
        server.signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        wait_until(lambda: not any(alive(pid) for pid in workers), 20, "workers are gone")
    finally:
        server.kill()
