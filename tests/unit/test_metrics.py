from __future__ import annotations

import builtins
import io
from typing import Any

import pytest

from tests.unit.builders import FakeScheduler, echo_config, model, request
from tritium.core.interfaces import Batch, Outcome, WorkerUsage
from tritium.core.response import InferenceResponse
from tritium.core.statistics import BatchReleases, FailureReason, ReleaseReason
from tritium.metrics import CpuMetrics, prometheus_text

NAMES = [
    "nv_inference_request_success",
    "nv_inference_request_failure",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_request_duration_us",
    "nv_inference_queue_duration_us",
    "nv_inference_compute_input_duration_us",
    "nv_inference_compute_infer_duration_us",
    "nv_inference_compute_output_duration_us",
    "nv_inference_pending_request_count",
    "tritium_batch_release_total",
    "tritium_worker_restarts_total",
    "tritium_worker_cpu_seconds_total",
    "tritium_worker_resident_memory_bytes",
]


def lines(*args: Any, **kwargs: Any) -> list[str]:
    text = prometheus_text(*args, **kwargs).decode()
    assert text.endswith("\n")
    return text.splitlines()


def test_every_family_has_its_help_and_type_even_without_models() -> None:
    found = lines([])
    assert [line.split()[2] for line in found if line.startswith("# HELP")] == NAMES
    assert [line.split()[2] for line in found if line.startswith("# TYPE")] == NAMES
    assert found[:2] == [
        "# HELP nv_inference_request_success Number of successful inference requests, all batch sizes",
        "# TYPE nv_inference_request_success counter",
    ]


def test_a_model_that_never_ran_has_zeros_and_all_reasons() -> None:
    found = lines([model(echo_config("echo"))])
    assert 'nv_inference_request_success{model="echo",version="1"} 0' in found
    for reason in ("REJECTED", "CANCELED", "BACKEND", "OTHER"):
        assert f'nv_inference_request_failure{{model="echo",reason="{reason}",version="1"}} 0' in found


def test_durations_are_whole_microseconds() -> None:
    counted = model(echo_config("m"), version=3)
    batch = Batch([request(rows=2, arrival_ns=1_000)], 2, 3_999, lambda batch, outcome: None)
    outcome = Outcome([InferenceResponse()], 1_999, 20_000, 300_000)
    counted.statistics.record_batch(batch, outcome, now_ns=501_000, wall_ms=0)
    counted.statistics.record_failure(FailureReason.CANCELED, 5)
    values = {line.split("{")[0]: line.split()[-1] for line in lines([counted]) if "_failure" not in line}
    assert [values[name] for name in NAMES if name.startswith("nv_") and "_failure" not in name] == [
        "1", "2", "1", "500", "2", "1", "20", "300", "0",
    ]  # fmt: skip
    assert 'nv_inference_request_failure{model="m",reason="CANCELED",version="3"} 1' in lines([counted])


def test_why_batches_left_is_shown_of_models_that_are_batched_dynamically() -> None:
    batched, single = model(echo_config("batched")), model(echo_config("single"))
    batched.statistics.releases = BatchReleases()
    batched.statistics.releases.counts[ReleaseReason.PREFERRED] = 3
    found = [line for line in lines([batched, single]) if line.startswith("tritium_batch_release_total")]
    assert found == [
        f'tritium_batch_release_total{{model="batched",reason="{reason}",version="1"}} {count}'
        for reason, count in (("full", 0), ("preferred", 3), ("delay", 0), ("no_more", 0))
    ]


def test_requests_that_wait_are_a_gauge() -> None:
    scheduler = FakeScheduler()
    scheduler.pending = 5
    found = lines([model(echo_config("m"), scheduler=scheduler)])
    assert "# TYPE nv_inference_pending_request_count gauge" in found
    assert 'nv_inference_pending_request_count{model="m",version="1"} 5' in found


def test_names_that_prometheus_could_misread_are_escaped() -> None:
    assert any('model="a\\"b\\\\c\\n"' in line for line in lines([model(echo_config('a"b\\c\n'))]))


class Proc:
    """The files under /proc, as they are next time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: dict[str, str] = {}
        real = builtins.open

        def fake(path: Any, *args: Any, **kwargs: Any) -> Any:
            if not str(path).startswith("/proc/"):
                return real(path, *args, **kwargs)
            if path not in self.files:
                raise FileNotFoundError(path)
            return io.StringIO(self.files[path])

        monkeypatch.setattr(builtins, "open", fake)


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> Proc:
    return Proc(monkeypatch)


def values(metrics: CpuMetrics) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in (line.split() for line in metrics.lines() if not line.startswith("#"))
    }


def test_utilisation_is_of_the_time_since_the_last_look(proc: Proc) -> None:
    proc.files["/proc/stat"] = "cpu 10 0 10 60 20 0 0\n"
    metrics = CpuMetrics()
    proc.files["/proc/stat"] = "cpu 30 0 20 90 30 0 0\n"
    assert values(metrics) == {"nv_cpu_utilization": pytest.approx(30 / 70)}


def test_no_time_has_no_utilisation(proc: Proc) -> None:
    proc.files["/proc/stat"] = "cpu 10 0 10 60 20 0 0\n"
    assert values(CpuMetrics()) == {}


def test_memory_is_total_and_used(proc: Proc) -> None:
    proc.files["/proc/meminfo"] = "MemTotal: 9 kB\nMemAvailable: 1 kB\n"
    found = values(CpuMetrics())
    assert found["nv_cpu_memory_total_bytes"] - found["nv_cpu_memory_used_bytes"] == 1024


@pytest.mark.parametrize("files", [{}, {"/proc/stat": "cpu x\n", "/proc/meminfo": "MemTotal: 9 kB\n"}])
def test_a_machine_without_these_files_has_no_such_metrics(proc: Proc, files: dict[str, str]) -> None:
    proc.files = files
    assert CpuMetrics().lines() == []


def test_metrics_of_the_machine_follow_those_of_the_models(proc: Proc) -> None:
    proc.files["/proc/meminfo"] = "MemAvailable: 1 kB\n"
    found = lines([], cpu=CpuMetrics())
    assert "# TYPE nv_cpu_memory_used_bytes gauge" in found
    assert len(lines([])) < len(found)


def test_workers_have_restarts_by_reason_and_what_they_use() -> None:
    hosted = model(echo_config("m"))
    hosted.restarts = lambda: {"exit": 2, "oom": 0}
    hosted.usage = lambda: [WorkerUsage("m_0", 1.5, 4096)]
    found = lines([hosted, model(echo_config("in_threads"))])
    assert [line for line in found if line.startswith("tritium_")] == [
        'tritium_worker_restarts_total{model="m",reason="exit",version="1"} 2',
        'tritium_worker_restarts_total{model="m",reason="oom",version="1"} 0',
        'tritium_worker_cpu_seconds_total{instance="m_0",model="m",version="1"} 1.50',
        'tritium_worker_resident_memory_bytes{instance="m_0",model="m",version="1"} 4096',
    ]
