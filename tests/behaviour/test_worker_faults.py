"""Faults of worker processes: the request that ran fails quickly, and everything else goes on (T1 to T7)."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import Reply, infer_json, request, wait_until
from tests.harness.models import PLAIN, POISON, SLOW, write_python_model
from tests.harness.server import ServerProcess, alive

NOTHING = infer_json([0])


def pid_of(server: ServerProcess, model: str) -> int:
    return int(server.infer(model, NOTHING).json["parameters"]["pid"])


def wait_until_running(repository: Path, model: str = "slow") -> None:
    """Wait until a request of half a second or more runs in the model."""
    wait_until((repository / model / "1" / ".running").exists, 10, "the request is running")


def shared_memory_files() -> set[str]:
    return set(os.listdir("/dev/shm")) if Path("/dev/shm").is_dir() else set()


def test_t01_a_killed_worker_fails_its_request_at_once_and_comes_back(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "slow", SLOW)
    server = start_server(repository)
    worker = pid_of(server, "slow")
    others: list[int] = []
    done = threading.Event()

    def use_another_model() -> None:
        with server.connect() as connection:
            while not done.is_set():
                connection.send(request("POST", "/v2/models/echo/infer", NOTHING))
                reply = connection.reply()
                others.append(reply.status if reply else 0)

    with ThreadPoolExecutor(10) as pool, ExitStack() as at_the_end:
        at_the_end.callback(done.set)  # or a failed assertion would wait for the other client for ever
        other = pool.submit(use_another_model)
        running = pool.submit(server.infer, "slow", infer_json([20]))
        wait_until_running(repository)
        queued = [pool.submit(server.infer, "slow", NOTHING) for _ in range(7)]
        wait_until(lambda: server.pending("slow") == 7, 15, "the others wait")
        killed_at = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        failed = running.result()
        assert time.monotonic() - killed_at < 15
        assert failed.status == 503
        assert "worker of 'slow_0' died while it ran this request: it was killed by signal 9" in failed.error
        assert [future.result().status for future in queued] == [200] * 7
        done.set()
        other.result()
    assert set(others) == {200}
    assert pid_of(server, "slow") != worker
    assert server.ready("slow")
    assert server.metrics()['tritium_worker_restarts_total{model="slow",reason="signal",version="1"}'] == 1
    server.assert_three_ok()


def test_t01_a_model_is_not_ready_while_its_worker_is_away(
    start_server: StartServer, repository: Path
) -> None:
    slow_start = "import time\ntime.sleep(2)\n" + PLAIN
    write_python_model(repository, "late", slow_start)
    server = start_server(repository)
    os.kill(pid_of(server, "late"), signal.SIGKILL)
    wait_until(lambda: not server.ready("late"), 20, "the model is not ready")
    assert server.get("/v2/health/ready").status == 200
    assert server.ready("echo")
    wait_until(lambda: server.ready("late"), 30, "the model is ready again")
    server.assert_three_ok()


def test_t02_killing_one_of_two_workers_again_and_again_loses_only_what_it_ran(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "pair", SLOW, extra="instance_group { count: 2 kind: KIND_CPU }")
    server = start_server(repository)
    replies: list[Reply] = []
    end = time.monotonic() + 8

    def steady() -> None:
        with server.connect() as connection:
            while time.monotonic() < end:
                connection.send(request("POST", "/v2/models/pair/infer", infer_json([0.01])))
                reply = connection.reply()
                assert reply is not None
                replies.append(reply)
                time.sleep(0.03)

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(steady) for _ in range(4)]
        kills = 0
        while time.monotonic() < end - 1:
            time.sleep(2)
            os.kill(pid_of(server, "pair"), signal.SIGKILL)
            kills += 1
        for client in clients:
            client.result()
    failed = [reply for reply in replies if reply.status != 200]
    assert len(failed) <= kills
    assert all(reply.status == 503 and "died while it ran this request" in reply.error for reply in failed)
    assert len(failed) <= len(replies) / 100
    server.assert_three_ok()


@pytest.mark.parametrize("poison", [pytest.param(-1, id="os._exit"), pytest.param(-2, id="segfault")])
def test_t03_a_poisonous_request_opens_the_breaker_and_others_live(
    start_server: StartServer, repository: Path, poison: int
) -> None:
    write_python_model(repository, "poison", POISON)
    server = start_server(repository)
    replies = [server.infer("poison", infer_json([poison])) for _ in range(5)]
    assert [reply.status for reply in replies] == [503] * 5
    assert "died while it ran this request" in replies[0].error
    began = time.monotonic()
    refused = server.infer("poison", infer_json([poison]))
    assert time.monotonic() - began < 5
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert "model instance 'poison_0' crashed repeatedly and is paused: its worker last" in refused.error
    assert not server.ready("poison")
    reason = "exit" if poison == -1 else "signal"
    name = f'tritium_worker_restarts_total{{model="poison",reason="{reason}",version="1"}}'
    assert server.metrics()[name] == 5
    server.assert_three_ok()


def test_t03_an_opened_breaker_tries_again_later(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "poison", POISON)
    server = start_server(repository)
    for _ in range(5):
        server.infer("poison", infer_json([-1]))
    assert server.infer("poison", infer_json([1])).status == 503
    took_s = wait_until(lambda: server.ready("poison"), 60, "the breaker is half open")
    assert took_s > 2
    assert server.infer("poison", infer_json([1])).status == 200
    server.assert_three_ok()


def test_t03_neighbours_of_a_poisonous_request_are_answered(
    start_server: StartServer, repository: Path
) -> None:
    batching = "dynamic_batching { preferred_batch_size: 4 max_queue_delay_microseconds: 2000000 }"
    write_python_model(repository, "poison", POISON, extra=batching)
    server = start_server(repository)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda value: server.infer("poison", infer_json([value])), [5, -1, 6, 7]))
    assert [reply.status for reply in replies] == [200, 503, 200, 200]
    assert [replies[i].json["outputs"][0]["data"] for i in (0, 2, 3)] == [[5.0], [6.0], [7.0]]
    server.assert_three_ok()


def test_t04_a_stopped_worker_is_replaced_and_sigcont_harms_nobody(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "slow", SLOW)
    server = start_server(repository, "--worker-stopped-limit-secs", "1")
    worker = pid_of(server, "slow")
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(server.infer, "slow", infer_json([20]))
        wait_until_running(repository)
        os.kill(worker, signal.SIGSTOP)
        began = time.monotonic()
        queued = pool.submit(server.infer, "slow", NOTHING)
        assert running.result().status == 503
        assert time.monotonic() - began < 15
        assert queued.result().status == 200
    try:
        os.kill(worker, signal.SIGCONT)
    except ProcessLookupError:
        assert not alive(worker)
    assert pid_of(server, "slow") != worker
    server.assert_three_ok()


def test_t04_a_worker_that_is_stopped_for_a_moment_is_kept(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "slow", SLOW)
    server = start_server(repository, "--worker-stopped-limit-secs", "30")
    worker = pid_of(server, "slow")
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pid_of, server, "slow")
        time.sleep(1)
        os.kill(worker, signal.SIGCONT)
        assert waiting.result() == worker
    server.assert_three_ok()


def test_t06_a_killed_server_leaves_no_workers_and_no_files_and_its_port_is_free(
    start_server: StartServer, repository: Path
) -> None:
    write_python_model(repository, "slow", SLOW, extra="instance_group { count: 2 kind: KIND_CPU }")
    before = shared_memory_files()
    server = start_server(repository)
    large = infer_json([0.0] * 100_000)  # through shared memory
    assert server.infer("slow", large).status == 200
    workers = server.workers()
    assert len(workers) == 3
    server.signal(signal.SIGKILL)
    server.process.wait()
    wait_until(lambda: not any(alive(pid) for pid in workers), 20, "no worker is left")
    assert shared_memory_files() <= before
    again = start_server(repository, "--http-port", str(server.http_port))
    assert again.http_port == server.http_port
    again.assert_three_ok()


def test_t06_a_busy_worker_dies_with_its_server(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "slow", SLOW)
    server = start_server(repository)
    worker = pid_of(server, "slow")
    with server.connect() as connection:
        connection.send(request("POST", "/v2/models/slow/infer", infer_json([60])))
        wait_until_running(repository)
        server.signal(signal.SIGKILL)
        server.process.wait()
        wait_until(lambda: not alive(worker), 20, "no worker is left")


def test_t07_an_execution_that_hangs_ends_at_its_limit_and_the_queue_goes_on(
    start_server: StartServer, repository: Path
) -> None:
    limit = 'parameters { key: "TRITIUM_EXECUTION_TIMEOUT_SECS" value { string_value: "1.5" } }'
    write_python_model(repository, "slow", SLOW, extra=limit)
    server = start_server(repository)
    worker = pid_of(server, "slow")
    with ThreadPoolExecutor(4) as pool:
        began = time.monotonic()
        hanging = pool.submit(server.infer, "slow", infer_json([1000]))
        wait_until_running(repository)
        queued = [pool.submit(server.infer, "slow", NOTHING) for _ in range(3)]
        reply = hanging.result()
        assert 1.3 < time.monotonic() - began < 30
        assert reply.status == 504
        assert reply.error == "execution of model instance 'slow_0' exceeded its limit of 1.5 s"
        assert [future.result().status for future in queued] == [200] * 3
    assert not alive(worker)
    server.assert_three_ok()
