"""The onnxruntime backend on tiny models, built here."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx builds the models")
pytest.importorskip("onnxruntime", reason="onnxruntime is what is tested")

from onnx import TensorProto, helper  # noqa: E402

from tritium.backends.api import InstanceContext, TensorModel  # noqa: E402
from tritium.backends.onnxruntime import OnnxRuntimeBackend  # noqa: E402
from tritium.core.model_config import (  # noqa: E402
    Accelerator,
    ExecutionAccelerators,
    GraphOptimization,
    ModelConfig,
    ModelInput,
    ModelOperations,
    ModelOutput,
    ModelParameter,
    Optimization,
)
from tritium.core.model_description import TensorSpec  # noqa: E402
from tritium.errors import ConfigError, InvalidArgumentError, ModelExecutionError  # noqa: E402

FLOAT, STRING, BFLOAT16 = TensorProto.FLOAT, TensorProto.STRING, TensorProto.BFLOAT16
Shape = Sequence[int | str]
Tensors = Mapping[str, tuple[int, Shape]]
BACKEND = OnnxRuntimeBackend()


def write(
    directory: Path, nodes: Iterable[Any], inputs: Tensors, outputs: Tensors, initializers: Any = ()
) -> Path:
    """A model directory ``directory/m`` whose version 1 is this graph."""
    infos = [
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in side.items()]
        for side in (inputs, outputs)
    ]
    graph = helper.make_graph(list(nodes), "tiny", infos[0], infos[1], list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return place(directory, model.SerializeToString())


def place(directory: Path, content: bytes) -> Path:
    version = directory / "m" / "1"
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(content)
    return directory / "m"


def identity(directory: Path, kind: int, shape: Shape) -> Path:
    return write(
        directory, [helper.make_node("Identity", ["x"], ["y"])], {"x": (kind, shape)}, {"y": (kind, shape)}
    )


def add(directory: Path) -> Path:
    both: Tensors = {"a": (FLOAT, ["n", 2]), "b": (FLOAT, ["n", 2])}
    return write(directory, [helper.make_node("Add", ["a", "b"], ["sum"])], both, {"sum": (FLOAT, ["n", 2])})


def config(inputs: Mapping[str, Any], outputs: Mapping[str, Any], **rest: Any) -> ModelConfig:
    return ModelConfig(
        name="m",
        backend="onnxruntime",
        default_model_filename="model.onnx",
        input=tuple(ModelInput(name=n, data_type=t, dims=tuple(d)) for n, (t, d) in inputs.items()),
        output=tuple(ModelOutput(name=n, data_type=t, dims=tuple(d)) for n, (t, d) in outputs.items()),
        **rest,
    )


ADD = config(
    {"a": ("TYPE_FP32", [2]), "b": ("TYPE_FP32", [2])}, {"sum": ("TYPE_FP32", [2])}, max_batch_size=8
)


def x_to_y(data_type: str, dims: Sequence[int], **rest: Any) -> ModelConfig:
    return config({"x": (data_type, dims)}, {"y": (data_type, dims)}, **rest)


def load(model_dir: Path, model_config: ModelConfig, threads: int = 1) -> TensorModel:
    return BACKEND.open(InstanceContext(model_config, model_dir, 1, "m_0", threads))


def with_parameters(**parameters: str) -> ModelConfig:
    return dataclasses.replace(ADD, parameters={k: ModelParameter(v) for k, v in parameters.items()})


def test_adds_a_batch(tmp_path: Path) -> None:
    model = load(add(tmp_path), ADD)
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    outputs = model.run({"a": rows, "b": rows}, ["sum"])
    np.testing.assert_array_equal(outputs["sum"], 2 * rows)


def test_reads_arrays_that_are_read_only_views(tmp_path: Path) -> None:
    model = load(identity(tmp_path, FLOAT, ["n", 2]), x_to_y("TYPE_FP32", [2], max_batch_size=4))
    view = np.frombuffer(np.arange(8, dtype=np.float32).tobytes(), dtype=np.float32).reshape(4, 2)[::2]
    np.testing.assert_array_equal(model.run({"x": view}, ["y"])["y"], [[0, 1], [4, 5]])


def test_computes_only_the_outputs_that_are_asked_for(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    both: Tensors = {"y": (FLOAT, ["n", 2]), "z": (FLOAT, ["n", 2])}
    model_dir = write(tmp_path, nodes, {"x": (FLOAT, ["n", 2])}, both)
    pair = ("TYPE_FP32", [2])
    model = load(model_dir, config({"x": pair}, {"y": pair, "z": pair}, max_batch_size=4))
    assert set(model.run({"x": np.ones((1, 2), np.float32)}, ["z"])) == {"z"}


def test_runs_a_perceptron_with_any_number_of_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    w1, w2 = random.normal(size=(4, 8)).astype(np.float32), random.normal(size=(8, 2)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["y"]),
    ]
    weights = [onnx.numpy_helper.from_array(w1, "w1"), onnx.numpy_helper.from_array(w2, "w2")]
    model_dir = write(tmp_path, nodes, {"x": (FLOAT, ["n", 4])}, {"y": (FLOAT, ["n", 2])}, weights)
    model = load(model_dir, config({"x": ("TYPE_FP32", [4])}, {"y": ("TYPE_FP32", [2])}, max_batch_size=64))
    for rows in (1, 7, 64):
        x = random.normal(size=(rows, 4)).astype(np.float32)
        np.testing.assert_allclose(
            model.run({"x": x}, ["y"])["y"], np.maximum(x @ w1, 0) @ w2, rtol=1e-4, atol=1e-5
        )


def test_strings_go_in_as_bytes_and_come_out_as_text(tmp_path: Path) -> None:
    model = load(identity(tmp_path, STRING, ["n", 2]), x_to_y("TYPE_STRING", [2], max_batch_size=4))
    elements = np.array([["héllo".encode(), b""], [b"a\0b", "日本".encode()]], dtype=object)
    output = model.run({"x": elements}, ["y"])["y"]
    assert output.tolist() == [["héllo", ""], ["a\0b", "日本"]]


def test_bytes_that_are_not_utf8_are_refused_by_the_name_of_the_input(tmp_path: Path) -> None:
    model = load(identity(tmp_path, STRING, ["n"]), x_to_y("TYPE_STRING", [-1]))
    with pytest.raises(
        InvalidArgumentError, match=r"input 'x', element 1: byte 0xff at position 2 .* TYPE_UINT8"
    ):
        model.run({"x": np.array([b"fine", b"ab\xff"], dtype=object)}, ["y"])


def test_bfloat16_goes_in_and_out_as_uint16(tmp_path: Path) -> None:
    model = load(identity(tmp_path, BFLOAT16, ["n", 2]), x_to_y("TYPE_BF16", [2], max_batch_size=4))
    bits = np.frombuffer(np.array([0x3F80, 0x4000, 0xC040, 0], dtype="<u2").tobytes(), dtype="<u2").reshape(
        2, 2
    )
    output = model.run({"x": bits}, ["y"])["y"]
    assert output.dtype == np.uint16
    np.testing.assert_array_equal(output, bits)
    assert model.run({"x": bits[:0]}, ["y"])["y"].shape == (0, 2)


def test_bfloat16_may_be_mixed_with_other_types(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["y"], to=FLOAT),
        helper.make_node("Identity", ["s"], ["t"]),
    ]
    inputs: Tensors = {"x": (BFLOAT16, ["n"]), "s": (STRING, ["n"])}
    model_dir = write(tmp_path, nodes, inputs, {"y": (FLOAT, ["n"]), "t": (STRING, ["n"])})
    model_config = config(
        {"x": ("TYPE_BF16", [-1]), "s": ("TYPE_STRING", [-1])},
        {"y": ("TYPE_FP32", [-1]), "t": ("TYPE_STRING", [-1])},
    )
    feed = {"x": np.array([0x4000], dtype="<u2"), "s": np.array([b"two"], dtype=object)}
    outputs = load(model_dir, model_config).run(feed, ["y", "t"])
    assert (outputs["y"].tolist(), outputs["t"].tolist()) == ([2.0], ["two"])


def test_strings_in_and_bfloat16_out_is_refused_at_load(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Identity", ["s"], ["t"])]
    inputs: Tensors = {"x": (BFLOAT16, ["n"]), "s": (STRING, ["n"])}
    model_dir = write(tmp_path, nodes, inputs, {"y": (BFLOAT16, ["n"]), "t": (STRING, ["n"])})
    model_config = config(
        {"x": ("TYPE_BF16", [-1]), "s": ("TYPE_STRING", [-1])},
        {"y": ("TYPE_BF16", [-1]), "t": ("TYPE_STRING", [-1])},
    )
    with pytest.raises(ConfigError, match="cannot serve together; export the model with TYPE_FP32 outputs"):
        load(model_dir, model_config)


def test_half_precision_keeps_its_type(tmp_path: Path) -> None:
    model = load(identity(tmp_path, TensorProto.FLOAT16, ["n"]), x_to_y("TYPE_FP16", [-1]))
    output = model.run({"x": np.array([1.5, -2], dtype=np.float16)}, ["y"])["y"]
    assert output.dtype == np.float16
    assert output.tolist() == [1.5, -2.0]


def test_a_scalar_is_served_as_one_element(tmp_path: Path) -> None:
    model_dir = identity(tmp_path, FLOAT, [])
    assert BACKEND.describe(ModelConfig(name="m"), model_dir / "1" / "model.onnx").inputs[0].dims == ()
    output = load(model_dir, x_to_y("TYPE_FP32", [1])).run({"x": np.array([3], np.float32)}, ["y"])["y"]
    assert (output.shape, output.tolist()) == ((1,), [3.0])


def test_describes_names_types_and_full_shapes(tmp_path: Path) -> None:
    model_dir = identity(tmp_path, STRING, ["batch", 3, "any"])
    description = BACKEND.describe(ModelConfig(name="m"), model_dir / "1" / "model.onnx")
    assert description.inputs == (TensorSpec("x", "TYPE_STRING", (-1, 3, -1)),)
    assert description.outputs == (TensorSpec("y", "TYPE_STRING", (-1, 3, -1)),)


def optional_input(directory: Path) -> Path:
    value = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [2]))
    node = helper.make_node("OptionalHasElement", ["x"], ["given"])
    output = helper.make_tensor_value_info("given", TensorProto.BOOL, [])
    graph = helper.make_graph([node], "tiny", [helper.make_value_info("x", value)], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return place(directory, model.SerializeToString())


def test_an_optional_input_may_be_left_out(tmp_path: Path) -> None:
    model_dir = optional_input(tmp_path)
    described = BACKEND.describe(ModelConfig(name="m"), model_dir / "1" / "model.onnx")
    assert described.inputs == (TensorSpec("x", "TYPE_FP32", (2,), optional=True),)
    model = load(model_dir, config({"x": ("TYPE_FP32", [2])}, {"given": ("TYPE_BOOL", [1])}))
    assert model.run({}, ["given"])["given"].tolist() == [False]
    assert model.run({"x": np.ones(2, np.float32)}, ["given"])["given"].tolist() == [True]


def test_an_initializer_is_an_input_only_where_the_configuration_lists_it(tmp_path: Path) -> None:
    node = helper.make_node("Add", ["x", "bias"], ["y"])
    inputs: Tensors = {"x": (FLOAT, ["n"]), "bias": (FLOAT, [1])}
    bias = helper.make_tensor("bias", FLOAT, [1], [10.0])
    model_dir = write(tmp_path, [node], inputs, {"y": (FLOAT, ["n"])}, [bias])
    described = BACKEND.describe(ModelConfig(name="m"), model_dir / "1" / "model.onnx")
    assert [spec.name for spec in described.inputs] == ["x"]
    model = load(
        model_dir, config({"x": ("TYPE_FP32", [-1]), "bias": ("TYPE_FP32", [1])}, {"y": ("TYPE_FP32", [-1])})
    )
    x = np.zeros(1, np.float32)
    assert model.run({"x": x}, ["y"])["y"].tolist() == [10.0]
    assert model.run({"x": x, "bias": np.ones(1, np.float32)}, ["y"])["y"].tolist() == [1.0]


def test_a_directory_with_external_data_is_a_model(tmp_path: Path) -> None:
    weights = onnx.numpy_helper.from_array(np.full(1024, 2, np.float32), "w")
    info = helper.make_tensor_value_info("x", FLOAT, [1024])
    out = helper.make_tensor_value_info("y", FLOAT, [1024])
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "tiny", [info], [out], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    directory = tmp_path / "m" / "1" / "model.onnx"
    directory.mkdir(parents=True)
    onnx.save(model, str(directory / "model.onnx"), save_as_external_data=True, location="weights.bin")
    assert (directory / "weights.bin").exists()
    served = load(tmp_path / "m", x_to_y("TYPE_FP32", [1024]))
    assert served.run({"x": np.ones(1024, np.float32)}, ["y"])["y"][0] == 2
    (directory / "weights.bin").unlink()
    with pytest.raises(ConfigError, match=r"cannot load 1/model.onnx/model.onnx .*weights.bin") as caught:
        load(tmp_path / "m", x_to_y("TYPE_FP32", [1024]))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x08\x0a" + b"\x3a\xff\x7f", b"\0" * 64])
def test_a_broken_file_is_named_relative_to_the_model(tmp_path: Path, content: bytes) -> None:
    model_dir = place(tmp_path, content)
    for attempt in (
        lambda: BACKEND.describe(ModelConfig(name="m"), model_dir / "1" / "model.onnx"),
        lambda: load(model_dir, ADD),
    ):
        with pytest.raises(ConfigError, match=r"model 'm': onnxruntime cannot load 1/model.onnx") as caught:
            attempt()
        assert str(tmp_path) not in str(caught.value)


def test_a_truncated_file_is_named_relative_to_the_model(tmp_path: Path) -> None:
    whole = (add(tmp_path / "whole") / "1" / "model.onnx").read_bytes()
    model_dir = place(tmp_path, whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"cannot load 1/model.onnx"):
        load(model_dir, ADD)


def test_a_missing_file_is_named_relative_to_the_model(tmp_path: Path) -> None:
    model_dir = add(tmp_path)
    (model_dir / "1" / "model.onnx").unlink()
    with pytest.raises(ConfigError, match=r"model 'm': 1/model.onnx does not exist"):
        load(model_dir, ADD)


def test_a_failing_run_tells_onnxruntimes_reason_and_no_path(tmp_path: Path) -> None:
    model = load(add(tmp_path), ADD)
    three = np.ones((1, 3), np.float32)
    with pytest.raises(
        ModelExecutionError, match=r"invalid dimensions for input: . .*Got: 3 Expected: 2"
    ) as caught:
        model.run({"a": three, "b": three}, ["sum"])
    assert str(tmp_path) not in str(caught.value)
    two = np.ones((1, 2), np.float32)
    assert model.run({"a": two, "b": two}, ["sum"])["sum"].tolist() == [[2, 2]]


def test_a_closed_model_refuses_to_run(tmp_path: Path) -> None:
    model = load(add(tmp_path), ADD)
    model.close()
    with pytest.raises(ModelExecutionError, match="closed"):
        model.run({}, ["sum"])


def test_a_configuration_that_does_not_fit_is_refused_at_load(tmp_path: Path) -> None:
    wrong = config(
        {"a": ("TYPE_FP32", [2]), "b": ("TYPE_INT32", [2])}, {"sum": ("TYPE_FP32", [2])}, max_batch_size=8
    )
    with pytest.raises(
        ConfigError, match=r"'m', input 'b': 1/model.onnx expects TYPE_FP32 .* write data_type: TYPE_FP"
    ):
        load(add(tmp_path), wrong)


def test_an_output_that_is_no_tensor_can_be_left_out(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("SequenceConstruct", ["x"], ["list"]),
        helper.make_node("Identity", ["x"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", FLOAT, ["n"])
    outputs = [
        helper.make_tensor_sequence_value_info("list", FLOAT, None),
        helper.make_tensor_value_info("y", FLOAT, ["n"]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", [x], outputs), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 10
    model_dir = place(tmp_path, model.SerializeToString())
    with pytest.raises(
        ConfigError, match=r"output 'list': 1/model.onnx says seq\(tensor\(float\)\), .* list only the other"
    ):
        BACKEND.describe(ModelConfig(name="m"), model_dir / "1" / "model.onnx")
    served = load(model_dir, x_to_y("TYPE_FP32", [-1]))
    assert served.run({"x": np.ones(1, np.float32)}, ["y"])["y"].tolist() == [1]


def test_every_setting_of_triton_is_accepted(tmp_path: Path) -> None:
    model_config = dataclasses.replace(
        with_parameters(
            **{
                "intra_op_thread_count": "2",
                "inter_op_thread_count": "2",
                "execution_mode": "1",
                "enable_mem_arena": "1",
                "enable_mem_pattern": "0",
                "memory.enable_memory_arena_shrinkage": "cpu:0",
                "session.use_device_allocator_for_initializers": "1",
            }
        ),
        optimization=Optimization(graph=GraphOptimization(level=-1)),
    )
    model = load(add(tmp_path), model_config)
    one = np.ones((1, 2), np.float32)
    assert model.run({"a": one, "b": one}, ["sum"])["sum"].tolist() == [[2, 2]]


def test_a_setting_that_cannot_be_is_refused_at_load(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parameter 'execution_mode' is 'parallel' but must be 0"):
        load(add(tmp_path), with_parameters(execution_mode="parallel"))


def test_an_accelerator_is_refused_with_what_is_installed(tmp_path: Path) -> None:
    accelerators = ExecutionAccelerators(cpu_execution_accelerator=(Accelerator("openvino"),))
    wanting = dataclasses.replace(ADD, optimization=Optimization(execution_accelerators=accelerators))
    with pytest.raises(ConfigError, match=r"asks for 'openvino', .*installed: .*CPUExecutionProvider"):
        load(add(tmp_path), wanting)


@pytest.mark.parametrize("name", ["../../lib.so", "missing.so"])
def test_custom_operations_must_be_files_of_the_model(tmp_path: Path, name: str) -> None:
    wanting = dataclasses.replace(ADD, model_operations=ModelOperations(op_library_filename=(name,)))
    with pytest.raises(ConfigError, match="is not a file inside the model's directory"):
        load(add(tmp_path), wanting)


def test_a_library_that_cannot_be_loaded_is_refused_without_its_path(tmp_path: Path) -> None:
    model_dir = add(tmp_path)
    (model_dir / "ops.so").write_bytes(b"not a library")
    wanting = dataclasses.replace(ADD, model_operations=ModelOperations(op_library_filename=("ops.so",)))
    with pytest.raises(ConfigError, match=r"cannot load operations: .*ops\.so") as caught:
        load(model_dir, wanting)
    assert str(tmp_path) not in str(caught.value)


def test_onnxruntime_reports_nothing_and_leaves_no_files(tmp_path: Path) -> None:
    """Newer builds for Linux report what they load; then they leave an identity at home and beside it."""
    script = (
        "import onnx, sys; from onnx import helper as h, TensorProto as t; from tritium.backends import "
        "onnxruntime as b; import onnxruntime as o; x = [h.make_tensor_value_info(n, t.FLOAT, [1]) for n in "
        "'xy']; m = h.make_model(h.make_graph([h.make_node('Relu', ['x'], ['y'])], 'g', x[:1], x[1:]), "
        "opset_imports=[h.make_opsetid('', 17)], ir_version=8); "
        "o.InferenceSession(m.SerializeToString(), providers=['CPUExecutionProvider'])"
    )
    quiet = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    home = {**quiet, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=home, timeout=120)
    assert list(tmp_path.rglob("*")) == []
