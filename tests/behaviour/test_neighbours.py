"""What other models notice of one that loads, reloads or crashes: nothing (T14, T20, T33)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import tritonclient.grpc as grpcclient

from tests.harness.http import infer_json, request, wait_until
from tests.harness.models import PLAIN, POISON, STUCK, write_python_model
from tests.harness.server import GOOD, ServerProcess

LOAD_S = 8.0
STALL_S = 5.0  # far above what a loaded machine needs, and far below the time of a load
# Takes its time to load; a line of ``loads``, beside the repository, for each time.
SLOW_LOADER = """
class TritonPythonModel:
    def initialize(self, args):
        beside = os.path.dirname(os.path.dirname(args["model_repository"]))
        with open(os.path.join(beside, "loads"), "a") as loads:
            loads.write(args["model_name"] + "\\n")
        time.sleep({seconds})

    def execute(self, requests):
        return [answer(values(request)) for request in requests]
"""

QUESTIONS = (
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/echo",
    "/v2/models/echo/ready",
    "/v2/models/echo/config",
    "/v2/models/stats",
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("neighbours") / "models"
    write_python_model(models, "echo", PLAIN)
    write_python_model(models, "poison", POISON)
    write_python_model(models, "slow", SLOW_LOADER.format(seconds=LOAD_S))
    write_python_model(models, "waiting", STUCK)
    write_python_model(models, "popular", SLOW_LOADER.format(seconds=0.5))
    return models


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[ServerProcess]:
    flags = ("--load-model", "echo", "--load-model", "poison")
    with ServerProcess(repository, *flags, log=repository.parent / "log") as running:
        yield running
        running.assert_three_ok()


@contextmanager
def clients(server: ServerProcess, count: int = 4) -> Iterator[list[tuple[int, float]]]:
    """Clients of ``echo`` on connections that stay: status and seconds of each of their requests."""
    over = threading.Event()
    seen: list[tuple[int, float]] = []

    def work() -> None:
        with server.connect() as connection:
            while not over.is_set():
                began = time.monotonic()
                connection.send(request("POST", "/v2/models/echo/infer", GOOD))
                reply = connection.reply()
                seen.append((reply.status if reply is not None else 0, time.monotonic() - began))
                over.wait(0.005)

    with ThreadPoolExecutor(count) as pool:
        work_done = [pool.submit(work) for _ in range(count)]
        try:
            wait_until(lambda: len(seen) > 10 * count, 30.0, "the clients are at work")
            yield seen
        finally:
            over.set()
        for done in work_done:
            done.result()


def undisturbed(seen: list[tuple[int, float]]) -> None:
    assert {status for status, _ in seen} == {200}
    assert max(seconds for _, seconds in seen) < STALL_S


def load(server: ServerProcess, model: str) -> int:
    return server.ask("POST", f"/v2/repository/models/{model}/load", b"{}").status


def test_t14_a_model_that_loads_slowly_stalls_nobody(server: ServerProcess) -> None:
    with clients(server) as seen:
        assert load(server, "slow") == 200
    undisturbed(seen)


def test_t14_reloads_of_the_model_itself_stall_nobody(server: ServerProcess, repository: Path) -> None:
    source = repository / "echo" / "1" / "model.py"
    with clients(server) as seen:
        for number in range(5):
            source.write_text(f"{source.read_text()}\n# {number}\n")
            assert load(server, "echo") == 200
    undisturbed(seen)


def test_t14_a_model_that_crashes_again_and_again_stalls_nobody(server: ServerProcess) -> None:
    with clients(server) as seen:
        for _ in range(6):  # the breaker opens at the fifth
            assert server.infer("poison", infer_json([-1])).status == 503
    undisturbed(seen)


def test_t20_while_a_model_loads_by_request_every_question_is_answered(
    server: ServerProcess, repository: Path
) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        grpcclient.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client,
    ):
        loading = pool.submit(load, server, "waiting")
        try:
            wait_until(lambda: state(server, "waiting") == "LOADING", 30.0, "it loads")
            for _ in range(50):
                began = time.monotonic()
                assert {server.get(path).status for path in QUESTIONS} == {200}
                assert client.is_server_ready() and client.is_model_ready("echo")
                assert client.get_model_metadata("echo").name == "echo"
                assert server.infer("echo", GOOD).status == 200
                assert time.monotonic() - began < STALL_S
            assert server.get("/v2/models/waiting/ready").status == 400
            assert server.infer("waiting", GOOD).status == 404
            assert state(server, "waiting") == "LOADING"
        finally:
            (repository / "waiting" / "go").touch()
        assert loading.result(60.0) == 200
    assert server.infer("waiting", GOOD).status == 200


def state(server: ServerProcess, model: str) -> str:
    entries = server.ask("POST", "/v2/repository/index", b"{}").json
    return str(next(entry.get("state") for entry in entries if entry["name"] == model))


def test_t33_many_who_load_a_model_at_once_load_it_once(server: ServerProcess, repository: Path) -> None:
    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(lambda _: load(server, "popular"), range(50))) == {200}
        answers = pool.map(lambda number: server.infer("popular", infer_json([number])), range(50))
        assert [reply.json["outputs"][0]["data"] for reply in answers] == [[number] for number in range(50)]
    assert (repository.parent / "loads").read_text().splitlines().count("popular") == 1
