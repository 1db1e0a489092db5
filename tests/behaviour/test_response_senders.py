"""Models that answer by response senders, and models whose execute is a coroutine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.http import infer_json, wait_until
from tests.harness.models import PLAIN, write_python_model
from tests.harness.pipeline_models import NAPPING, REPEAT, SENDING
from tests.harness.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("senders")
    models = root / "models"
    write_python_model(models, "echo", PLAIN)
    write_python_model(models, "sending", SENDING)
    write_python_model(models, "napping", NAPPING)
    write_python_model(models, "repeat", REPEAT, extra="model_transaction_policy { decoupled: true }")
    with ServerProcess(models, log=root / "log") as running:
        yield running
        running.assert_three_ok()


@pytest.mark.parametrize("how", [0, 1])
def test_a_sender_answers_in_execute_or_after_it(server: ServerProcess, how: int) -> None:
    reply = server.infer("sending", infer_json([how]))
    assert reply.json["outputs"][0]["data"] == [how]


def test_a_request_whose_sender_is_dropped_gets_an_error_and_not_silence(server: ServerProcess) -> None:
    reply = server.infer("sending", infer_json([2]))
    assert reply.status == 500
    assert reply.error.startswith(
        "the model let go of the response sender without sending the final response"
    )


def test_a_sender_that_answers_late_does_not_hold_up_the_next_request(server: ServerProcess) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda i: server.infer("sending", infer_json([1, i])), range(40)))
    assert [reply.json["outputs"][0]["data"][1] for reply in replies] == list(range(40))
    counts = server.get("/v2/models/sending/stats").json["model_stats"][0]["inference_stats"]
    assert counts["success"]["count"] >= 40


def test_coroutines_run_side_by_side(server: ServerProcess) -> None:
    naps, nap_s = 60, 0.5
    began = time.monotonic()
    with ThreadPoolExecutor(naps) as pool:
        replies = list(pool.map(lambda i: server.infer("napping", infer_json([nap_s])), range(naps)))
    assert {reply.status for reply in replies} == {200}
    assert time.monotonic() - began < naps * nap_s / 2


def test_a_decoupled_model_has_no_http_infer(server: ServerProcess) -> None:
    reply = server.infer("repeat", infer_json([1]))
    assert (reply.status, reply.error) == (
        501,
        "HTTP end point doesn't support models with decoupled transaction policy",
    )


def test_requests_that_run_side_by_side_fail_together_when_their_worker_dies(server: ServerProcess) -> None:
    worker = int(server.infer("napping", infer_json([0])).json["parameters"]["pid"])
    with ThreadPoolExecutor(4) as pool:
        naps = [pool.submit(server.infer, "napping", infer_json([20])) for _ in range(4)]
        wait_until(lambda: server.infer("echo", b"{").status == 400, 10, "the server takes requests")
        time.sleep(0.5)
        os.kill(worker, signal.SIGKILL)
        assert [nap.result().status for nap in naps] == [503] * 4
    wait_until(lambda: server.ready("napping"), 30, "the model is back")
    assert server.infer("napping", infer_json([0])).status == 200
