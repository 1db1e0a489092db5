from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.oneflow.operations import check, floats, random
from tritium.oneflow.matrices import MATRICES

PLAIN: dict[str, Any] = {"transpose_a": False, "transpose_b": False, "alpha": 1.0}
SWAPPED: dict[str, Any] = {"transpose_a": False, "transpose_b": True, "alpha": 0.5}
W = random.standard_normal((5, 6)).astype(np.float32)
TESTED = set(MATRICES)


@pytest.mark.parametrize(
    ("kind", "shape"), [("matmul", ()), ("broadcast_matmul", (4,)), ("broadcast_matmul", (2, 4))]
)
def test_rows_times_a_constant(kind: str, shape: tuple[int, ...]) -> None:
    x = floats(*shape, 5)
    check(kind, [x, W], x @ W, constant=[1], **PLAIN)
    check(kind, [x, W.T], x @ W * np.float32(0.5), constant=[1], **SWAPPED)


def test_stacks_of_matrices() -> None:
    a, b = floats(2, 4, 5), floats(2, 5, 6)
    check("batch_matmul", [a, b], a @ b, **PLAIN)
    check("batch_matmul", [a, np.swapaxes(b, 2, 3)], a @ b * np.float32(0.5), **SWAPPED)
    first: dict[str, Any] = {"transpose_a": True, "transpose_b": False, "alpha": 1.0}
    check("batch_matmul", [np.swapaxes(a, 2, 3), b], a @ b, **first)


def test_a_constant_stack_is_repeated_for_each_row() -> None:
    x, stack = floats(2, 4, 5), random.standard_normal((1, 2, 5, 6)).astype(np.float32)
    check("batch_matmul", [x, stack], x @ stack, constant=[1], **PLAIN)
    check("batch_matmul", [x[:, 0], stack[0, :1]], x[:, 0] @ stack[0, 0], constant=[1], **PLAIN)


def test_a_constant_times_rows() -> None:
    x, left = floats(5, 3), random.standard_normal((1, 4, 5)).astype(np.float32)
    check("batch_matmul", [left, x], left @ x, constant=[0], **PLAIN)


def test_products_of_rows_with_rows_keep_the_saved_batch() -> None:
    x = floats(4)
    each = (x * x).sum(1, keepdims=True)
    check("matmul", [x, x], each, variable=False, **{**PLAIN, "transpose_b": True})
