from __future__ import annotations

import numpy as np
import pytest

from tests.unit.oneflow.operations import check, floats, random
from tritium.errors import ConfigError, UnsupportedError
from tritium.oneflow.selections import SELECTIONS

X = floats(4, 6)
TABLE = random.standard_normal((9, 5)).astype(np.float32)
TESTED = set(SELECTIONS)


def test_slices() -> None:
    check("slice", [X], X[:, 1:3, ::2].copy(), start=(0, 1, 0), stop=(1, 3, 6), step=(1, 1, 2))
    check("slice", [X], X, start=(0, 0, 0), stop=(1, 4, 6), step=(1, 1, 1))
    check("narrow", [X], X[:, :, 2:5].copy(), dim=2, start=2, length=3)
    check("narrow", [X], X[:, 3:].copy(), dim=1, start=-1, length=1)
    with pytest.raises(UnsupportedError, match="a slice that goes backwards"):
        check("slice", [X], X, start=(0, 3, 0), stop=(1, 0, 6), step=(1, -1, 1))
    with pytest.raises(ConfigError, match="one number for each axis"):
        check("slice", [X], X, start=(0,), stop=(1, 0, 6), step=(1, 1, 1))


def test_rows_of_a_table_by_rows_of_indices() -> None:
    indices = random.integers(0, 9, (3, 4))
    check("gather", [TABLE, indices], TABLE[indices], constant=[0], axis=0)
    check("gather", [TABLE, indices.astype(np.int32)], TABLE[indices], constant=[0], axis=0)


def test_parts_of_rows_by_constant_indices() -> None:
    indices = np.array([[3, 1], [0, 0]])
    check("gather", [X, indices], X[:, indices], constant=[1], axis=1)


def test_gathering_points() -> None:
    points = random.integers(0, 5, (3, 4, 2))
    expected = TABLE[points[..., 0], points[..., 1]]
    check("gather_nd", [TABLE, points], expected, constant=[0])
    check("gather_nd", [TABLE, points.astype(np.int32)], expected, constant=[0])


def test_gathering_along_an_axis() -> None:
    indices = random.integers(0, 4, (3, 2, 6))
    expected = np.take_along_axis(X, indices, 1)
    check("dim_gather", [X, indices], expected, dim=1)
    same = np.repeat(indices[:1], 3, 0)
    check("dim_gather", [X, same[:1]], np.take_along_axis(X, same, 1), constant=[1], dim=1)


def test_sorting_and_searching() -> None:
    order = np.argsort(X, -1)
    check("arg_sort", [X], order.astype(np.int32), direction="ASCENDING")
    check("arg_sort", [X], order[..., ::-1].astype(np.int32), direction="DESCENDING")
    check("sort", [X], np.sort(X, -1), direction="ASCENDING")
    check("top_k", [X], order[..., ::-1][..., :2].copy(), k=2, sorted=True)
    check("argmax", [X], X.argmax(-1))
    with pytest.raises(ConfigError, match="direction is 'UP'"):
        check("sort", [X], X, direction="UP")


def test_searching_along_the_rows_keeps_the_saved_batch() -> None:
    row = floats()
    check("sort", [row], row, variable=False, direction="ASCENDING")
