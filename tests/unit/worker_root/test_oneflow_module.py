"""Tests for ``tritium_worker.oneflow_module``, with a OneFlow that only pretends."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tritium_worker.oneflow_module import ModelError, ModuleRunner, load_module, zeros

OUTPUT = {"name": "OUTPUT_0", "data_type": "TYPE_FP32", "shape": [2]}


class FakeTensor:
    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def numpy(self) -> Any:
        return self.array


class FakeModule:
    def __init__(self, forward: Any = None) -> None:
        self._forward = forward
        self.loaded: Any = None

    def load_state_dict(self, state: Any) -> None:
        self.loaded = state

    def to(self, device: str) -> FakeModule:
        return self

    def eval(self) -> FakeModule:
        return self

    def __call__(self, *tensors: FakeTensor) -> Any:
        return self._forward(*(tensor.array for tensor in tensors))


def runtime(saved: Any = None) -> Any:
    def load(directory: str, **how: Any) -> Any:
        if isinstance(saved, Exception):
            raise saved
        return saved

    flow = SimpleNamespace(
        load=load,
        nn=SimpleNamespace(Module=FakeModule, Graph=object),
        Tensor=FakeTensor,
        no_grad=contextlib.nullcontext,
    )
    return SimpleNamespace(flow=flow, tensor=lambda array, dtype: FakeTensor(array))


def no_builder() -> Any:
    raise AssertionError("model.py is for state dicts")


def runner(forward: Any, *outputs: dict[str, Any], batching: bool = True) -> ModuleRunner:
    return ModuleRunner(runtime(), FakeModule(forward), outputs or (OUTPUT,), batching)


def test_a_module_is_taken_as_it_is() -> None:
    module = FakeModule()
    assert load_module(runtime(module), "model", no_builder) is module


def test_a_state_dict_is_loaded_into_what_model_py_builds() -> None:
    module, state = FakeModule(), {"weight": FakeTensor([1])}
    assert load_module(runtime(state), "model", lambda: lambda: module) is module
    assert module.loaded is state


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({"graph_name": "g"}, r"'graph_name' \(str\); if it .*only nn.Graph.load_runtime_state_dict reads"),
        ([1], "the pickle holds list, expected an oneflow.nn.Module or a state dict; if"),
        (AttributeError("Can't get attribute 'Net'"), "class of the saved module is not found: Can't get"),
        ({}, "build_model of model.py returned int, expected an oneflow.nn.Module"),
    ],
)
def test_anything_else_is_refused_with_what_to_save(saved: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_module(runtime(saved), "model", lambda: lambda: 1)


def test_results_are_copies_in_the_order_in_which_they_are_nested() -> None:
    kept = np.ones((3, 2), np.float32)
    second = {**OUTPUT, "name": "OUTPUT_1", "shape": []}
    made = runner(
        lambda x: {"b": FakeTensor(kept), "a": [FakeTensor(x.sum(1))]}, OUTPUT, second, batching=True
    )
    first, sums = made.run([np.ones((3, 2), np.float32)])
    assert first.tolist() == kept.tolist() and not np.shares_memory(first, kept)
    assert sums.tolist() == [2, 2, 2]


def test_a_scalar_is_one_number_to_clients() -> None:
    made = runner(lambda x: FakeTensor(np.float32(7)), {**OUTPUT, "shape": [1]}, batching=False)
    assert made.run([np.zeros(2, np.float32)])[0].tolist() == [7]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (
            FakeTensor(np.zeros((1, 2), np.float32)),
            r"of shape \[1, 2\], but config.pbtxt says float32 and the",
        ),
        (FakeTensor(np.zeros((3, 2))), "'OUTPUT_0' is float64 of shape"),
        ((FakeTensor([1]), FakeTensor([1])), "returned 2 tensors, but config.pbtxt has 1 outputs"),
        (3, "returned int, expected tensors"),
    ],
)
def test_results_that_are_not_those_of_the_configuration_are_an_error(result: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        runner(lambda x: result).run([np.zeros((3, 2), np.float32)])


def test_the_first_run_is_of_zeros_where_all_shapes_are_fixed() -> None:
    (array,) = zeros([{"data_type": "TYPE_INT64", "shape": [2]}], True)
    assert (array.shape, array.dtype) == ((1, 2), np.int64)
    assert zeros([{"data_type": "TYPE_INT64", "shape": [-1]}], True) is None
