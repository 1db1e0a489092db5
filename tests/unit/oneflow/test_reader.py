from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.unit.oneflow.texts import TEXT, write_graph
from tritium.core.tensor import DataType
from tritium.errors import ConfigError
from tritium.oneflow import reader
from tritium.oneflow.reader import read_graph

SAVED = Path(__file__).parents[2] / "oneflow" / "saved"
WHERE = "1/model/model.mlir, line 4, op 'm.w' (variable)"


def error_of(model: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_graph(model)
    assert str(model.parent) not in str(caught.value)
    return str(caught.value)


def test_parameters_are_mapped_from_their_files(tmp_path: Path) -> None:
    graph = read_graph(write_graph(tmp_path, weights=np.array([1, 2, 3], "<f4").tobytes()))
    array = graph.parameters[0].array()
    assert isinstance(array, np.memmap)
    assert array.tolist() == [1, 2, 3]
    assert not array.flags.writeable
    assert [op.kind for op in graph.operations] == ["relu", "broadcast_add"]


def test_parameters_without_elements_or_dimensions_can_be_read(tmp_path: Path) -> None:
    for number, (shape, type_, size) in enumerate([("", "f32", 4), ("0 : si64", "0xf32", 0)]):
        text = TEXT.replace("shape = [3 : si64], trainable", f"shape = [{shape}], trainable")
        text = text.replace("() -> tensor<3xf32>", f"() -> tensor<{type_}>").replace("%output_0)", "%0)")
        text = text.replace("(tensor<1x3xf32>, tensor<3xf32>)", "(tensor<1x3xf32>, tensor<1x3xf32>)")
        graph = read_graph(write_graph(tmp_path / str(number), text, bytes(size)))
        assert graph.parameters[0].array().nbytes == size


def test_inputs_and_outputs_are_in_the_order_of_the_call() -> None:
    graph = read_graph(SAVED / "many_tensors" / "model")
    assert [port.name.partition("put.")[2] for port in graph.inputs] == ["0.0_2", "0.1_3", "0.2_4"]
    positions = [re.findall(r"put\.([\d.]+)_", port.name)[0] for port in graph.outputs]
    assert positions == ["0.0.0", "0.0.1.0", "0.0.1.1.0", "0.0.1.1.1.0", "0.0.2", "0.0.3"]
    assert [port.type.shape[1] for port in graph.outputs] == [4, 3, 4, 4, 4, 12]


def test_bool_is_told_from_int8() -> None:
    graph = read_graph(SAVED / "types" / "model")
    types = ["FP32", "FP64", "FP16", "INT8", "INT32", "INT64", "UINT8", "BOOL"]
    assert [port.type.element.value for port in graph.inputs] == types
    assert [port.type.element.value for port in graph.outputs] == types
    assert graph.inputs[-1].type.element is DataType.BOOL


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    assert "1/model/model.mlir does not exist" in error_of(tmp_path / "1" / "model")
    model = write_graph(tmp_path)
    (model / "m.w" / "out").write_bytes(bytes(11))
    short = f"{WHERE}: the parameter file 1/model/m.w/out has 11 bytes but FP32 of shape [3] takes 12"
    assert short in error_of(model)
    (model / "m.w" / "out").unlink()
    assert f"{WHERE}: the parameter file 1/model/m.w/out does not exist" in error_of(model)
    os.mkfifo(model / "m.w" / "out")
    assert "does not exist" in error_of(model)
    (model / "model.mlir").write_bytes(b"module {\n\xff")
    assert "1/model/model.mlir, line 2: byte 0xff is not UTF-8 text" in error_of(model)
    (model / "model.mlir").unlink()
    os.mkfifo(model / "model.mlir")
    assert "1/model/model.mlir does not exist or is no file" in error_of(model)


def test_a_text_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 100)
    assert "has more than 100 bytes" in error_of(write_graph(tmp_path))


@pytest.mark.parametrize("name", ["..", ".", "../../secret", "a/b", "a\\\\b", "a\\00b", "x" * 256])
def test_a_parameter_stays_inside_the_model(name: str, tmp_path: Path) -> None:
    model = write_graph(tmp_path, TEXT.replace('"m.w"', f'"{name}"'))
    assert "cannot be that of a directory with a parameter" in error_of(model)


def test_a_tensor_that_oneflow_did_not_save_says_how_to_save_it(tmp_path: Path) -> None:
    model = write_graph(tmp_path, TEXT.replace('"m.w"', '"m-FreeEagerTensor-1"'))
    assert "self.register_buffer(name, tensor)" in error_of(model)


IN_PARAMETER = 'data_type = 2 : i32, op_name = "m.w"'
IN_INPUT = 'data_type = 2 : i32, op_name = "_G_0_in'


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("shape = [3 : si64]", "shape = [4 : si64]", "'shape' and 'data_type' differ from the type"),
        ("shape = [3 : si64]", "size = 3", "the attribute 'shape' is missing"),
        ("shape = [3 : si64]", "shape = 3", "the attribute 'shape' is '3' but must be an array of integers"),
        ("shape = [3 : si64]", "shape = [true]", "must be an array of integers"),
        (IN_PARAMETER, IN_PARAMETER.replace("2", "11"), "data_type is 11, which is none"),
        (IN_PARAMETER, IN_PARAMETER.replace("2 : i32", "true"), "must be an integer"),
        (IN_INPUT, IN_INPUT.replace("2", "3"), "the attribute 'data_type' and the types differ"),
        ("shape = [1 : si64, 3 : si64]", "shape = [1]", "the attribute 'shape' and the types differ"),
        ('"oneflow.input"(%arg0)', '"oneflow.identity"(%arg0)', "has 1 arguments and returns 1 values"),
        ('"oneflow.output"(%1)', '"oneflow.relu"(%1)', "0 output operations"),
    ],
)
def test_contradictions_are_errors(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert expected in error_of(write_graph(tmp_path, TEXT.replace(old, new, 1)))


@pytest.mark.parametrize("name", ["nothing", "_Saved_0_input.0.0_2"])
def test_names_that_do_not_tell_the_order_are_errors(name: str, tmp_path: Path) -> None:
    model = tmp_path / "1" / "model"
    shutil.copytree(SAVED / "many_tensors" / "model", model)
    text = (model / "model.mlir").read_text()
    (model / "model.mlir").write_text(
        re.sub(r'op_name = "[^"]*_input\.0\.1_[^"]*"', f'op_name = "{name}"', text)
    )
    assert "the name does not tell which input it is" in error_of(model)
