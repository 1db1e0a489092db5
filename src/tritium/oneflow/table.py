"""Every operation of OneFlow that can be translated, by its name in the file."""

from __future__ import annotations

from tritium.oneflow.elementwise import ELEMENTWISE
from tritium.oneflow.layers import LAYERS
from tritium.oneflow.matrices import MATRICES
from tritium.oneflow.operation import Table
from tritium.oneflow.reductions import REDUCTIONS
from tritium.oneflow.resizing import RESIZING
from tritium.oneflow.selections import SELECTIONS
from tritium.oneflow.shapes import SHAPES

OPERATIONS: Table = {**ELEMENTWISE, **LAYERS, **MATRICES, **SHAPES, **SELECTIONS, **REDUCTIONS, **RESIZING}
