"""Tests for ``tritium_worker.oneflow_module_host``, with a runtime that only pretends."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tritium_worker import oneflow_module_host
from tritium_worker.errors import HostError
from tritium_worker.oneflow_module_host import OneFlowModuleHost
from tritium_worker.request import InferenceRequest
from tritium_worker.tensor import Tensor


class FakeRunner:
    """total = a - b, and whatever the module is."""

    def __init__(self, runtime: Any, module: Any, outputs: Any, batching: bool) -> None:
        self._module = module

    def run(self, arrays: Any) -> list[Any]:
        if np.isnan(arrays[0]).any():
            raise SystemExit("not a number")
        return [arrays[0] - arrays[1] + self._module]


@pytest.fixture(autouse=True)
def _no_oneflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oneflow_module_host, "Runtime", lambda site_packages: None)
    monkeypatch.setattr(oneflow_module_host, "load_module", lambda runtime, path, builder: builder()())
    monkeypatch.setattr(oneflow_module_host, "ModuleRunner", FakeRunner)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


def host(directory: Path, code: str | None, max_batch_size: int = 4) -> OneFlowModuleHost:
    (directory / "m" / "1").mkdir(parents=True)
    if code is not None:
        (directory / "m" / "1" / "model.py").write_text(code)
    made = OneFlowModuleHost(str(directory / "m"), "1", "model", "m")
    made.load()
    tensors = {name: {"name": name, "data_type": "TYPE_FP32", "shape": [2]} for name in ("a", "b", "total")}
    settings = {"site_packages": "/site", "max_batch_size": max_batch_size,
                "inputs": [tensors["a"], tensors["b"]], "outputs": [tensors["total"]]}  # fmt: skip
    made.initialize({"oneflow": json.dumps(settings)})
    return made


def request(a: Any, b: Any) -> InferenceRequest:
    tensors = [Tensor("b", np.asarray(b, np.float32)), Tensor("a", np.asarray(a, np.float32))]
    return InferenceRequest(inputs=tensors, requested_output_names=["total"], model_name="m")


def answers(made: OneFlowModuleHost, *requests: InferenceRequest) -> list[Any]:
    tensors = [response.output_tensors()[0] for response in made.execute(list(requests)) if response]
    assert {tensor.name() for tensor in tensors} == {"total"}
    return [tensor.as_numpy().tolist() for tensor in tensors]


def test_requests_of_a_batch_are_joined_by_name_and_parted_again(tmp_path: Path) -> None:
    made = host(tmp_path, "def build_model(): return 1")
    requests = request([[1, 2]], [[1, 1]]), request([[3, 4], [5, 6]], [[1, 1], [2, 2]])
    assert answers(made, *requests) == [[[1, 2]], [[3, 4], [4, 5]]]
    assert made.finalize() is None


def test_without_batching_each_request_runs_by_itself(tmp_path: Path) -> None:
    made = host(tmp_path, "def build_model(): return 0", 0)
    assert answers(made, request([1, 2], [1, 1]), request([3, 4], [0, 0])) == [[0, 1], [3, 4]]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            None,
            "model 'm': the pickle holds a state dict, and there is no 'm/1/model.py' to build its module",
        ),
        ("build_model = 3", "model 'm': 'm/1/model.py' has no function build_model()"),
        ("import sys; sys.exit(3)", "OneFlow: SystemExit: 3"),
    ],
)
def test_a_model_py_that_builds_nothing_is_a_load_error(code: str | None, words: str, tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        host(tmp_path, code)
    assert caught.value.text.startswith(words)
    assert str(tmp_path) not in caught.value.text


def test_a_module_that_exits_fails_its_requests_and_not_the_worker(tmp_path: Path) -> None:
    made = host(tmp_path, "def build_model(): return 1")
    with pytest.raises(HostError, match="OneFlow: SystemExit: not a number"):
        answers(made, request([[float("nan"), 0]], [[0, 0]]))
    assert answers(made, request([[1, 2]], [[1, 1]])) == [[[1, 2]]]
