"""Metrics that model.py files define."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.http import infer_json
from tests.harness.models import PLAIN, write_python_model
from tests.harness.pipeline_models import COUNTING_METRICS
from tests.harness.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("metrics")
    write_python_model(root / "models", "echo", PLAIN)
    write_python_model(root / "models", "counting", COUNTING_METRICS, extra="instance_group { count: 2 }")
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running
        running.assert_three_ok()


def test_instances_share_a_metric_and_prometheus_sees_it(server: ServerProcess) -> None:
    seen = [server.infer("counting", infer_json([1.0] * (i + 1))) for i in range(12)]
    assert [reply.json["outputs"][0]["data"][0] for reply in seen] == [i + 1 for i in range(12)]
    found = server.metrics()
    assert found['requests_seen{model="counting",quoted="a\\"b"}'] == 12
    assert found['request_size_bucket{le="1"}'] == 1
    assert found['request_size_bucket{le="10"}'] == 10
    assert found['request_size_bucket{le="+Inf"}'] == found["request_size_count"] == 12
    assert found["request_size_sum"] == 78


def test_a_family_of_another_kind_fails_in_the_model_with_tritons_text(server: ServerProcess) -> None:
    reply = server.infer("counting", infer_json([-1]))
    assert reply.status == 500
    assert "TritonModelException: Error when creating MetricFamily: Failed to process" in reply.error
    assert "message: Family name already exists with different type" in reply.error


def test_a_counter_that_falls_is_an_error_of_its_request_alone(server: ServerProcess) -> None:
    reply = server.infer("counting", infer_json([-2]))
    assert reply.status == 500
    assert "Metric 'requests_seen': a counter cannot be decremented, got -1" in reply.error
