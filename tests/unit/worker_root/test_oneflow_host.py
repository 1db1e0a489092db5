"""Tests for ``tritium_worker.oneflow_host``, with a runtime that only pretends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tritium_worker import oneflow_host
from tritium_worker.errors import HostError
from tritium_worker.oneflow_host import OneFlowHost
from tritium_worker.request import InferenceRequest
from tritium_worker.tensor import Tensor


class FakeCompiled:
    """y = x + 1, in memory that is used again."""

    activation_bytes = 0

    def __init__(self, shape: Any) -> None:
        self._memory = np.zeros(shape, np.float32)

    def run(self, arrays: Any) -> list[Any]:
        if np.isnan(arrays[0]).any():
            raise RuntimeError('\n  File "/ci/build/x.cpp", line 3\n\x1b[31mError\x1b[0m: not a number\n')
        self._memory[...] = arrays[0] + 1
        return [self._memory]


class FakeSaved:
    """A graph of one input and one output; its shape is in the file."""

    def __init__(self, runtime: Any, directory: str, inputs: list[str], outputs: list[str]) -> None:
        shape = json.loads((Path(directory) / "shape").read_text())
        self.inputs = [(tuple(shape), "float32")]
        self.rows = shape[0] if shape else 0
        self._shape = shape

    def compile(self, rows: int) -> FakeCompiled:
        return FakeCompiled([rows, *self._shape[1:]] if self._shape else [])


@pytest.fixture(autouse=True)
def _no_oneflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oneflow_host, "Runtime", lambda site_packages: None)
    monkeypatch.setattr(oneflow_host, "SavedGraph", FakeSaved)


def host(directory: Path, shape: list[int], max_batch_size: int, cores: str = "") -> OneFlowHost:
    path = directory / "m" / "1" / "model"
    path.mkdir(parents=True)
    (path / "shape").write_text(json.dumps(shape))
    made = OneFlowHost(str(directory / "m"), "1", "model", "m")
    made.load()
    made.initialize(arguments(max_batch_size, cores))
    return made


def arguments(max_batch_size: int, cores: str = "") -> dict[str, str]:
    settings = {"site_packages": "/site", "memory_mb": 10, "max_batch_size": max_batch_size,
                "inputs": ["x"], "outputs": ["y"]}  # fmt: skip
    return {"oneflow": json.dumps(settings), "cores": cores}


def request(array: Any) -> InferenceRequest:
    tensor = Tensor("INPUT_0", np.asarray(array, np.float32))
    return InferenceRequest(inputs=[tensor], requested_output_names=["OUTPUT_0"], model_name="m")


def answers(made: OneFlowHost, *arrays: Any) -> list[Any]:
    responses = made.execute([request(array) for array in arrays])
    return [response.output_tensors()[0].as_numpy().tolist() for response in responses if response]


def test_requests_of_a_batch_are_joined_and_parted_again(tmp_path: Path) -> None:
    made = host(tmp_path, [1, 2], 8)
    assert answers(made, [[1, 2]], [[3, 4], [5, 6]]) == [[[2, 3]], [[4, 5], [6, 7]]]
    assert made.finalize() is None


def test_without_batching_each_request_runs_by_itself_and_keeps_its_answer(tmp_path: Path) -> None:
    made = host(tmp_path, [2], 0)
    assert answers(made, [1, 2], [3, 4]) == [[2, 3], [4, 5]]


def test_a_scalar_is_one_number_to_clients(tmp_path: Path) -> None:
    assert answers(host(tmp_path, [], 0), [1]) == [[2]]


def test_an_error_of_the_runtime_says_what_is_wrong_and_no_more(tmp_path: Path) -> None:
    made = host(tmp_path, [1, 2], 8)
    with pytest.raises(HostError) as caught:
        answers(made, [[1, float("nan")]])
    assert caught.value.text == "OneFlow: RuntimeError: Error: not a number"
    assert answers(made, [[1, 2]]) == [[[2, 3]]]


def test_an_error_at_load_is_one_of_the_model(tmp_path: Path) -> None:
    made = OneFlowHost(str(tmp_path / "m"), "1", "model", "m")
    with pytest.raises(HostError, match="OneFlow: FileNotFoundError") as caught:
        made.initialize(arguments(8))
    assert str(tmp_path) not in caught.value.text
    assert made.autocomplete({"name": "m"}) == {"name": "m"}


def test_cores_are_chosen_before_anything_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[Any] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: chosen.append(cores), raising=False)
    host(tmp_path, [1, 2], 1, cores="1,3")
    assert chosen == [{1, 3}]
