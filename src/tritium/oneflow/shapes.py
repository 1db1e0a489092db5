"""Operations that move numbers about, and constants."""

from __future__ import annotations

from collections.abc import Sequence

from tritium.oneflow.emitter import LAST, Emitter, refused
from tritium.oneflow.graph import Operation
from tritium.oneflow.operation import MANY, Table, Translation
from tritium.oneflow.rows import (
    RowPlan,
    Rows,
    RowsMixed,
    State,
    aligned,
    apart_from,
    everywhere,
    only_first,
    reshaped,
)


def rank_of(op: Operation, operand: int = 0) -> int:
    """The number of dimensions of an operand."""
    return len(op.operand_types[operand].shape)


def write_reshape(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node(
        "Reshape", [values[0], emit.ints(emit.shape(op))], allowzero=int(0 in op.result_types[0].shape)
    )


def write_transpose(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("Transpose", values, perm=_order(op))


def transpose_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """The axis goes where it is put."""
    rows = only_first(states)
    return everywhere(op, Rows(_order(op).index(rows.axis), rows.multiple))


def _order(op: Operation) -> list[int]:
    order = [op.checked_axis(axis, rank_of(op)) for axis in op.integers("perm")]
    if sorted(order) != list(range(rank_of(op))):
        raise op.error(f"perm {order} does not name each axis once")
    return order


def write_expand(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    # A 1 in the shape of ONNX's Expand leaves an axis as it is.
    return emit.node("Expand", [values[0], emit.ints([1 if size == -1 else size for size in emit.shape(op)])])


def expand_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """Axes count from the last."""
    rows = only_first(states)
    axis = rows.axis + len(op.result_types[0].shape) - rank_of(op)
    if op.result_types[0].shape[axis] != op.operand_types[0].shape[rows.axis]:
        raise RowsMixed("it repeats the rows")
    return everywhere(op, Rows(axis, rows.multiple))


def write_expand_dims(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("Unsqueeze", [values[0], emit.ints([op.axis("axis", rank_of(op) + 1)])])


def expand_dims_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    rows = only_first(states)
    return everywhere(op, Rows(rows.axis + (op.axis("axis", rank_of(op) + 1) <= rows.axis), rows.multiple))


def write_squeeze(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("Squeeze", [values[0], emit.ints(_squeezed(op))])


def squeeze_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    rows = only_first(states)
    if rows.axis in _squeezed(op):
        raise RowsMixed(f"it drops axis {rows.axis}, which counts rows")
    return everywhere(op, Rows(rows.axis - sum(axis < rows.axis for axis in _squeezed(op)), rows.multiple))


def _squeezed(op: Operation) -> list[int]:
    return sorted(op.checked_axis(axis, rank_of(op)) for axis in op.integers("axes"))


def write_concat(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    return emit.node("Concat", values, axis=op.axis("axis", rank_of(op)))


def concat_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    plan = aligned(op, states, batch)
    _check_apart(plan, op.axis("axis", rank_of(op)))
    return plan


def write_stack(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    axis = op.axis("axis", rank_of(op) + 1)
    return emit.node(
        "Concat", [emit.node("Unsqueeze", [value, emit.ints([axis])]) for value in values], axis=axis
    )


def stack_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    plan = aligned(op, states, batch)
    rows = plan.results[0]
    assert rows is not None
    axis = op.axis("axis", rank_of(op) + 1)
    return everywhere(op, Rows(rows.axis + (axis <= rows.axis), rows.multiple), plan.tiled)


def _check_apart(plan: RowPlan, axis: int) -> None:
    rows = plan.results[0]
    if rows is not None and rows.axis == axis:
        raise RowsMixed(f"it works along axis {axis}, which counts rows")


def write_flip(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    axes = _listed_axes(op)
    ends = [-LAST] * len(axes)
    parts = [emit.ints(part) for part in ([-1] * len(axes), ends, axes, [-1] * len(axes))]
    return emit.node("Slice", [values[0], *parts])


def _listed_axes(op: Operation) -> list[int]:
    return [op.checked_axis(axis, rank_of(op)) for axis in op.integers("dims")]


def write_roll(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """For each axis, the end comes to the front."""
    axes, shifts = _listed_axes(op), op.integers("shifts")
    if len(axes) != len(shifts):
        raise refused(op, "a roll of all axes as one")
    result = values[0]
    for axis, shift in zip(axes, shifts, strict=True):
        size = op.operand_types[0].shape[axis]
        cut = -shift % size if size else 0
        if cut:
            ends = [emit.node("Slice", [result, emit.ints([a]), emit.ints([b]), emit.ints([axis])])
                    for a, b in ((cut, LAST), (0, cut))]  # fmt: skip
            result = emit.node("Concat", ends, axis=axis)
    return result


def write_triangle(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """tril and triu keep what lies below or above a diagonal, and write zeros elsewhere."""
    if op.kind == "tril":
        floating = op.flag("is_floating_fill_value")
        filling = op.number("floating_fill_value") if floating else op.integer("integer_fill_value")
        if filling != 0:
            raise refused(op, f"tril with {filling} in place of zeros")
    return emit.node("Trilu", [values[0], emit.ints([op.integer("diagonal")])], upper=int(op.kind == "triu"))


def write_constant(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    kind = op.data_type("dtype")
    number = op.number("floating_value") if op.flag("is_floating_value") else op.integer("integer_value")
    if op.integers("shape") != op.result_types[0].shape:
        raise op.error("the attribute 'shape' differs from the type")
    one = emit.scalar(number, kind)
    return emit.node("Expand", [one, emit.ints(op.integers("shape"))]) if op.result_types[0].shape else one


def constant_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    return RowPlan((None,) * len(op.results))


def _last_two(op: Operation) -> Sequence[int]:
    return (rank_of(op) - 2, rank_of(op) - 1)


def write_pad(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """A constant around the tensor; the amounts are given for each axis."""
    kind = op.operand_types[0].element
    floating = kind.value.startswith("FP")
    number = op.number("floating_constant_value") if floating else op.integer("integral_constant_value")
    pads = [*op.integers("padding_before"), *op.integers("padding_after")]
    if len(pads) != 2 * rank_of(op):
        raise op.error("padding_before and padding_after must have one number for each axis")
    return emit.node("Pad", [values[0], emit.ints(pads), emit.scalar(number, kind)], mode="constant")


def _padded_axes(op: Operation) -> Sequence[int]:
    amounts = zip(op.integers("padding_before"), op.integers("padding_after"), strict=False)
    return [axis for axis, both in enumerate(amounts) if both != (0, 0)]


SHAPES: Table = {
    "reshape": Translation(write_reshape, reshaped, (1, 1)),
    "transpose": Translation(write_transpose, transpose_rows, (1, 1)),
    "expand": Translation(write_expand, expand_rows, (1, 1)),
    "expand_dims": Translation(write_expand_dims, expand_dims_rows, (1, 1)),
    "squeeze": Translation(write_squeeze, squeeze_rows, (1, 1)),
    "concat": Translation(write_concat, concat_rows, (1, MANY)),
    "stack": Translation(write_stack, stack_rows, (1, MANY)),
    "flip": Translation(write_flip, apart_from(_listed_axes), (1, 1)),
    "roll": Translation(write_roll, apart_from(_listed_axes), (1, 1)),
    "tril": Translation(write_triangle, apart_from(_last_two), (1, 1)),
    "triu": Translation(write_triangle, apart_from(_last_two), (1, 1)),
    "pad": Translation(write_pad, apart_from(_padded_axes), (1, 1)),
    "constant": Translation(write_constant, constant_rows, (0, 0)),
}
