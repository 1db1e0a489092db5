"""Whether a saved graph runs at any batch size: the proof by the rules of ``rows``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tritium.oneflow.graph import CONTRADICTIONS, Graph, Operation
from tritium.oneflow.rows import RowPlan, Rows, RowsMixed, State
from tritium.oneflow.table import OPERATIONS


@dataclass(frozen=True, slots=True)
class Batch:
    """What is known of a graph's batch dimension.

    ``saved`` is the first dimension that all inputs and outputs share, or 0 where they share none.
    ``variable`` says that the graph is proven to work row by row; else ``reason`` says why not.
    """

    saved: int
    variable: bool
    reason: str = ""
    rows: Mapping[str, State] = field(default_factory=dict)  # by value; empty unless variable
    tiled: Mapping[tuple[str, int], Rows] = field(default_factory=dict)  # by the first result and the operand


def find_batch(graph: Graph) -> Batch:
    """Try the proof. Operations that are not in the table count as mixing rows."""
    saved = _shared_leading_dimension(graph)
    if not saved:
        return Batch(0, False, "its inputs and outputs have no first dimension in common")
    if not graph.inputs:
        return Batch(0, False, "it has no inputs")
    rows: dict[str, State] = {port.value: Rows(0) for port in graph.inputs}
    rows.update((parameter.value, None) for parameter in graph.parameters)
    tiled: dict[tuple[str, int], Rows] = {}
    for op in graph.operations:
        try:
            plan = _plan(op, rows, saved)
        except RowsMixed as mixed:
            return Batch(saved, False, f"{op.place} keeps rows apart no longer: {mixed}")
        rows.update(zip(op.results, plan.results, strict=True))
        tiled.update({(op.results[0], index): wanted for index, wanted in plan.tiled.items()})
    for index, port in enumerate(graph.outputs):
        if rows[port.value] != Rows(0):
            return Batch(saved, False, f"OUTPUT_{index} does not have one row for each row of the input")
    return Batch(saved, True, "", rows, tiled)


def _plan(op: Operation, rows: Mapping[str, State], batch: int) -> RowPlan:
    states = [rows[value] for value in op.operands]
    if not any(states):
        return RowPlan((None,) * len(op.results))
    known = OPERATIONS.get(op.kind)
    least, most = known.operands if known is not None else (0, -1)
    if known is None or not least <= len(op.operands) <= most or not op.results:
        raise RowsMixed("it is not known in this form")
    try:
        return known.rows(op, states, batch)
    except CONTRADICTIONS as error:
        raise op.error(f"its attributes and shapes contradict each other: {error}") from error


def _shared_leading_dimension(graph: Graph) -> int:
    shapes = [port.type.shape for port in (*graph.inputs, *graph.outputs)]
    leading = {shape[0] if shape else 0 for shape in shapes}
    return leading.pop() if len(leading) == 1 else 0
