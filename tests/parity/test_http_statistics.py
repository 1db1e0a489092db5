"""What is counted, and how it is shown (WIRE 13 and 14)."""

# ruff: noqa: E501 - recorded texts stay whole

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.harness.http import Connection, infer_json, request
from tests.harness.models import ECHO, FAILING, SLOW, write_python_model
from tests.harness.server import ServerProcess

PARTS = [
    "success",
    "fail",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
    "cache_hit",
    "cache_miss",
]


@pytest.fixture
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of its own, whose counts begin at 0."""
    root = tmp_path_factory.mktemp("statistics")
    write_python_model(root / "models", "echo", ECHO)
    write_python_model(root / "models", "err", FAILING)
    batching = "dynamic_batching { preferred_batch_size: 4 max_queue_delay_microseconds: 2000000 }"
    write_python_model(root / "models", "batched", ECHO, extra=batching)
    write_python_model(root / "models", "slow", SLOW)
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running


def statistics(server: ServerProcess, model: str) -> dict[str, Any]:
    reply = server.get(f"/v2/models/{model}/stats")
    assert reply.headers["content-type"] == "application/json"
    (found,) = reply.json["model_stats"]
    assert isinstance(found, dict)
    return found


def test_statistics_of_a_model_that_was_never_used(counted: ServerProcess) -> None:
    nothing = {"count": 0, "ns": 0}
    assert statistics(counted, "echo") == {
        "name": "echo", "version": "1", "last_inference": 0, "inference_count": 0, "execution_count": 0,
        "inference_stats": dict.fromkeys(PARTS, nothing), "response_stats": {}, "batch_stats": [], "memory_usage": [],
    }  # fmt: skip
    assert list(statistics(counted, "echo")["inference_stats"]) == PARTS


def test_statistics_of_successes(counted: ServerProcess) -> None:
    before_ms = time.time_ns() // 1_000_000
    for rows in (1, 1, 3):
        assert counted.infer("echo", infer_json([1.0] * rows, shape=[rows, 1])).status == 200
    found = statistics(counted, "echo")
    assert before_ms <= found["last_inference"] <= time.time_ns() // 1_000_000
    assert (found["inference_count"], found["execution_count"]) == (5, 3)
    parts = found["inference_stats"]
    assert {name: part["count"] for name, part in parts.items()} == {
        "success": 3, "fail": 0, "queue": 3, "compute_input": 3, "compute_infer": 3, "compute_output": 3, "cache_hit": 0, "cache_miss": 0,
    }  # fmt: skip
    assert parts["success"]["ns"] >= sum(
        parts[name]["ns"] for name in ("compute_input", "compute_infer", "compute_output")
    )
    assert [(entry["batch_size"], entry["compute_infer"]["count"]) for entry in found["batch_stats"]] == [
        (1, 2),
        (3, 1),
    ]


def test_statistics_of_a_batch_count_once_per_request(counted: ServerProcess) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert [
            r.status for r in pool.map(lambda _: counted.infer("batched", infer_json([1])), range(4))
        ] == [200] * 4
    found = statistics(counted, "batched")
    assert (found["inference_count"], found["execution_count"]) == (4, 1)
    (batch,) = found["batch_stats"]
    assert (batch["batch_size"], batch["compute_infer"]["count"]) == (4, 1)
    assert found["inference_stats"]["compute_infer"] == {"count": 4, "ns": 4 * batch["compute_infer"]["ns"]}


def test_statistics_of_failures(counted: ServerProcess) -> None:
    """The model's errors count, the client's mistakes do not."""
    for body in (
        infer_json([-1]),
        infer_json([3]),
        b"{",
        infer_json([1], shape=[9, 1]),
        infer_json([1], name="X"),
    ):
        assert counted.infer("err", body).status >= 400
    found = statistics(counted, "err")
    assert (found["inference_count"], found["execution_count"]) == (0, 2)
    assert found["inference_stats"]["fail"]["count"] == 2
    assert found["inference_stats"]["success"]["count"] == 0
    metrics = counted.metrics()
    failures = {r: metrics[f'nv_inference_request_failure{{model="err",reason="{r}",version="1"}}']
                for r in ("REJECTED", "OTHER", "BACKEND", "CANCELED")}  # fmt: skip
    assert failures == {"REJECTED": 0, "OTHER": 0, "BACKEND": 2, "CANCELED": 0}


def test_statistics_of_all_models_are_in_order(counted: ServerProcess) -> None:
    found = counted.get("/v2/models/stats").json["model_stats"]
    assert [entry["name"] for entry in found] == ["batched", "echo", "err", "slow"]


FAMILIES = {
    "nv_inference_request_success": ("counter", "Number of successful inference requests, all batch sizes"),
    "nv_inference_request_failure": ("counter", "Number of failed inference requests, all batch sizes"),
    "nv_inference_count": ("counter", "Number of inferences performed (does not include cached requests)"),
    "nv_inference_exec_count": ("counter", "Number of model executions performed (does not include cached requests)"),
    "nv_inference_request_duration_us": ("counter", "Cumulative inference request duration in microseconds (includes cached requests)"),
    "nv_inference_queue_duration_us": ("counter", "Cumulative inference queuing duration in microseconds (includes cached requests)"),
    "nv_inference_compute_input_duration_us": ("counter", "Cumulative compute input duration in microseconds (does not include cached requests)"),
    "nv_inference_compute_infer_duration_us": ("counter", "Cumulative compute inference duration in microseconds (does not include cached requests)"),
    "nv_inference_compute_output_duration_us": ("counter", "Cumulative inference compute output duration in microseconds (does not include cached requests)"),
    "nv_inference_pending_request_count": ("gauge", "Instantaneous number of pending requests awaiting execution per-model."),
    "nv_cpu_utilization": ("gauge", "CPU utilization rate [0.0 - 1.0]"),
    "nv_cpu_memory_total_bytes": ("gauge", "CPU total memory (RAM), in bytes"),
    "nv_cpu_memory_used_bytes": ("gauge", "CPU used memory (RAM), in bytes"),
}  # fmt: skip


def test_metrics_have_tritons_families_and_texts(counted: ServerProcess) -> None:
    counted.metrics()
    time.sleep(0.05)  # processors are measured between two readings
    with Connection(counted.metrics_port) as connection:
        connection.send(request("GET", "/metrics"))
        reply = connection.reply()
    assert reply is not None
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    text = reply.body.decode()
    for name, (kind, help_text) in FAMILIES.items():
        assert f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n{name}" in text
    for line in text.splitlines():
        assert re.fullmatch(
            r'# (HELP|TYPE) \S+ .+|\w+(\{(\w+="[^"]*",?)+\})? -?\d+(\.\d+)?(e-?\d+)?', line
        ), line


def test_metrics_count_as_statistics_do(counted: ServerProcess) -> None:
    for rows in (1, 3):
        counted.infer("echo", infer_json([1.0] * rows, shape=[rows, 1]))
    metrics, found = counted.metrics(), statistics(counted, "echo")
    where = '{model="echo",version="1"}'
    assert metrics["nv_inference_request_success" + where] == 2
    assert metrics["nv_inference_count" + where] == 4
    assert metrics["nv_inference_exec_count" + where] == 2
    assert (
        metrics["nv_inference_request_duration_us" + where]
        == found["inference_stats"]["success"]["ns"] // 1000
    )
    assert metrics["nv_inference_pending_request_count" + where] == 0
