"""Ensembles over every protocol, from inside other models, and while their parts fail, go and come back."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from tests.harness.http import Reply, infer_json, request, wait_until
from tests.harness.models import (
    FAILING,
    PLAIN,
    POISON,
    SLOW,
    WATCHFUL,
    write_chain,
    write_ensemble,
    write_onnx_model,
    write_python_model,
)
from tests.harness.pipeline_models import CALLER, CHAIN, REPEAT
from tests.harness.server import ServerProcess

DECOUPLED = "model_transaction_policy { decoupled: true }"
BATCHING = "dynamic_batching { max_queue_delay_microseconds: 200000 preferred_batch_size: 4 }"
# A + 10 * B, which may be missing; says in SIZE how many requests came together.
ADD = """
class TritonPythonModel:
    def execute(self, requests):
        return [self.one(request, len(requests)) for request in requests]

    def one(self, request, together):
        b = pb_utils.get_input_tensor_by_name(request, "B")
        out = values(request, "A") + (10 * b.as_numpy() if b is not None else 0)
        size = np.full((len(out), 1), together, np.float32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", out), pb_utils.Tensor("SIZE", size)])
"""
NOTING = WATCHFUL.replace(
    "self.began += 1\n",
    'self.began += 1\n        open(os.path.join(os.path.dirname(__file__), ".running"), "w").close()\n',
)  # a file says that a request has begun
AB = [("A", "FP32", [-1]), ("B?", "FP32", [-1])]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("ensembles")
    models = root / "models"
    for name in ("echo", "plain", "other"):
        write_python_model(models, name, PLAIN)
    write_onnx_model(models, "double")
    out_size = [("OUT", "FP32", [-1]), ("SIZE", "FP32", [1])]
    write_python_model(models, "add", ADD, inputs=AB, outputs=out_size, extra=BATCHING)
    write_python_model(models, "failing", FAILING)
    write_python_model(models, "slow", SLOW)
    write_python_model(models, "watchful", NOTING)
    write_python_model(models, "poison", POISON)
    write_python_model(models, "repeat", REPEAT, extra=DECOUPLED)
    write_python_model(models, "caller", CALLER)
    write_python_model(models, "a", CHAIN)
    write_chain(models, "chain", "plain", "double", "plain", "double")
    write_chain(models, "nested", "chain", "double")
    write_chain(models, "stream", "repeat", "double")
    write_chain(models, "streams", "repeat", "repeat")
    write_chain(models, "narrow", "repeat", "plain", extra="max_inflight_requests: 1")
    write_chain(models, "fails", "plain", "failing")
    write_chain(models, "crashes", "double", "poison")
    write_chain(models, "circle", "a")
    write_ensemble(
        models, "diamond",
        ("plain", {"IN": "IN"}, {"OUT": "left"}), ("double", {"IN": "IN"}, {"OUT": "right"}),
        ("add", {"A": "left", "B": "right"}, {"OUT": "OUT", "SIZE": "SIZE"}),
        ("other", {"IN": "right"}, {"OUT": "MORE"}),
        outputs=[*out_size, ("MORE", "FP32", [-1])],
    )  # fmt: skip
    sum_maps = ({"A": "A", "B": "B"}, {"OUT": "OUT", "SIZE": "SIZE"})
    write_ensemble(models, "optional", ("add", *sum_maps), inputs=AB, outputs=out_size)
    write_ensemble(
        models, "branches",
        ("failing", {"IN": "IN"}, {"OUT": "OUT"}), ("watchful", {"IN": "WAIT"}, {"OUT": "WAITED"}),
        inputs=[("IN", "FP32", [-1]), ("WAIT", "FP32", [-1])],
        outputs=[("OUT", "FP32", [-1]), ("WAITED", "FP32", [-1])],
    )  # fmt: skip
    write_chain(models, "waits", "watchful", "plain")
    flags = ("--model-control-mode", "explicit", "--load-model", "*")
    with ServerProcess(models, *flags, log=root / "log") as running:
        yield running
        running.assert_three_ok()


def outputs(reply: Reply) -> dict[str, list[float]]:
    assert reply.status == 200, reply.body
    return {output["name"]: output["data"] for output in reply.json["outputs"]}


def ask(server: ServerProcess, model: str, data: list[float], **more: Any) -> Reply:
    return server.infer(model, infer_json(data, **more))


def statistics(server: ServerProcess, model: str) -> Any:
    return server.get(f"/v2/models/{model}/stats").json["model_stats"][0]


def ran(server: ServerProcess, model: str) -> int:
    return int(statistics(server, model)["execution_count"])


def state(server: ServerProcess, model: str) -> tuple[str, str]:
    (entry,) = [e for e in server.ask("POST", "/v2/repository/index").json if e["name"] == model]
    return entry["state"], entry.get("reason", "")


def control(server: ServerProcess, model: str, verb: str, **parameters: Any) -> None:
    body = json.dumps({"parameters": parameters}).encode()
    reply = server.ask("POST", f"/v2/repository/models/{model}/{verb}", body)
    assert reply.status == 200, reply.body


def grpc_input(value: float, shape: tuple[int, int] = (1, 1)) -> Any:
    given = triton_grpc.InferInput("IN", list(shape), "FP32")
    given.set_data_from_numpy(np.full(shape, value, np.float32))
    return given


def streamed(server: ServerProcess, model: str, value: float) -> list[float]:
    """The responses of a gRPC stream, until the final flag."""
    answers: Queue[Any] = Queue()
    found: list[float] = []
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        client.start_stream(lambda result, error: answers.put(error or result))
        client.async_stream_infer(model, [grpc_input(value)], enable_empty_final_response=True)
        while True:
            answer = answers.get(timeout=30)
            assert not isinstance(answer, Exception), answer
            if (array := answer.as_numpy("OUT")) is not None:
                found.append(float(array[0, 0]))
            if answer.get_response().parameters["triton_final_response"].bool_param:
                client.stop_stream()
                return found


def test_steps_in_workers_and_threads_run_one_after_the_other(server: ServerProcess) -> None:
    reply = ask(server, "chain", [1, 2])
    assert outputs(reply) == {"OUT": [4, 8]}
    assert reply.json["parameters"] == {"sequence_id": 0, "sequence_start": False, "sequence_end": False}


def test_triton_clients_ask_ensembles_by_http_and_grpc(server: ServerProcess) -> None:
    data = np.arange(400_000, dtype=np.float32).reshape(8, 50_000)
    over_http = triton_http.InferenceServerClient(f"127.0.0.1:{server.http_port}")
    given = triton_http.InferInput("IN", list(data.shape), "FP32")
    given.set_data_from_numpy(data)
    np.testing.assert_array_equal(over_http.infer("chain", [given]).as_numpy("OUT"), data * 4)
    assert over_http.get_model_metadata("chain")["platform"] == "ensemble"
    over_http.close()
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        result = client.infer("nested", [grpc_input(3, (2, 4))], request_id="seven")
        np.testing.assert_array_equal(result.as_numpy("OUT"), np.full((2, 4), 24, np.float32))
        assert result.get_response().id == "seven"


def test_branches_meet_and_only_what_is_asked_for_is_computed(server: ServerProcess) -> None:
    others = ran(server, "other")
    found = outputs(ask(server, "diamond", [1, 2], outputs=[{"name": "OUT"}]))
    assert found == {"OUT": [21, 42]}
    assert ran(server, "other") == others
    assert outputs(ask(server, "diamond", [1, 2]))["MORE"] == [2, 4]
    assert ran(server, "other") == others + 1


def test_an_optional_input_may_be_left_out(server: ServerProcess) -> None:
    def body(**inputs: float) -> bytes:
        given = [
            {"name": name, "datatype": "FP32", "shape": [1, 1], "data": [value]}
            for name, value in inputs.items()
        ]
        return json.dumps({"inputs": given}).encode()

    assert outputs(server.infer("optional", body(A=1)))["OUT"] == [1]
    assert outputs(server.infer("optional", body(A=1, B=2)))["OUT"] == [21]
    assert server.infer("optional", body(B=2)).status == 400


def test_steps_of_different_requests_are_batched_together(server: ServerProcess) -> None:
    with ThreadPoolExecutor(4) as pool:
        sizes = [outputs(r)["SIZE"][0] for r in pool.map(lambda n: ask(server, "diamond", [n]), range(4))]
    assert max(sizes) > 1


def test_every_response_of_a_decoupled_step_goes_through_the_rest_in_order(server: ServerProcess) -> None:
    assert streamed(server, "stream", 5) == [0, 2, 4, 6, 8]
    assert streamed(server, "stream", 0) == []
    assert streamed(server, "streams", 4) == [0, 0, 1, 0, 1, 2]
    assert streamed(server, "narrow", 200) == [float(n) for n in range(200)]
    refused = ask(server, "stream", [1])
    assert (refused.status, refused.error) == (
        501,
        "HTTP end point doesn't support models with decoupled transaction policy",
    )


def test_a_failing_step_tells_its_own_error(server: ServerProcess) -> None:
    reply = ask(server, "fails", [3])
    assert (reply.status, reply.error) == (400, "in ensemble 'fails', told so")
    raised = ask(server, "fails", [-1])
    assert raised.status == 500
    assert raised.error.startswith(
        "in ensemble 'fails', Failed to process the request(s) for model 'failing_0'"
    )


def test_a_failing_step_cancels_the_branch_beside_it(server: ServerProcess) -> None:
    body = {
        "inputs": [
            {"name": name, "datatype": "FP32", "shape": [1, 1], "data": [value]}
            for name, value in (("IN", 3.0), ("WAIT", 25.0))
        ]
    }
    before = cancelled(server)
    assert server.infer("branches", json.dumps(body).encode()).error == "in ensemble 'branches', told so"
    wait_until(lambda: cancelled(server) > before, 20, "the waiting branch sees that it is cancelled")


def cancelled(server: ServerProcess) -> float:
    return outputs(ask(server, "watchful", [0]))["OUT"][1]


def test_a_client_that_leaves_cancels_the_step_that_runs(server: ServerProcess) -> None:
    before = cancelled(server)
    running = server.repository / "watchful" / "1" / ".running"
    running.unlink(missing_ok=True)
    with server.connect() as connection:
        connection.send(request("POST", "/v2/models/waits/infer", infer_json([25])))
        wait_until(running.exists, 20, "the step runs")
    wait_until(lambda: cancelled(server) > before, 20, "the step sees that it is cancelled")
    assert statistics(server, "waits")["inference_stats"]["fail"]["count"] >= 1


def test_a_deadline_ends_an_ensemble(server: ServerProcess) -> None:
    failures = statistics(server, "waits")["inference_stats"]["fail"]["count"]
    with (
        triton_grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client,
        pytest.raises(InferenceServerException, match="Deadline Exceeded"),
    ):
        client.infer("waits", [grpc_input(25)], client_timeout=0.5)
    wait_until(
        lambda: statistics(server, "waits")["inference_stats"]["fail"]["count"] > failures, 20, "it ends"
    )
    outputs(ask(server, "waits", [0]))  # long before the 25 s that were asked for


def test_statistics_count_the_ensemble_and_each_step(server: ServerProcess) -> None:
    before = {model: statistics(server, model) for model in ("nested", "chain", "double")}
    ask(server, "nested", [1])
    after = {model: statistics(server, model) for model in before}
    more = {m: after[m]["execution_count"] - before[m]["execution_count"] for m in before}
    assert more == {"nested": 1, "chain": 1, "double": 3}
    inner, outer = (
        sum(
            after[model]["inference_stats"][part]["ns"] - before[model]["inference_stats"][part]["ns"]
            for part in ("queue", "compute_input", "compute_infer", "compute_output")
        )
        for model in ("chain", "nested")
    )
    assert 0 < inner < outer


def test_a_model_asks_an_ensemble_and_gets_its_answers(server: ServerProcess) -> None:
    assert outputs(ask(server, "caller", [1, 2], parameters={"model": "nested"})) == {"OUT": [8, 16]}
    found = outputs(ask(server, "caller", [3], parameters={"model": "stream", "how": "stream"}))
    assert found["OUT"] in ([4, 0, 2, 4], [3, 0, 2, 4])  # the last one is empty, or the third response


def test_a_circle_through_an_ensemble_is_found_and_refused(server: ServerProcess) -> None:
    reply = ask(server, "circle", [1], parameters={"next": "circle,circle"})
    assert "deadlock: 'a_0' waits for 'a'" in reply.error
    assert outputs(ask(server, "circle", [1])) == {"OUT": [1]}


def test_a_worker_that_crashes_in_a_step_fails_that_request_alone(server: ServerProcess) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = [*pool.map(lambda n: ask(server, "crashes", [-0.5 if n == 5 else n]), range(20))]
    assert replies[5].status in (500, 503)
    assert "in ensemble 'crashes', " in replies[5].error
    wait_until(lambda: server.ready("crashes"), 30, "the ensemble is ready again")
    for number in range(5):
        reply = ask(server, "crashes", [number])
        assert outputs(reply) == {"OUT": [2 * number]}
    server.assert_three_ok()


def test_an_ensemble_goes_with_its_model_and_comes_back_with_it(server: ServerProcess) -> None:
    control(server, "other", "unload")
    assert state(server, "diamond")[0] in ("UNLOADING", "UNAVAILABLE")
    wait_until(lambda: state(server, "diamond")[0] == "UNAVAILABLE", 30, "the ensemble is unloaded")
    assert state(server, "diamond")[1] == (
        "unloaded: ensemble 'diamond' depends on 'other' which has no loaded version."
    )
    assert not server.ready("diamond")
    assert server.get("/v2/health/ready").status == 200
    assert ask(server, "diamond", [1]).status == 404
    control(server, "other", "load")
    assert state(server, "diamond") == ("READY", "")
    assert outputs(ask(server, "diamond", [1]))["MORE"] == [2]


def test_unloading_and_reloading_a_step_loses_no_request_that_was_accepted(server: ServerProcess) -> None:
    stop = threading.Event()
    statuses: list[int] = []

    def client() -> None:
        while not stop.is_set():
            reply = ask(server, "chain", [1])
            if reply.status == 200:
                assert outputs(reply) == {"OUT": [4]}
            else:
                assert "chain" in reply.error
            statuses.append(reply.status)

    with ThreadPoolExecutor(4) as pool:
        try:
            clients = [pool.submit(client) for _ in range(4)]
            for _ in range(3):
                seen = len(statuses)
                wait_until(lambda seen=seen: len(statuses) > seen + 20, 30, "requests are answered")
                control(server, "plain", "unload")
                control(server, "plain", "load")
        finally:
            stop.set()
        for one in clients:
            one.result()
    assert set(statuses) <= {200, 404}
    assert statuses.count(200) > 20
    assert outputs(ask(server, "nested", [1])) == {"OUT": [8]}
    server.assert_three_ok()


def test_a_killed_worker_of_a_step_is_replaced(server: ServerProcess) -> None:
    (pid,) = server.workers("plain")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: ask(server, "chain", [1]).status == 200, 30, "the ensemble answers again")
    server.assert_three_ok()


def test_an_ensemble_sent_with_a_load_request_is_checked_and_served(server: ServerProcess) -> None:
    def config(data_type: str) -> str:
        tensors = {
            "input": [{"name": "IN", "data_type": data_type, "dims": [-1]}],
            "output": [{"name": "OUT", "data_type": "TYPE_FP32", "dims": [-1]}],
        }
        step = {
            "model_name": "double",
            "model_version": -1,
            "input_map": {"IN": "IN"},
            "output_map": {"OUT": "OUT"},
        }
        return json.dumps(
            {"platform": "ensemble", "max_batch_size": 4, **tensors, "ensemble_scheduling": {"step": [step]}}
        )

    body = json.dumps({"parameters": {"config": config("TYPE_INT32")}}).encode()
    reply = server.ask("POST", "/v2/repository/models/circle/load", body)
    assert reply.status == 400
    assert "  input of the ensemble                 TYPE_INT32 [-1,-1]  --> 'IN'\n" in reply.error
    control(server, "circle", "load", config=config("TYPE_FP32"))
    assert outputs(ask(server, "circle", [2])) == {"OUT": [4]}
