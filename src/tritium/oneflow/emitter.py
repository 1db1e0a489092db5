"""What the functions of the operation table write ONNX with. The one module that makes ONNX messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tritium.core.tensor import Array, DataType
from tritium.errors import UnsupportedError
from tritium.oneflow.graph import Operation
from tritium.oneflow.rows import Rows, State

OPSET = 20  # has Gelu, and axes for Resize; onnxruntime >= 1.18 runs it
_IR_VERSION = 9
LAST = np.iinfo(np.int64).max  # "to the end" of a Slice

# As in onnx.TensorProto.DataType.
_ONNX_TYPES = {
    DataType.FP32: 1, DataType.UINT8: 2, DataType.INT8: 3, DataType.INT32: 6, DataType.INT64: 7,
    DataType.BOOL: 9, DataType.FP16: 10, DataType.FP64: 11, DataType.BF16: 16,
}  # fmt: skip
# ONNX Runtime computes with few integers narrower than int32; results are cut to their type again.
_WIDENED = {DataType.INT8: DataType.INT32, DataType.UINT8: DataType.INT32, DataType.BOOL: DataType.INT32}


class Emitter:
    """Collects nodes and constants, and knows which axis of a value counts rows."""

    def __init__(self, rows: Mapping[str, State], first_input: str) -> None:
        self._rows = rows
        self._first_input = first_input
        self._nodes: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[Any] = []
        self._count = 0
        self._batch: str | None = None

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        return self.nodes(kind, inputs, 1, **attributes)[0]

    def nodes(self, kind: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """A node with ``count`` outputs."""
        names = [self._fresh() for _ in range(count)]
        self._add(kind, inputs, names, attributes)
        return names

    def named(self, kind: str, inputs: Sequence[str], name: str) -> None:
        """A node whose one output has a name of its own."""
        self._add(kind, inputs, [name], {})

    def constant(self, array: Array) -> str:
        """A constant tensor; equal ones are one."""
        array = np.require(array, requirements="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._fresh()
            self.initializer(self._constants[key], array)
        return self._constants[key]

    def initializer(self, name: str, array: Array) -> None:
        """A constant of a given name."""
        from onnx import numpy_helper

        self._initializers.append(numpy_helper.from_array(np.asarray(array), name))

    def ints(self, values: Sequence[int]) -> str:
        """A constant vector of int64."""
        return self.constant(np.array(values, np.int64).reshape(len(values)))

    def scalar(self, value: float, element: DataType) -> str:
        """A constant with no dimensions."""
        with np.errstate(all="ignore"):  # what is too large for a type is infinite there, as in OneFlow
            return self.constant(np.array(value).astype(element.numpy))

    def cast(self, value: str, to: DataType) -> str:
        """``value`` as another element type."""
        return self.node("Cast", [value], to=onnx_type(to))

    def computed(self, kind: str, inputs: Sequence[str], element: DataType, **attributes: Any) -> str:
        """A node over ``element`` that gives the same; narrow integers go through int32."""
        wide = _WIDENED.get(element)
        if wide is None:
            return self.node(kind, inputs, **attributes)
        result = self.node(kind, [self.cast(value, wide) for value in inputs], **attributes)
        return self.cast(result, element)

    def compared(self, kind: str, inputs: Sequence[str], element: DataType) -> str:
        """A node over ``element`` that gives booleans."""
        wide = _WIDENED.get(element)
        return self.node(kind, inputs if wide is None else [self.cast(value, wide) for value in inputs])

    def shape(self, op: Operation, index: int = 0) -> list[int]:
        """The shape of a result, -1 where it counts rows."""
        shape = list(op.result_types[index].shape)
        rows = self.rows(op.results[index])
        if rows is not None:
            shape[rows.axis] = -1
        return shape

    def rows(self, value: str) -> State:
        """Which axis of ``value`` counts rows."""
        return self._rows.get(value)

    def tiled(self, value: str, rank: int, rows: Rows) -> str:
        """``value`` repeated along ``rows.axis`` as often as the batch has rows."""
        if self._batch is None:
            self._batch = self.node("Shape", [self._first_input], start=0, end=1)
        before, after = self.ints([1] * rows.axis), self.ints([1] * (rank - rows.axis - 1))
        repeats = self.node("Concat", [before, self._batch, after], axis=0)
        return self.node("Tile", [value, repeats])

    def model(self, inputs: Sequence[Any], outputs: Sequence[Any], metadata: Mapping[str, str]) -> Any:
        """The finished model (an ``onnx.ModelProto``)."""
        from onnx import helper

        graph = helper.make_graph(self._nodes, "oneflow", inputs, outputs, self._initializers)
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="tritium",
            ir_version=_IR_VERSION,
        )
        helper.set_model_props(made, dict(metadata))
        return made

    def _add(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Any]
    ) -> None:
        from onnx import helper

        self._nodes.append(
            helper.make_node(kind, list(inputs), list(outputs), name=f"n{len(self._nodes)}", **attributes)
        )

    def _fresh(self) -> str:
        self._count += 1
        return f"t{self._count}"


def tensor_info(name: str, element: DataType, shape: Sequence[int | str]) -> Any:
    """The ONNX declaration of an input or output."""
    from onnx import helper

    return helper.make_tensor_value_info(name, onnx_type(element), list(shape))


def onnx_type(element: DataType) -> int:
    """ONNX's number of an element type."""
    return _ONNX_TYPES[element]


def refused(op: Operation, what: str) -> UnsupportedError:
    """An operation that is known, but not in this form."""
    return UnsupportedError(
        f"{op.place}: {what} cannot be translated to ONNX by this version; change the model, or export it to "
        "ONNX from the training framework and serve that"
    )
