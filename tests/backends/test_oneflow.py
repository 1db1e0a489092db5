"""The oneflow backend on saved graphs: what it describes, what it refuses, and how batches run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx holds the translation")
pytest.importorskip("onnxruntime", reason="onnxruntime runs it")

from tests.unit.oneflow.texts import TEXT, write_graph
from tritium.backends import oneflow, openvino
from tritium.backends.api import InstanceContext, TensorModel
from tritium.backends.oneflow import OneFlowBackend
from tritium.backends.oneflow_xrt import check_xrt
from tritium.backends.saved_batch import SavedBatchModel
from tritium.cli.main import main
from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput, ModelParameter
from tritium.core.model_description import ModelDescription, TensorSpec
from tritium.environments.oneflow import VARIABLE
from tritium.errors import ConfigError, TritiumError, UnsupportedError

SAVED = Path(__file__).parents[1] / "oneflow" / "saved"
BACKEND = OneFlowBackend()
WEIGHTS = np.array([1, 2, 3], np.float32)
TWO_ROWS = TEXT.replace("1x3xf32", "2x3xf32").replace("shape = [1 : si64, 3", "shape = [2 : si64, 3")
MIXING = (
    TWO_ROWS.replace(
        '"oneflow.relu"(%output) {', '"oneflow.reduce_sum"(%output) {axis = [0], keepdims = true, '
    )
    .replace("-> tensor<2x3xf32>\n    %1", "-> tensor<1x3xf32>\n    %1")
    .replace("(tensor<2x3xf32>, tensor<3xf32>)", "(tensor<1x3xf32>, tensor<3xf32>)")
)


def model_dir(directory: Path, text: str = TEXT) -> Path:
    write_graph(directory, text, WEIGHTS.tobytes())
    return directory


def config(
    names: tuple[str, str] = ("INPUT_0", "OUTPUT_0"), dims: tuple[int, ...] = (3,), **rest: Any
) -> ModelConfig:
    parts = {"max_batch_size": 8, "backend": "oneflow", "default_model_filename": "model", **rest}
    return ModelConfig(
        name="m",
        input=(ModelInput(name=names[0], data_type="TYPE_FP32", dims=dims),),
        output=(ModelOutput(name=names[1], data_type="TYPE_FP32", dims=dims),),
        **parts,
    )


def load(directory: Path, wanted: ModelConfig) -> TensorModel:
    return BACKEND.open(InstanceContext(wanted, directory, 1, "m_0", 1))


def describe(directory: Path, **rest: Any) -> ModelDescription:
    return BACKEND.describe(ModelConfig(name="m", **rest), directory / "1" / "model")


def refused(directory: Path, wanted: ModelConfig, error_type: type[TritiumError] = ConfigError) -> str:
    """The text with which ``open`` and, as far as it can see it, ``describe`` refuse."""
    with pytest.raises(error_type) as caught:
        load(directory, wanted)
    with pytest.raises(error_type) as described:
        BACKEND.describe(wanted, directory / "1" / "model")
    assert str(described.value).replace("instance 'm'", "instance 'm_0'") == str(caught.value)
    assert str(directory) not in str(caught.value)
    return str(caught.value)


def test_a_graph_of_independent_rows_is_described_with_an_open_first_dimension(tmp_path: Path) -> None:
    specs = [TensorSpec(name, "TYPE_FP32", (-1, 3)) for name in ("INPUT_0", "OUTPUT_0")]
    assert describe(model_dir(tmp_path)) == ModelDescription((specs[0],), (specs[1],))


def test_a_graph_that_mixes_rows_has_its_saved_shape_unless_batches_are_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = model_dir(tmp_path, MIXING)
    assert describe(directory).inputs[0].dims == (2, 3)
    with caplog.at_level(logging.WARNING, "tritium.backends"):
        assert describe(directory, max_batch_size=4).inputs[0].dims == (-1, 3)
    assert (
        "model 'm' runs batches in parts of 2 rows, as its graph was saved: 1/model/model.mlir" in caplog.text
    )


def test_any_number_of_rows_runs(tmp_path: Path) -> None:
    model = load(model_dir(tmp_path), config())
    for rows in (1, 2, 5):
        x = np.linspace(-1, 1, 3 * rows, dtype=np.float32).reshape(rows, 3)
        result = model.run({"INPUT_0": x}, ["OUTPUT_0"])["OUTPUT_0"]
        np.testing.assert_array_equal(result, np.maximum(x, 0) + WEIGHTS)
    model.close()


def test_full_shapes_are_served_without_batching(tmp_path: Path) -> None:
    model = load(model_dir(tmp_path), config(dims=(1, 3), max_batch_size=0))
    x = np.ones((1, 3), np.float32)
    assert model.run({"INPUT_0": x}, ["OUTPUT_0"])["OUTPUT_0"].tolist() == [[2, 3, 4]]


def test_a_saved_number_of_rows_serves_any_number() -> None:
    class Counting:
        """Takes two rows only."""

        closed = False
        sizes: list[int]

        def __init__(self) -> None:
            self.sizes = []

        def run(self, inputs: Any, output_names: Any) -> Any:
            self.sizes.append(len(inputs["x"]))
            return {"y": inputs["x"] + inputs["x"].sum()}

        def close(self) -> None:
            self.closed = True

    inner = Counting()
    model = SavedBatchModel(inner, 2)
    assert model.run({"x": np.array([1, 2, 3])}, ["y"])["y"].tolist() == [4, 5, 6]
    assert model.run({"x": np.array([1, 2])}, ["y"])["y"].tolist() == [4, 5]
    assert inner.sizes == [2, 2, 2]
    model.close()
    assert inner.closed


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("x", "OUTPUT_0"), "input 'x': input name should start with INPUT_; the model has 1 inputs;"),
        (("INPUT_a", "OUTPUT_0"), "input name should follow naming convention: INPUT_<index>"),
        (("INPUT_00", "OUTPUT_0"), "input name should follow naming convention: INPUT_<index>"),
        (("INPUT_1", "OUTPUT_0"), "input index should be in range [0, input_size)"),
        (("INPUT_0", "y"), "output name should start with OUTPUT_"),
        (("INPUT_0", "OUTPUT_-1"), "output name should follow naming convention: OUTPUT_<index>"),
        (("INPUT_0", "OUTPUT_9"), "output index should be in the range [0, output_size)"),
    ],
)  # fmt: skip
def test_names_follow_oneflows_convention(names: tuple[str, str], words: str, tmp_path: Path) -> None:
    assert words in refused(model_dir(tmp_path), config(names))


def test_data_types_and_shapes_must_be_the_graphs(tmp_path: Path) -> None:
    directory = model_dir(tmp_path)
    with pytest.raises(ConfigError, match=r"1/model/model.mlir expects the shape \[ -1, 3 \]"):
        load(directory, config(dims=(4,)))
    wrong = ModelInput(name="INPUT_0", data_type="TYPE_INT32", dims=(3,))
    with pytest.raises(ConfigError, match="write data_type: TYPE_FP32"):
        load(
            directory, ModelConfig(name="m", max_batch_size=1, input=(wrong,), default_model_filename="model")
        )


def test_batches_need_a_batch_dimension(tmp_path: Path) -> None:
    flat = TEXT.replace("1x3xf32", "f32").replace("shape = [1 : si64, 3 : si64]", "shape = []")
    flat = flat.replace("(tensor<f32>, tensor<3xf32>)", "(tensor<f32>, tensor<f32>)").replace(
        "%output_0)", "%0)"
    )
    words = refused(model_dir(tmp_path, flat), config())
    assert "has no batch dimension: its inputs and outputs have no first dimension in common" in words
    assert "write max_batch_size: 0" in words


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("xrt", "gpu", "parameter 'xrt' is 'gpu' but must be one of openvino, tensorrt; write parameters"),
        ("xrt", "", "parameter 'xrt' is '(empty)' but must be one of openvino, tensorrt"),
    ],
)
def test_accelerators_that_are_not_there_are_refused(
    key: str, value: str, words: str, tmp_path: Path
) -> None:
    assert words in refused(model_dir(tmp_path), config(parameters={key: ModelParameter(value)}))


def test_tensorrt_needs_the_provider_of_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritium.backends.onnxruntime.available_providers", lambda: ["CPUExecutionProvider"])
    words = refused(model_dir(tmp_path), config(parameters={"xrt": ModelParameter("tensorrt")}))
    assert "needs onnxruntime's TensorrtExecutionProvider, but this onnxruntime has only CPUExecu" in words
    assert "install onnxruntime-gpu and TensorRT" in words


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_provider_that_does_not_start_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    providers = ["TensorrtExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("tritium.backends.onnxruntime.available_providers", lambda: providers)
    with pytest.raises(ConfigError, match="onnxruntime cannot start its TensorrtExecutionProvider for"):
        load(model_dir(tmp_path), config(parameters={"xrt": ModelParameter("tensorrt")}))


def test_openvino_is_asked_for_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritium.backends.openvino.is_installed", lambda: False)
    words = refused(
        model_dir(tmp_path), config(parameters={"xrt": ModelParameter("openvino")}), UnsupportedError
    )
    assert "needs the package openvino; install it: pip install 'tritium-server[openvino]'" in words


@pytest.mark.parametrize(("xrt", "engine"), [("openvino", "onnxruntime"), ("openvino", "oneflow")])
def test_an_engine_that_contradicts_xrt_is_refused(xrt: str, engine: str) -> None:
    with pytest.raises(ConfigError, match=f"is '{xrt}', which is not for engine '{engine}'; remove one"):
        check_xrt(config(parameters={"xrt": ModelParameter(xrt)}), engine)


def test_openvino_runs_any_number_of_rows(tmp_path: Path) -> None:
    if not openvino.is_installed():
        pytest.skip('OpenVINO is in the extra "openvino"')
    model = load(model_dir(tmp_path), config(parameters={"xrt": ModelParameter("openvino")}))
    for rows in (1, 2, 8):
        x = np.linspace(-1, 1, 3 * rows, dtype=np.float32).reshape(rows, 3)
        result = model.run({"INPUT_0": x}, ["OUTPUT_0"])["OUTPUT_0"]
        np.testing.assert_array_equal(result, np.maximum(x, 0) + WEIGHTS)
    model.close()


@pytest.mark.parametrize("engine", ["auto", "onnxruntime"])
def test_engines_that_are_there_run(engine: str, tmp_path: Path) -> None:
    settings = {"engine": ModelParameter(engine), "intra_op_thread_count": ModelParameter("1")}
    load(model_dir(tmp_path), config(parameters=settings)).close()


def test_all_operations_that_are_not_covered_are_listed(tmp_path: Path) -> None:
    text = TEXT.replace('"oneflow.relu"', '"oneflow.fft"').replace('"oneflow.broadcast_add"', '"oneflow.svd"')
    directory = model_dir(tmp_path, text)
    with pytest.raises(
        UnsupportedError, match=r"model.mlir: .* the operations fft \(1\), svd \(1\), first in line 5"
    ):
        load(directory, config())
    with pytest.raises(UnsupportedError, match="fft"):
        describe(directory)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    words = refused(tmp_path, config())
    assert "unable to find '1/model' for model instance 'm_0'; save the graph" in words
    directory = model_dir(tmp_path)
    (directory / "1" / "model" / "m.w" / "out").unlink()
    assert "the parameter file 1/model/m.w/out does not exist" in refused(directory, config())


def test_a_missing_package_is_named_with_the_extra_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oneflow, "find_spec", lambda package: None if package == "onnx" else package)
    words = refused(model_dir(tmp_path), config(), UnsupportedError)
    assert "onnx cannot be found; install it" in words or "and onnx cannot be found; install them" in words
    assert "tritium-server[oneflow]" in words


def test_tritium_check_knows_saved_graphs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    root = tmp_path / "models"
    model_dir(root / "good")
    model_dir(root / "bad", TEXT.replace("relu", "fft"))
    assert main(["check", str(root)]) == 1
    shown = capsys.readouterr().out
    assert "backend oneflow" in shown
    assert "the operations fft (1)" in shown
    assert "there is no such environment; type: tritium env oneflow" in shown
