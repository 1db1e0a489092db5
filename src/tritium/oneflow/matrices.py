"""Products of matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tritium.oneflow.emitter import Emitter
from tritium.oneflow.graph import Operation
from tritium.oneflow.operation import Table, Translation
from tritium.oneflow.rows import RowPlan, Rows, RowsMixed, State, everywhere, tile


def write_product(emit: Emitter, op: Operation, values: Sequence[str]) -> str:
    """matmul, batch_matmul and broadcast_matmul: as numpy's, the last two axes swapped if asked for."""
    shapes = [type_.shape for type_ in op.operand_types]
    if min(map(len, shapes)) < 2:
        raise op.error("its operands must have two dimensions or more")
    factors = [
        _swapped(emit, values[i], len(shapes[i])) if op.flag(f"transpose_{side}") else values[i]
        for i, side in enumerate("ab")
    ]
    result = emit.node("MatMul", factors)
    alpha = op.number("alpha")
    return (
        result if alpha == 1 else emit.node("Mul", [result, emit.scalar(alpha, op.operand_types[0].element)])
    )


def _swapped(emit: Emitter, value: str, rank: int) -> str:
    order = [*range(rank - 2), rank - 1, rank - 2]
    return emit.node("Transpose", [value], perm=order)


def product_rows(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """Rows pass where no sum runs over them: as rows or columns of one factor, or in both's stack."""
    rank = len(op.result_types[0].shape)
    placed = [_placed(op, index, states[index], rank) for index in (0, 1)]
    found = {rows for rows in placed if rows is not None}
    if len(found) != 1:
        raise RowsMixed("its factors hold rows along different axes")
    rows = found.pop()
    if rows.axis >= rank - 2 and all(placed):
        raise RowsMixed("each row meets every other")
    if rows.axis >= rank - 2:
        return everywhere(op, rows)
    return everywhere(op, rows, _tiled(op, states, rows, batch))


def _placed(op: Operation, index: int, rows: State, rank: int) -> State:
    """``rows`` of a factor, by the axes of the result."""
    if rows is None:
        return None
    own = len(op.operand_types[index].shape)
    swapped = op.flag(f"transpose_{'ab'[index]}")
    summed = own - 1 if (index == 0) != swapped else own - 2
    if rows.axis == summed:
        raise RowsMixed(f"it sums along axis {rows.axis}, which counts rows")
    if rows.axis >= own - 2:
        return Rows(rank - 2 + index, rows.multiple)
    return Rows(rows.axis + rank - own, rows.multiple)


def _tiled(op: Operation, states: Sequence[State], rows: Rows, batch: int) -> Mapping[int, Rows]:
    """The factor without rows, where its stack has as many matrices as one row of the other's."""
    tiled: dict[int, Rows] = {}
    for index, (state, type_) in enumerate(zip(states, op.operand_types, strict=True)):
        axis = rows.axis - len(op.result_types[0].shape) + len(type_.shape)
        if state is None and axis >= 0 and type_.shape[axis] != 1:
            tiled[index] = tile(batch, Rows(axis, rows.multiple))
    return tiled


MATRICES: Table = {
    kind: Translation(write_product, product_rows, (2, 2))
    for kind in ("matmul", "batch_matmul", "broadcast_matmul")
}
