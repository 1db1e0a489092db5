"""The response cache of a running server, local and in a real Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

from tests.harness.http import Reply, infer_json, wait_until
from tests.harness.models import ECHO, PLAIN, write_chain, write_onnx_model, write_python_model
from tests.harness.redis import needs_redis, redis_server
from tests.harness.server import ServerProcess

CACHED = "response_cache { enable: true }"
# Answers with how often it was asked.
COUNTING = """
class TritonPythonModel:
    def initialize(self, args):
        self.count = 0

    def execute(self, requests):
        self.count += len(requests)
        return [answer(values(request) * 0 + self.count) for request in requests]
"""
FAILING = """
class TritonPythonModel:
    def initialize(self, args):
        self.count = 0

    def execute(self, requests):
        self.count += 1
        if self.count == 1:
            raise ValueError("not the first time")
        return [answer(values(request)) for request in requests]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("cache")
    models = root / "models"
    write_python_model(models, "echo", PLAIN)
    write_python_model(models, "counting", COUNTING, extra=CACHED)
    write_python_model(models, "uncached", COUNTING)
    write_chain(models, "parts", "counting", "echo")
    write_python_model(models, "failing", FAILING, extra=CACHED)
    write_python_model(
        models,
        "pair",
        ECHO,
        inputs=[("A", "STRING", [-1]), ("B", "FP32", [-1])],
        outputs=[("C", "STRING", [-1]), ("D", "FP32", [-1])],
        extra=CACHED,
    )
    write_onnx_model(models, "network", extra=CACHED)
    write_python_model(models, "part", COUNTING)
    write_chain(models, "whole", "part")
    with (models / "whole" / "config.pbtxt").open("a") as config:
        config.write(f"\n{CACHED}\n")
    flags = ["--cache-config", "local,size=10000000", "--model-control-mode", "explicit", "--load-model", "*"]
    with ServerProcess(models, *flags, log=root / "log") as running:
        yield running
        running.assert_three_ok()


def count(reply: Reply) -> float:
    assert reply.status == 200, reply.error
    found: float = reply.json["outputs"][0]["data"][0]
    return found


def statistics(server: ServerProcess, model: str) -> dict[str, Any]:
    reply = server.get(f"/v2/models/{model}/stats")
    found: dict[str, Any] = reply.json["model_stats"][0]
    return found


def test_a_question_is_computed_once_and_its_answer_has_the_id_of_each_request(server: ServerProcess) -> None:
    before = statistics(server, "counting")
    replies = [server.infer("counting", infer_json([5.0], id=f"request-{i}")) for i in range(4)]
    assert len({count(reply) for reply in replies}) == 1
    assert [reply.json["id"] for reply in replies] == [f"request-{i}" for i in range(4)]
    after = statistics(server, "counting")
    change = {
        name: after["inference_stats"][name]["count"] - before["inference_stats"][name]["count"]
        for name in after["inference_stats"]
    }
    assert change == {
        "success": 4, "fail": 0, "queue": 4, "compute_input": 1, "compute_infer": 1, "compute_output": 1,
        "cache_hit": 3, "cache_miss": 1,
    }  # fmt: skip
    assert after["inference_count"] - before["inference_count"] == 1
    assert after["inference_stats"]["cache_hit"]["ns"] > 0


def test_what_makes_an_answer_differ_makes_a_question_of_its_own(server: ServerProcess) -> None:
    asked = [
        infer_json([6.0]),
        infer_json([7.0]),
        infer_json([6.0, 6.0]),
        infer_json([6.0, 6.0], shape=[2, 1]),
        infer_json([6.0], parameters={"mood": "good"}),
    ]
    assert len({count(server.infer("counting", body)) for body in asked}) == len(asked)


def test_all_protocols_share_the_answers(server: ServerProcess) -> None:
    data = np.array([[8.0, 8.0]], np.float32)
    seen = []
    for client, port in ((http_client, server.http_port), (grpc_client, server.grpc_port)):
        connection = client.InferenceServerClient(f"127.0.0.1:{port}")
        tensor = client.InferInput("IN", list(data.shape), "FP32")
        tensor.set_data_from_numpy(data)
        seen += [connection.infer("counting", [tensor]).as_numpy("OUT").tolist() for _ in range(2)]
        connection.close()
    assert seen == [seen[0]] * 4


def test_requested_outputs_get_what_they_ask_for(server: ServerProcess) -> None:
    def asked(*outputs: str) -> list[str]:
        inputs = [
            {"name": "A", "datatype": "BYTES", "shape": [1, 1], "data": ["text"]},
            {"name": "B", "datatype": "FP32", "shape": [1, 1], "data": [1.5]},
        ]
        body = {"inputs": inputs, "outputs": [{"name": name} for name in outputs]}
        reply = server.infer("pair", json.dumps(body).encode())
        assert reply.status == 200, reply.error
        return [output["name"] for output in reply.json["outputs"]]

    assert [asked(), asked("D"), asked("C", "D"), asked("D"), asked()] == [
        ["C", "D"], ["D"], ["C", "D"], ["D"], ["C", "D"],
    ]  # fmt: skip
    found = statistics(server, "pair")["inference_stats"]
    assert (found["cache_miss"]["count"], found["cache_hit"]["count"]) == (2, 3)


def test_errors_are_not_kept(server: ServerProcess) -> None:
    assert server.infer("failing", infer_json([1.0])).status == 500
    assert server.infer("failing", infer_json([1.0])).status == 200


def test_a_network_in_a_thread_is_cached_too(server: ServerProcess) -> None:
    replies = [server.infer("network", infer_json([1.0, 2.0])).body for _ in range(3)]
    assert replies == [replies[0]] * 3
    assert statistics(server, "network")["inference_stats"]["cache_hit"]["count"] == 2


def test_a_model_without_the_setting_is_never_cached(server: ServerProcess) -> None:
    replies = [count(server.infer("uncached", infer_json([5.0]))) for _ in range(3)]
    assert replies == [1, 2, 3]
    assert statistics(server, "uncached")["inference_stats"]["cache_miss"]["count"] == 0


def test_metrics_are_per_model_and_of_the_whole_cache(server: ServerProcess) -> None:
    server.infer("network", infer_json([9.0]))
    server.infer("network", infer_json([9.0]))
    found = server.metrics()
    of_model = statistics(server, "network")["inference_stats"]
    label = '{model="network",version="1"}'
    assert found[f"nv_cache_num_hits_per_model{label}"] == of_model["cache_hit"]["count"]
    assert found[f"nv_cache_num_misses_per_model{label}"] == of_model["cache_miss"]["count"]
    assert 'nv_cache_num_hits_per_model{model="uncached",version="1"}' not in found
    assert found["nv_cache_num_lookups"] == found["nv_cache_num_hits"] + found["nv_cache_num_misses"]
    assert 0 < found["nv_cache_util"] < 1


def test_a_model_that_is_loaded_anew_answers_anew(server: ServerProcess) -> None:
    def asked() -> float:
        return count(server.infer("counting", infer_json([11.0])))

    before = [asked(), asked()]
    source = server.repository / "counting" / "1" / "model.py"
    source.write_text(source.read_text().replace("* 0 + self.count", "* 0 - self.count"))
    assert server.ask("POST", "/v2/repository/models/counting/load", b"{}").status == 200
    assert before[0] == before[1] > 0
    assert [asked(), asked()] == [-1, -1]


def test_an_ensemble_is_cached_as_a_whole_until_one_of_its_models_changes(server: ServerProcess) -> None:
    def asked() -> float:
        return count(server.infer("whole", infer_json([12.0])))

    first = asked()
    assert [asked(), asked()] == [first, first]
    found = statistics(server, "whole")["inference_stats"]
    assert (found["cache_hit"]["count"], found["cache_miss"]["count"]) == (2, 1)
    assert statistics(server, "part")["execution_count"] == 1
    source = server.repository / "part" / "1" / "model.py"
    source.write_text(source.read_text().replace("* 0 + self.count", "* 0 - self.count"))
    assert server.ask("POST", "/v2/repository/models/part/load", b"{}").status == 200
    assert [asked(), asked()] == [-1, -1]


@needs_redis
def test_servers_share_what_is_in_redis_and_outlive_it(tmp_path: Path) -> None:
    write_python_model(tmp_path / "models", "echo", PLAIN)
    write_python_model(tmp_path / "models", "counting", COUNTING, extra=CACHED)
    with redis_server(tmp_path) as redis:
        flags = ["--cache-config", "redis,host=127.0.0.1", "--cache-config", f"redis,port={redis.port}"]
        with (
            ServerProcess(tmp_path / "models", *flags, log=tmp_path / "one.log") as one,
            ServerProcess(tmp_path / "models", *flags, log=tmp_path / "two.log") as two,
        ):
            first = one.infer("counting", infer_json([3.0]))
            wait_until(
                lambda: (
                    count(two.infer("counting", infer_json([3.0]))) == count(first)
                    and statistics(two, "counting")["inference_stats"]["cache_hit"]["count"] > 0
                ),
                30,
                "the other server finds it",
            )
            redis.stop()
            seen = {count(one.infer("counting", infer_json([3.0]))) for _ in range(3)}
            assert len(seen) == 3  # each is computed
            redis.start()
            wait_until(
                lambda: (
                    count(one.infer("counting", infer_json([4.0])))
                    == count(one.infer("counting", infer_json([4.0])))
                ),
                30,
                "Redis is used again",
            )
            one.assert_three_ok()
            two.assert_three_ok()


def test_a_redis_that_is_not_there_is_a_clear_error_at_the_start(tmp_path: Path) -> None:
    write_python_model(tmp_path / "models", "echo", PLAIN)
    with pytest.raises(AssertionError):
        ServerProcess(
            tmp_path / "models", "--cache-config", "redis,host=127.0.0.1", "--cache-config", "redis,port=1",
            log=tmp_path / "log",
        ).__enter__()  # fmt: skip
    said = (tmp_path / "log").read_text()
    assert "cannot reach the Redis server of the response cache at 127.0.0.1:1" in said
    assert "Traceback" not in said


def test_a_step_that_is_cached_counts_in_its_ensemble_too(server: ServerProcess) -> None:
    for _ in range(2):
        assert server.infer("parts", infer_json([6.5])).status == 200
    found = server.get("/v2/models/parts/stats").json["model_stats"][0]
    assert found["inference_stats"]["success"]["count"] == 2
    assert found["execution_count"] == 2
