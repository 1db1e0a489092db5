"""Parts of tensors: by ranges, and by indices that are tensors themselves."""

from __future__ import annotations

from collections.abc import Sequence

from tritium.core.tensor import DataType
from tritium.oneflow.emitter import Emitter, refused
from tritium.oneflow.graph import Operation
from tritium.oneflow.operation import Table, Translation
from tritium.oneflow.rows import RowPlan, Rows, RowsMixed, State, everywhere, only_first, tile
from tritium.oneflow.shapes import rank_of

Range = tuple[int, int, int]


def write_ranges(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """slice and narrow; an axis that is taken in full is left out, so that it may count rows."""
    cut = [(axis, r) for axis, r in enumerate(_ranges(op)) if not _in_full(op, axis, r)]
    if not cut:
        return values[0]
    starts, stops, steps = (emit.ints([r[i] for _, r in cut]) for i in range(3))
    return emit.node("Slice", [values[0], starts, stops, emit.ints([axis for axis, _ in cut]), steps])


def range_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    rows = only_first(states)
    if not _in_full(op, rows.axis, _ranges(op)[rows.axis]):
        raise RowsMixed(f"it takes a part of axis {rows.axis}, which counts rows")
    return everywhere(op, rows)


def _ranges(op: Operation) -> Sequence[Range]:
    shape = op.operand_types[0].shape
    if op.kind == "narrow":
        axis, start = op.axis("dim", len(shape)), op.integer("start")
        start += shape[axis] if start < 0 else 0
        ranges = [(0, size, 1) for size in shape]
        ranges[axis] = (start, start + op.integer("length"), 1)
        return ranges
    parts = [op.integers(key) for key in ("start", "stop", "step")]
    if any(len(part) != len(shape) for part in parts):
        raise op.error("start, stop and step must have one number for each axis")
    if min(parts[2], default=1) < 1:
        raise refused(op, "a slice that goes backwards")
    return list(zip(*parts, strict=True))


def _in_full(op: Operation, axis: int, taken: Range) -> bool:
    return taken[0] == 0 and taken[2] == 1 and taken[1] >= op.operand_types[0].shape[axis]


def write_gather(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("Gather", values, axis=op.axis("axis", rank_of(op)))


def gather_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """Rows of the indices lie where the axis was; rows of the tensor may not be that axis."""
    axis = op.axis("axis", rank_of(op))
    tensor, indices = states[:2]
    if tensor is None and indices is not None:
        return everywhere(op, Rows(axis + indices.axis, indices.multiple))
    rows = only_first(states)
    if rows.axis == axis:
        raise RowsMixed(f"it picks along axis {axis}, which counts rows")
    return everywhere(op, Rows(rows.axis + (rank_of(op, 1) - 1 if rows.axis > axis else 0), rows.multiple))


def write_gather_nd(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("GatherND", [values[0], _long(emit, op, values[1])])


def gather_nd_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """Rows of the indices stay; the tensor is a constant."""
    tensor, indices = states
    if tensor is not None or indices is None or indices.axis == rank_of(op, 1) - 1:
        raise RowsMixed("it picks from the rows")
    return everywhere(op, indices)


def write_dim_gather(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("GatherElements", values, axis=op.axis("dim", rank_of(op)))


def dim_gather_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """Tensor and indices have the same axes."""
    axis = op.axis("dim", rank_of(op))
    found = {state for state in states if state is not None}
    if len(found) != 1 or next(iter(found)).axis == axis:
        raise RowsMixed("it picks along the rows")
    rows = found.pop()
    sizes = {type_.shape[rows.axis] for type_ in op.operand_types}
    if sizes != {batch * rows.multiple}:
        raise RowsMixed("the indices do not have all rows")
    return everywhere(op, rows, {i: tile(batch, rows) for i, state in enumerate(states) if state is None})


def write_top_k(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """The indices of the largest along the last axis."""
    return emit.nodes("TopK", [values[0], emit.ints([op.integer("k")])], 2, sorted=int(op.flag("sorted")))[1]


def write_arg_sort(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    indices = _sorted(emit, op, values[0])[1]
    return emit.cast(indices, op.result_types[0].element)


def write_sort(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return _sorted(emit, op, values[0])[0]


def _sorted(emit: Emitter, op: Operation, value: str) -> Sequence[str]:
    direction = op.text("direction")
    if direction not in ("ASCENDING", "DESCENDING"):
        raise op.error(f"direction is '{direction[:40]}'")
    shape = op.operand_types[0].shape
    if not shape:
        raise refused(op, "a scalar")
    size = emit.ints([shape[-1]])
    return emit.nodes("TopK", [value, size], 2, largest=int(direction == "DESCENDING"))


def write_argmax(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("ArgMax", values, axis=-1, keepdims=0)


def along_last_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """The last axis is searched."""
    rows = only_first(states)
    if rows.axis == rank_of(op) - 1:
        raise RowsMixed("it searches along the rows")
    return everywhere(op, rows)


def _long(emit: Emitter, op: Operation, indices: str) -> str:
    return indices if op.operand_types[1].element is DataType.INT64 else emit.cast(indices, DataType.INT64)


SELECTIONS: Table = {
    "slice": Translation(write_ranges, range_rows, (1, 1)),
    "narrow": Translation(write_ranges, range_rows, (1, 1)),
    "gather": Translation(write_gather, gather_rows, (2, 2)),
    "gather_nd": Translation(write_gather_nd, gather_nd_rows, (2, 2)),
    "dim_gather": Translation(write_dim_gather, dim_gather_rows, (2, 2)),
    "top_k": Translation(write_top_k, along_last_rows, (1, 1)),
    "arg_sort": Translation(write_arg_sort, along_last_rows, (1, 1)),
    "sort": Translation(write_sort, along_last_rows, (1, 1)),
    "argmax": Translation(write_argmax, along_last_rows, (1, 1)),
}
