"""ONNX models on OpenVINO: what it computes, and what it is not asked to."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx holds the models")

from onnx import TensorProto, helper

from tritium.backends.openvino import is_installed

if not is_installed():
    pytest.skip('OpenVINO is in the extra "openvino"', allow_module_level=True)

from tritium.backends.api import InstanceContext
from tritium.backends.openvino import OpenVinoModel, open_content
from tritium.core.model_config import (
    GraphOptimization,
    ModelConfig,
    ModelInput,
    ModelOutput,
    ModelParameter,
    Optimization,
)
from tritium.core.tensor import Array
from tritium.errors import ConfigError, InvalidArgumentError, ModelExecutionError

FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64


def onnx_model(kind: str, types: list[int], shape: list[Any], made: int, made_shape: list[Any]) -> bytes:
    """``y = kind(a, b, ...)``."""
    names = ["a", "b"][: len(types)]
    graph = helper.make_graph(
        [helper.make_node(kind, names, ["y"])],
        "g",
        [helper.make_tensor_value_info(name, type_, shape) for name, type_ in zip(names, types, strict=True)],
        [helper.make_tensor_value_info("y", made, made_shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def config(dims: tuple[int, ...], count: int = 2, **rest: Any) -> ModelConfig:
    """Of a model with ``count`` inputs and one output of these dims."""
    inputs = [ModelInput(name=name, dims=dims) for name in ("a", "b")[:count]]
    return ModelConfig(name="m", input=tuple(inputs), output=(ModelOutput(name="y", dims=dims),), **rest)


def load(content: bytes, wanted: ModelConfig) -> OpenVinoModel:
    return open_content(InstanceContext(wanted, Path("models/m"), 1, "m_0", 1), content, "1/model/model.mlir")


def add(type_: int = FLOAT, shape: list[Any] | None = None) -> bytes:
    shape = ["batch", 3] if shape is None else shape
    return onnx_model("Add", [type_, type_], shape, type_, shape)


@pytest.mark.parametrize("max_batch_size", [1, 8])
def test_batches_up_to_the_largest_run(max_batch_size: int) -> None:
    model = load(add(), config((3,), max_batch_size=max_batch_size))
    for rows in {1, max_batch_size}:
        a = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
        np.testing.assert_array_equal(model.run({"a": a, "b": a}, ["y"])["y"], a + a)
    model.close()


def test_outputs_belong_to_the_caller() -> None:
    model = load(add(), config((3,), max_batch_size=8))
    a = np.ones((2, 3), np.float32)
    first = model.run({"a": a, "b": a}, ["y"])["y"]
    model.run({"a": a * 5, "b": a}, ["y"])
    assert first.tolist() == [[2, 2, 2]] * 2
    model.close()
    with pytest.raises(ModelExecutionError, match="the model is closed"):
        model.run({"a": a, "b": a}, ["y"])


def test_views_of_a_received_body_are_taken_as_they_lie() -> None:
    body = b"\0" + np.array([[1, 2, 3]], np.float32).tobytes()  # read-only, and not aligned
    a = np.frombuffer(body, np.uint8)[1:].view(np.float32).reshape(1, 3)
    model = load(add(), config((3,), max_batch_size=1))
    assert model.run({"a": a, "b": a}, ["y"])["y"].tolist() == [[2, 4, 6]]


def test_scalars_are_one_element_to_clients() -> None:
    model = load(add(shape=[]), config((1,)))
    a = np.array([1.5], np.float32)
    assert model.run({"a": a, "b": a}, ["y"])["y"].tolist() == [3.0]


def test_instances_run_side_by_side() -> None:
    models = [load(add(), config((3,), max_batch_size=8)) for _ in range(2)]

    def ask(index: int) -> Array:
        a = np.full((4, 3), index, np.float32)
        return models[index].run({"a": a, "b": a}, ["y"])["y"]

    with ThreadPoolExecutor(2) as threads:
        for _ in range(20):
            for index, result in enumerate(threads.map(ask, range(2))):
                assert (result == 2 * index).all()


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_integers_that_do_not_fit_into_32_bits_are_refused(value: int) -> None:
    model = load(add(INT64), config((3,), max_batch_size=8))
    b = np.array([[1, 2, 3]], np.int64)
    with pytest.raises(InvalidArgumentError, match=f"input 'a': it holds {value}, and OpenVINO computes"):
        model.run({"a": np.array([[0, value, 1]], np.int64), "b": b}, ["y"])
    assert model.run({"a": b, "b": b}, ["y"])["y"].tolist() == [[2, 4, 6]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (add(DOUBLE), "1/model/model.mlir computes in FP64, where OpenVINO's results are wrong; remove"),
        (
            onnx_model("GatherND", [INT64, INT64], ["batch", 1], INT64, ["batch", 1]),
            "has gathers by indices of the request",
        ),
        (
            onnx_model("GatherElements", [INT64, INT64], ["batch", 3], INT64, ["batch", 3]),
            "has gathers by indices of the request",
        ),
        (b"no model", "OpenVINO cannot compile 1/model/model.mlir: "),
    ],
)
def test_models_that_it_would_run_wrongly_are_refused(content: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(content, config((3,), max_batch_size=8))


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (
            {"parameters": {key: ModelParameter("1") for key in ("execution_mode", "session.x")}},
            "the parameters execution_mode, session.x are for ONNX Runtime, but OpenVINO runs it; remove",
        ),
        ({"optimization": Optimization(graph=GraphOptimization(level=1))}, "optimization.graph.level is for"),
        ({"parameters": {"intra_op_thread_count": ModelParameter("x")}}, "'x' but must be a whole number"),
    ],
)
def test_settings_that_are_not_for_it_are_refused(rest: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(add(), config((3,), max_batch_size=8, **rest))


def test_the_thread_count_can_be_set() -> None:
    load(add(), config((3,), parameters={"intra_op_thread_count": ModelParameter("2")})).close()


def test_what_fails_in_a_run_is_the_models_error() -> None:
    model = load(add(), config((3,), max_batch_size=8))
    a = np.ones((2, 3), np.float32)
    with pytest.raises(ModelExecutionError, match="nope"):
        model.run({"a": a, "nope": a}, ["y"])
    assert model.run({"a": a, "b": a}, ["y"])["y"].tolist() == [[2, 2, 2]] * 2


def test_nothing_is_reported_to_anybody(tmp_path: Path) -> None:
    content = tmp_path / "model"
    content.write_bytes(add())
    program = """
import pathlib, sys
from tests.backends.test_openvino import config, load
load(pathlib.Path(sys.argv[1]).read_bytes(), config((3,), max_batch_size=8)).close()
assert "openvino" in sys.modules
print([name for name in sys.modules if name.startswith("openvino_telemetry")])
"""
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, str(content)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert list(home.iterdir()) == []
