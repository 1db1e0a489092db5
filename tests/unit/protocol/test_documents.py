from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from tests.unit.builders import echo_config, model, model_input, model_output, request
from tritium.core.interfaces import Batch, Outcome
from tritium.core.model_config import ModelConfig, TensorReshape
from tritium.core.response import InferenceResponse
from tritium.core.statistics import BatchReleases, ReleaseReason
from tritium.protocol import documents
from tritium.server import InferenceServer


@dataclass
class Named:
    """As much of a server as its metadata shows."""

    id: str = "triton"
    version: str = "1.2.3"
    extensions: tuple[str, ...] = ("a", "b")


def test_the_server_says_its_name_version_and_extensions() -> None:
    assert documents.server_metadata(cast(InferenceServer, Named())) == {
        "name": "triton",
        "version": "1.2.3",
        "extensions": ["a", "b"],
    }


def test_a_model_says_what_it_takes_and_gives() -> None:
    config = echo_config(
        "m", input=(model_input("S", "STRING", (2, -1)),), output=(model_output("O", "INT8", (1,)),)
    )
    assert documents.model_metadata(model(config), [0, 2, 10]) == {
        "name": "m",
        "versions": ["0", "2", "10"],
        "platform": "python",
        "inputs": [{"name": "S", "datatype": "BYTES", "shape": [-1, 2, -1]}],
        "outputs": [{"name": "O", "datatype": "INT8", "shape": [-1, 1]}],
    }


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (echo_config(max_batch_size=0, input=(model_input(dims=(3,)),)), [3]),
        (echo_config(input=(model_input(dims=(3,), reshape=TensorReshape(())),)), [-1, 3]),
    ],
)
def test_shapes_are_those_that_clients_send(config: ModelConfig, shape: list[int]) -> None:
    assert documents.model_metadata(model(config), [1])["inputs"][0]["shape"] == shape


def test_a_platform_goes_before_a_backend() -> None:
    config = ModelConfig(name="m", platform="onnxruntime_onnx", backend="onnxruntime")
    assert documents.model_metadata(model(config), [1])["platform"] == "onnxruntime_onnx"


def duration(count: int, ns: int) -> dict[str, int]:
    return {"count": count, "ns": ns}


def test_a_model_that_is_batched_dynamically_says_why_its_batches_left() -> None:
    batched = model()
    batched.statistics.releases = BatchReleases()
    batched.statistics.releases.counts[ReleaseReason.DELAY] = 2
    (entry,) = documents.statistics([batched])["model_stats"]
    assert entry["batch_release"] == {"full": 0, "preferred": 0, "delay": 2, "no_more": 0}


def test_statistics_have_tritons_keys_in_tritons_order() -> None:
    counted = model(echo_config("m"), version=3)
    batch = Batch([request(rows=2)], 2, 10, lambda batch, outcome: None)
    outcome = Outcome([InferenceResponse()], 1, 2, 3)
    counted.statistics.record_batch(batch, outcome, now_ns=50, wall_ms=9)
    (entry,) = documents.statistics([counted])["model_stats"]
    none = duration(0, 0)
    expected: dict[str, Any] = {
        "name": "m",
        "version": "3",
        "last_inference": 9,
        "inference_count": 2,
        "execution_count": 1,
        "inference_stats": {
            "success": duration(1, 50),
            "fail": none,
            "queue": duration(1, 10),
            "compute_input": duration(1, 1),
            "compute_infer": duration(1, 2),
            "compute_output": duration(1, 3),
            "cache_hit": none,
            "cache_miss": none,
        },
        "response_stats": {},
        "batch_stats": [
            {
                "batch_size": 2,
                "compute_input": duration(1, 1),
                "compute_infer": duration(1, 2),
                "compute_output": duration(1, 3),
            }
        ],
        "memory_usage": [],
    }
    assert entry == expected
    assert list(entry) == list(expected)
    assert list(entry["inference_stats"]) == list(expected["inference_stats"])


def test_batch_sizes_ascend() -> None:
    counted = model()
    for rows in (4, 1, 2):
        batch = Batch([request(rows=rows)], rows, 0, lambda batch, outcome: None)
        counted.statistics.record_batch(batch, Outcome([InferenceResponse()]), now_ns=0, wall_ms=0)
    (entry,) = documents.statistics([counted])["model_stats"]
    assert [size["batch_size"] for size in entry["batch_stats"]] == [1, 2, 4]
