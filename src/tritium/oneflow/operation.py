"""What the table holds of one kind of operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tritium.oneflow.emitter import Emitter
from tritium.oneflow.graph import Operation
from tritium.oneflow.rows import RowRule

# Writes one operation: from the ONNX names of its operands to those of its results, or the first of them.
Translate = Callable[[Emitter, Operation, Sequence[str]], "str | Sequence[str]"]


@dataclass(frozen=True, slots=True)
class Translation:
    """How one kind of operation is written, what becomes of rows in it, and how many operands it may have."""

    write: Translate
    rows: RowRule
    operands: tuple[int, int]  # least and most


Table = Mapping[str, Translation]
MANY = 10_000
