"""Dynamic batching seen from outside: every answer belongs to its request, whatever ran with it (T45)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.harness.http import Reply, infer_binary, infer_json, request
from tests.harness.models import PLAIN, write_onnx_model, write_python_model
from tests.harness.server import ServerProcess

CLIENTS = 16
REQUESTS = 640  # of each client, for each of two models: 20,480

# Answers the rows of the whole batch beside the data; refuses to run more than it may.
COUNTING = """
class TritonPythonModel:
    def initialize(self, args):
        self.limit = json.loads(args["model_config"])["max_batch_size"]

    def execute(self, requests):
        rows = sum(len(values(request)) for request in requests)
        assert rows <= self.limit
        responses = []
        for request in requests:
            if values(request).min() < 0:
                responses.append(pb_utils.InferenceResponse(error=pb_utils.TritonError("told so", 3)))
            else:
                outputs = [pb_utils.Tensor("OUT", values(request) * 2)]
                seen = {"rows": rows, "requests": len(requests)}
                responses.append(pb_utils.InferenceResponse(outputs, parameters=seen))
        return responses
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("batching")
    write_python_model(root / "models", "echo", PLAIN)
    delay = "dynamic_batching { max_queue_delay_microseconds: 2000 }"
    write_python_model(
        root / "models", "counting", COUNTING, max_batch_size=8, extra=delay + "\ninstance_group { count: 2 }"
    )
    write_onnx_model(root / "models", "double", extra=delay)
    patient = "dynamic_batching { preferred_batch_size: 4 max_queue_delay_microseconds: 2000000 }"
    write_python_model(root / "models", "patient", COUNTING, max_batch_size=8, extra=patient)
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running


def one_client(server: ServerProcess, model: str, number: int) -> tuple[int, int]:
    """Requests with elements of their own, some wrong; JSON and binary, of random rows, sizes and pauses.

    Returns:
        Rows of those that are right, and how many are wrong.
    """
    dice = random.Random(number)
    rows_sent = failed = 0
    headers: dict[str, str]
    with server.connect() as connection:
        for i in range(REQUESTS):
            rows, size = dice.randint(1, 4), dice.choice([1, 2, 2, 2, 5])
            data = np.full((rows, size), number * 10_000 + i, np.float32)
            data += np.arange(rows * size, dtype=np.float32).reshape(rows, size) / 64
            wrong = model == "counting" and dice.random() < 0.05
            if wrong:
                data = -1 - data
            if dice.random() < 0.3:
                body, headers = infer_json(data.ravel().tolist(), shape=data.shape, id=f"{number}-{i}"), {}
            else:
                body, headers = infer_binary([("IN", "FP32", data.shape, data.tobytes())], id=f"{number}-{i}")
            connection.send(request("POST", f"/v2/models/{model}/infer", body, headers))
            reply = connection.reply()
            assert reply is not None and reply.status == (400 if wrong else 200), reply
            if wrong:  # an error of its own, which its neighbours in the batch do not share
                assert reply.error == "told so"
                failed += 1
                continue
            document = reply.json
            assert document["id"] == f"{number}-{i}"
            assert document["outputs"][0]["shape"] == [rows, size]
            assert document["outputs"][0]["data"] == (data * 2).ravel().tolist()
            assert document.get("parameters", {"rows": 1})["rows"] <= 8
            rows_sent += rows
            if dice.random() < 0.1:
                time.sleep(dice.random() * 0.005)
    return rows_sent, failed


@pytest.mark.parametrize("model", ["counting", "double", "echo"])
def test_t45_requests_of_one_form_are_told_apart(server: ServerProcess, model: str) -> None:
    """The same JSON before other bytes, from many connections: a form does not remember tensors."""
    factor = 1 if model == "echo" else 2

    def one(number: int) -> None:
        with server.connect() as connection:
            for i in range(50):
                data = np.full((2, 3), number * 1000 + i, np.float32)
                body, headers = infer_binary(
                    [("IN", "FP32", (2, 3), data.tobytes())], parameters={"binary_data_output": True}
                )
                connection.send(request("POST", f"/v2/models/{model}/infer", body, headers))
                reply = connection.reply()
                assert reply is not None and reply.status == 200
                assert reply.body.endswith((data * factor).tobytes())

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(CLIENTS)))


@pytest.mark.parametrize("model", ["counting", "double"])
def test_t45_every_answer_belongs_to_its_request(server: ServerProcess, model: str) -> None:
    before = server.get(f"/v2/models/{model}/stats").json["model_stats"][0]
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(lambda number: one_client(server, model, number), range(CLIENTS)))
    rows, failed = (sum(each) for each in zip(*done, strict=True))
    found = server.get(f"/v2/models/{model}/stats").json["model_stats"][0]
    assert found["inference_count"] - before["inference_count"] == rows
    counts = [each["inference_stats"]["success"]["count"] for each in (before, found)]
    assert counts[1] - counts[0] == CLIENTS * REQUESTS - failed
    assert (failed > 100) == (model == "counting")
    assert found["execution_count"] - before["execution_count"] < CLIENTS * REQUESTS, "some ran together"
    assert max(entry["batch_size"] for entry in found["batch_stats"]) <= (8 if model == "counting" else 32)
    server.assert_three_ok()


def test_t45_a_preferred_batch_leaves_at_once(server: ServerProcess) -> None:
    with ThreadPoolExecutor(4) as pool:
        began = time.monotonic()
        replies = list(pool.map(lambda i: server.infer("patient", infer_json([float(i)])), range(4)))
        assert time.monotonic() - began < 1.9
    assert [reply.json["parameters"]["requests"] for reply in replies] == [4] * 4


def test_t45_a_lonely_request_leaves_after_the_delay(server: ServerProcess) -> None:
    began = time.monotonic()
    reply = server.infer("patient", infer_json([1.0]))
    assert 1.9 < time.monotonic() - began < 20
    assert reply.json["parameters"]["requests"] == 1


def test_t45_requests_of_different_shapes_never_run_together(server: ServerProcess) -> None:
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda i: server.infer("patient", infer_json([1.0] * (i % 2 + 1))), range(4)))
    assert max(reply.json["parameters"]["requests"] for reply in replies) <= 2


def test_t45_an_error_of_one_request_does_not_fail_its_neighbours(server: ServerProcess) -> None:
    def ask(value: float) -> Reply:
        return server.infer("patient", infer_json([value]))

    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(ask, [1.0, -1.0, 2.0, 3.0]))
    assert [reply.status for reply in replies] == [200, 400, 200, 200]
    assert replies[1].error == "told so"


def test_t45_requests_run_in_the_order_in_which_they_came(server: ServerProcess) -> None:
    """With one instance and one connection after the other, later requests are never in an earlier batch."""
    connections = [server.connect() for _ in range(10)]
    try:
        for i, connection in enumerate(connections):
            connection.send(request("POST", "/v2/models/patient/infer", infer_json([float(i)])))
            time.sleep(0.002)
        sizes = []
        for connection in connections:
            reply = connection.reply()
            assert reply is not None
            sizes.append(reply.json["parameters"]["requests"])
    finally:
        for connection in connections:
            connection.socket.close()
    assert sizes == [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]
