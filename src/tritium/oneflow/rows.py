"""Which rows of a batch a value holds, and where: the rules by which that passes through operations.

A graph is saved at one batch size. It may run at another where every row of the result depends on one row of
the input alone, in the same way. That is proven operation by operation: a value either holds no rows (it
does not depend on the inputs), or one of its axes counts rows (``Rows``). An operation that would mix rows
has no rule for that, and ends the proof. What is proven so equals running the saved graph once per row,
whatever the graph means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from tritium.oneflow.graph import Operation


@dataclass(frozen=True, slots=True)
class Rows:
    """``axis`` of a value counts rows: its size is the batch size times ``multiple``, rows outermost."""

    axis: int
    multiple: int = 1


State = Rows | None


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What an operation makes of the rows of its operands.

    ``tiled`` are the operands without rows that must be repeated for each row first.
    """

    results: tuple[State, ...]
    tiled: Mapping[int, Rows] = field(default_factory=dict)


RowRule = Callable[[Operation, Sequence[State], int], RowPlan]


class RowsMixed(Exception):  # noqa: N818 - a finding, not a failure
    """The operation may mix rows; the text says how."""


def everywhere(op: Operation, rows: State, tiled: Mapping[int, Rows] | None = None) -> RowPlan:
    """All results hold ``rows``."""
    return RowPlan((rows,) * len(op.results), tiled or {})


def elementwise(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """Operands broadcast against each other as numpy does."""
    rank = len(op.result_types[0].shape)
    found = {
        Rows(state.axis + rank - len(type_.shape), state.multiple)
        for state, type_ in zip(states, op.operand_types, strict=True)
        if state is not None
    }
    rows = _agreed(found)
    size = batch * rows.multiple
    if op.result_types[0].shape[rows.axis] != size:
        raise RowsMixed("it broadcasts along the rows")
    tiled: dict[int, Rows] = {}
    for index, (state, type_) in enumerate(zip(states, op.operand_types, strict=True)):
        axis = rows.axis - rank + len(type_.shape)
        if state is None and axis >= 0 and type_.shape[axis] != 1:
            tiled[index] = tile(batch, Rows(axis, rows.multiple))
    return everywhere(op, rows, tiled)


def tile(batch: int, rows: Rows) -> Rows:
    """Repeat an operand so that it holds ``rows``; only a graph of one row says what a row is."""
    if batch != 1:
        raise RowsMixed(f"a constant has one part for each of the {batch} rows")
    return rows


def aligned(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """All operands hold the same rows at the same axis (concat): those without get them."""
    rows = _agreed({state for state in states if state is not None})
    tiled = {index: tile(batch, rows) for index, state in enumerate(states) if state is None}
    return everywhere(op, rows, tiled)


def first_axis(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """Rows are axis 0 of the first operand, and the others are constants: convolutions, pools, resizing."""
    rows = only_first(states)
    if rows.axis != 0:
        raise RowsMixed(f"rows are axis {rows.axis}, not the first")
    return everywhere(op, rows)


def only_first(states: Sequence[State]) -> Rows:
    """The rows of the first operand where no other has any."""
    if states[0] is None or any(state is not None for state in states[1:]):
        raise RowsMixed("an operand that should be constant depends on the input")
    return states[0]


def apart_from(axes: Callable[[Operation], Sequence[int]]) -> RowRule:
    """The operation mixes numbers along ``axes``, and keeps all axes: softmax, flip, pad."""

    def rule(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
        rows = only_first(states)
        if rows.axis in axes(op):
            raise RowsMixed(f"it works along axis {rows.axis}, which counts rows")
        return everywhere(op, rows)

    return rule


def last_axis(op: Operation) -> Sequence[int]:
    """The axis of operations that always work along the last."""
    return (len(op.operand_types[0].shape) - 1,)


def reshaped(op: Operation, states: Sequence[State], batch: int) -> RowPlan:
    """The axis before which as many numbers lie as before the rows' axis now."""
    rows = only_first(states)
    before, after = op.operand_types[0].shape, op.result_types[0].shape
    outer = prod(before[: rows.axis])
    if 0 in before:
        raise RowsMixed("the tensor is empty")
    axes = [axis for axis in range(len(after)) if prod(after[:axis]) == outer and after[axis] % batch == 0]
    if not axes:
        raise RowsMixed("it splits rows up, or joins them with an axis before them")
    axis = next((axis for axis in axes if after[axis] == batch), axes[0])
    return everywhere(op, Rows(axis, after[axis] // batch))


def _agreed(found: set[Rows]) -> Rows:
    if len(found) != 1:
        raise RowsMixed("its operands hold rows along different axes")
    return next(iter(found))
