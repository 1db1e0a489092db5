"""One operation as a graph of its own: translated, run by ONNX Runtime, compared with numpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions

from tritium.core.tensor import Array, datatype_of
from tritium.oneflow.graph import Attribute, Graph, Operation, Parameter, Port, TensorType
from tritium.oneflow.translate import translate

ROWS = 3
FLOAT32, FLOAT64, INT8, INT32, INT64, UINT8, BOOL = 2, 3, 4, 5, 6, 7, 12  # OneFlow's numbers

random = np.random.default_rng(3)


def floats(*shape: int) -> Array:
    """ROWS rows of numbers around zero."""
    return random.standard_normal((ROWS, *shape)).astype(np.float32)


def type_of(array: Array) -> TensorType:
    return TensorType(datatype_of(array.dtype), array.shape)


def operation(
    kind: str, operands: Sequence[TensorType], results: Sequence[TensorType], **attributes: Attribute
) -> Operation:
    """An operation on values %0, %1, ... with results %r0, %r1, ..."""
    return Operation(
        kind, f"m-{kind}-0", "1/model/model.mlir", 7,
        tuple(f"%{i}" for i in range(len(operands))), tuple(operands),
        tuple(f"%r{i}" for i in range(len(results))), tuple(results), attributes,
    )  # fmt: skip


def graph_of(op: Operation, constants: dict[int, Array], directory: Path) -> Graph:
    """``op`` with operands that are inputs, but for ``constants``, and all results as outputs."""
    parameters = []
    for index, array in constants.items():
        path = directory / f"parameter{index}"
        path.write_bytes(np.require(array, requirements="C").tobytes())
        parameters.append(Parameter(f"%{index}", f"p{index}", type_of(array), path))
    inputs = tuple(
        Port(value, type_, f"_G_input.0.{i}_1")
        for i, (value, type_) in enumerate(zip(op.operands, op.operand_types, strict=True))
        if i not in constants
    )
    outputs = tuple(Port(v, t, "") for v, t in zip(op.results, op.result_types, strict=True))
    return Graph("1/model/model.mlir", inputs, outputs, tuple(parameters), (op,))


def check(
    kind: str,
    operands: Sequence[Array],
    expected: Array | Sequence[Array],
    *,
    constant: Sequence[int] = (),
    variable: bool = True,
    tolerance: float = 1e-5,
    **attributes: Attribute,
) -> None:
    """Save ``kind`` at one row, and run it on ROWS.

    Args:
        operands: of ROWS rows each, but for those whose index is in ``constant``.
        expected: of ROWS rows.
        variable: whether the batch dimension can be proven to vary; else rows are run one by one.
    """
    wanted = [expected] if isinstance(expected, np.ndarray) else list(expected)
    constants = {index: operands[index] for index in constant}
    saved = [type_of(a if i in constants else a[:1]) for i, a in enumerate(operands)]
    op = operation(kind, saved, [type_of(array[:1]) for array in wanted], **attributes)
    with TemporaryDirectory() as directory:
        translated = translate(graph_of(op, constants, Path(directory)))
    assert translated.batch.variable is variable, translated.batch.reason
    fed = [array for index, array in enumerate(operands) if index not in constants]
    parts = [slice(None)] if variable else [slice(row, row + 1) for row in range(ROWS)]
    runs = [run(translated.model, [array[part] for array in fed]) for part in parts]
    for index, array in enumerate(wanted):
        actual = np.concatenate([outputs[index] for outputs in runs])
        assert actual.dtype == array.dtype
        np.testing.assert_allclose(actual, array, rtol=tolerance, atol=tolerance)


def run(model: Any, inputs: Sequence[Array]) -> Sequence[Array]:
    """All outputs of an ONNX model."""
    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs: Sequence[Array] = session.run(None, {f"INPUT_{i}": array for i, array in enumerate(inputs)})
    return outputs
