"""Clients that leave: what waits is never run, what runs is told (T37)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.harness.http import infer_json, request, wait_until
from tests.harness.models import PLAIN, WATCHFUL, write_python_model
from tests.harness.server import ServerProcess

PATH = "/v2/models/watchful/infer"
LIMIT_S = 60.0


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("cancellation")
    write_python_model(root / "models", "echo", PLAIN)
    write_python_model(root / "models", "watchful", WATCHFUL)
    batching = "dynamic_batching { max_queue_delay_microseconds: 4000000 }"
    write_python_model(root / "models", "batched", WATCHFUL, extra=batching)
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running
        running.assert_three_ok()


def counts(server: ServerProcess, model: str = "watchful") -> tuple[int, int]:
    """Requests that began to run, and that noticed their cancellation."""
    began, cancelled = server.infer(model, infer_json([0])).json["outputs"][0]["data"]
    return int(began), int(cancelled)


def failures(server: ServerProcess, reason: str, model: str = "watchful") -> float:
    return server.metrics()[f'nv_inference_request_failure{{model="{model}",reason="{reason}",version="1"}}']


@pytest.mark.parametrize("goodbye", ["close", "reset"])
def test_t37_a_running_request_notices_that_its_client_left(server: ServerProcess, goodbye: str) -> None:
    with server.connect() as connection:
        connection.send(request("POST", PATH, infer_json([20])))
        wait_until(
            lambda: server.infer("echo", b"{").status == 400 and server.pending("watchful") == 0,
            30,
            "it runs",
        )
        connection.reset() if goodbye == "reset" else connection.socket.close()
    took_s = wait_until(lambda: counts(server) == (1, 1), 30, "it noticed")
    assert took_s < 10


def test_t37_queued_requests_of_clients_that_left_never_run(server: ServerProcess) -> None:
    with server.connect() as running, ExitStack() as leavers:
        running.send(request("POST", PATH, infer_json([4])))
        wait_until(
            lambda: server.infer("echo", b"{").status == 400 and server.pending("watchful") == 0,
            30,
            "it runs",
        )
        for _ in range(100):
            leaver = leavers.enter_context(server.connect())
            leaver.send(request("POST", PATH, infer_json([5])))
        wait_until(lambda: server.pending("watchful") == 100, 30, "they wait")
        leavers.close()
        reply = running.reply()
        assert reply is not None and reply.status == 200
    assert counts(server) == (1, 0)
    assert failures(server, "CANCELED") == 100
    assert server.pending("watchful") == 0


def test_t37_who_waits_in_a_batch_and_leaves_does_not_run(server: ServerProcess) -> None:
    with server.connect() as stays, ExitStack() as leavers:
        for _ in range(3):
            leaver = leavers.enter_context(server.connect())
            leaver.send(request("POST", "/v2/models/batched/infer", infer_json([5])))
        stays.send(request("POST", "/v2/models/batched/infer", infer_json([0.01])))
        wait_until(lambda: server.pending("batched") == 4, 3.9, "they wait")
        leavers.close()
        reply = stays.reply()
        assert reply is not None and reply.status == 200
    assert counts(server, "batched") == (1, 0)
    assert failures(server, "CANCELED", "batched") == 3


def test_t37_pipelined_requests_of_a_client_that_left_are_all_cancelled(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.send(request("POST", PATH, infer_json([20])) * 5)
        wait_until(lambda: server.pending("watchful") == 4, 15, "one runs, the others wait")
    wait_until(lambda: counts(server) == (1, 1), 30, "it noticed")
    assert failures(server, "CANCELED") >= 4


def test_t37_a_client_that_leaves_does_not_disturb_the_next_one(server: ServerProcess) -> None:
    """The slot in which a cancellation is told is used again: it must not cancel who comes after."""
    for _ in range(50):
        with server.connect() as connection:
            connection.send(request("POST", PATH, infer_json([20])))
            wait_until(lambda: server.pending("watchful") == 0, 30, "it runs")
        reply = server.infer("watchful", infer_json([0.001]))
        assert reply.status == 200
    began, cancelled = counts(server)
    assert began == 50 + cancelled
    assert 0 < cancelled <= 50


def asked(seconds: float, model: str = "watchful") -> service_pb2.ModelInferRequest:
    message = service_pb2.ModelInferRequest(model_name=model)
    message.inputs.add(name="IN", datatype="FP32", shape=[1, 1])
    message.raw_input_contents.append(np.float32(seconds).tobytes())
    return message


def test_t37_calls_and_streams_that_are_cancelled_are_told_or_never_run(server: ServerProcess) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(asked(0, "echo"), timeout=LIMIT_S)
        running = stub.ModelInfer.future(asked(20), timeout=LIMIT_S)
        stub.ModelInfer(asked(0, "echo"), timeout=LIMIT_S)  # on the same connection, so behind the other
        wait_until(lambda: server.pending("watchful") == 0, 30, "it runs")
        waiting = [stub.ModelInfer.future(asked(20), timeout=LIMIT_S) for _ in range(50)]
        waiting += [stub.ModelStreamInfer(iter([asked(20)]), timeout=LIMIT_S) for _ in range(50)]
        wait_until(lambda: server.pending("watchful") == 100, 15, "they wait")
        for call in waiting:
            call.cancel()
        stub.ModelInfer(asked(0, "echo"), timeout=LIMIT_S)
        running.cancel()
        wait_until(lambda: counts(server) == (1, 1), 30, "it noticed, and nothing else has run")
    assert failures(server, "CANCELED") >= 100
    assert server.pending("watchful") == 0
