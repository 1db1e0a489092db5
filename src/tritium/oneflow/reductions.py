"""Sums, means and the like along axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tritium.core.tensor import DataType
from tritium.oneflow.emitter import Emitter
from tritium.oneflow.graph import Operation
from tritium.oneflow.operation import Table, Translate, Translation
from tritium.oneflow.rows import RowPlan, Rows, RowsMixed, State, apart_from, everywhere, only_first
from tritium.oneflow.shapes import rank_of


def reduction(kind: str) -> Translate:
    """A reduction that ONNX has."""

    def write(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
        return _reduced(emit, op, kind, values[0], op.flag("keepdims"))

    return write


def _reduced(emit: Emitter, op: Operation, kind: str, value: str, keep: bool) -> str:
    return emit.node(kind, [value, emit.ints(_axes(op))], keepdims=int(keep))


def write_logical(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """reduce_any and reduce_all: the largest or smallest of 0 and 1."""
    kind = "ReduceMax" if op.kind == "reduce_any" else "ReduceMin"
    truth = values[0]
    if op.operand_types[0].element is not DataType.BOOL:
        truth = emit.cast(truth, DataType.BOOL)
    number = emit.cast(truth, DataType.INT32)
    return emit.cast(_reduced(emit, op, kind, number, op.flag("keepdims")), DataType.BOOL)


def write_variance(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """The mean square of the distance from the mean; a difference of means would cancel."""
    shape = op.operand_types[0].shape
    axes = _axes(op)
    count = prod(shape[axis] for axis in axes)
    mean = _reduced(emit, op, "ReduceMean", values[0], keep=True)
    distance = emit.node("Sub", [values[0], mean])
    squares = emit.node("Mul", [distance, distance])
    keep = op.flag("keepdim")
    if not op.flag("unbiased"):
        return _reduced(emit, op, "ReduceMean", squares, keep)
    total = _reduced(emit, op, "ReduceSum", squares, keep)
    return emit.node("Div", [total, emit.scalar(count - 1, op.operand_types[0].element)])


def reduction_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    rows = only_first(states)
    axes = _axes(op)
    if rows.axis in axes:
        raise RowsMixed(f"it reduces axis {rows.axis}, which counts rows")
    keep = op.flag("keepdim" if op.kind == "var" else "keepdims")
    axis = rows.axis if keep else rows.axis - sum(a < rows.axis for a in axes)
    return everywhere(op, Rows(axis, rows.multiple))


def _axes(op: Operation) -> list[int]:
    """The axes that are reduced: all where none is named."""
    rank = rank_of(op)
    axes = op.integers("dim" if op.kind == "var" else "axis")
    return sorted({op.checked_axis(axis, rank) for axis in axes}) or list(range(rank))


def write_cumulative_sum(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    axis = op.axis("dim", rank_of(op))
    return emit.node("CumSum", [values[0], emit.scalar(axis, DataType.INT64)])


def _summed_axis(op: Operation) -> Sequence[int]:
    return (op.axis("dim", rank_of(op)),)


_KINDS = {
    "sum": "ReduceSum",
    "mean": "ReduceMean",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "prod": "ReduceProd",
}

REDUCTIONS: Table = {
    **{
        f"reduce_{kind}": Translation(reduction(onnx), reduction_rows, (1, 1))
        for kind, onnx in _KINDS.items()
    },
    "reduce_any": Translation(write_logical, reduction_rows, (1, 1)),
    "reduce_all": Translation(write_logical, reduction_rows, (1, 1)),
    "var": Translation(write_variance, reduction_rows, (1, 1)),
    "cumsum": Translation(write_cumulative_sum, apart_from(_summed_axis), (1, 1)),
}
