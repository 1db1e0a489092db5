"""The classification extension: an output's largest elements as ``value:index:label`` strings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tritium.core.tensor import DataType, Tensor
from tritium.errors import InvalidArgumentError

_UNSUPPORTED = (DataType.BOOL, DataType.BYTES, DataType.FP16, DataType.BF16)
MAX_CLASSES = 1_000_000  # as newer Triton


def classify(tensor: Tensor, count: int, labels: Sequence[str], *, batching: bool) -> Tensor:
    """The top ``count`` elements of each row.

    Args:
        tensor: shape [rows, ...] if ``batching``, else one row of any shape; rows are flattened.

    Returns:
        BYTES of shape [rows, n] or [n], n = min(count, elements of a row), largest first.

    Raises:
        InvalidArgumentError: elements of this datatype have no order.
    """
    if tensor.datatype in _UNSUPPORTED:
        raise InvalidArgumentError(
            f"class result not available for output due to unsupported type '{tensor.datatype.value}'"
        )
    array = tensor.array()
    row_shape = array.shape[1:] if batching else array.shape
    rows = array.reshape(array.shape[0] if batching and array.ndim else 1, math.prod(row_shape))
    shown = min(count, rows.shape[1], MAX_CLASSES)
    is_float = tensor.datatype.numpy.kind == "f"
    texts = np.empty((rows.shape[0], shown), dtype=object)
    for row_index, row in enumerate(rows):
        order = np.argsort(-row if is_float else -row.astype(object), kind="stable")[:shown]
        for place, index in enumerate(order.tolist()):
            value = f"{row[index]:f}" if is_float else str(row[index])
            label = f":{labels[index]}" if index < len(labels) else ""
            texts[row_index, place] = f"{value}:{index}{label}"
    return Tensor.from_array(tensor.name, texts if batching else texts[0], DataType.BYTES)
