"""Tests for ``tritium_worker.oneflow_batches``, with graphs that are functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tritium_worker.oneflow_batches import Batches


class FakeGraph:
    """Adds one; answers with the same memory every time, as OneFlow does."""

    def __init__(self, rows: int, wrong: float = 0.0) -> None:
        self.activation_bytes = rows << 20
        self.rows = rows
        self.runs = 0
        self._wrong = wrong
        self._result = np.zeros((rows, 2), np.float32)

    def run(self, arrays: Any) -> list[Any]:
        assert [array.shape for array in arrays] == [(self.rows, 2)]
        assert all(array.flags.c_contiguous for array in arrays)
        self.runs += 1
        self._result[:] = arrays[0] + 1 + self._wrong
        return [self._result]


class Maker:
    """Makes graphs, and remembers them."""

    def __init__(self, make: Callable[[int], FakeGraph] = FakeGraph) -> None:
        self.made: dict[int, FakeGraph] = {}
        self._make = make

    def __call__(self, rows: int) -> FakeGraph:
        self.made[rows] = self._make(rows)
        return self.made[rows]


def batches(
    maker: Maker, warnings: list[str], *, saved: int = 1, limit: int = 8, memory_mb: int = 100
) -> Batches:
    types = [((saved, 2), "float32")]
    return Batches(saved, limit, types, maker, memory_mb << 20, warnings.append)


def rows(count: int) -> Any:
    return np.arange(2 * count, dtype=np.float32).reshape(count, 2)


def test_sizes_are_compiled_when_they_are_needed_and_filled_up() -> None:
    maker, warnings = Maker(), list[str]()
    model = batches(maker, warnings)
    assert (model.sizes, set(maker.made)) == ([1, 2, 4, 8], {1, 2})  # 2 shows at once whether it works
    for count in (1, 2, 3, 4):
        np.testing.assert_array_equal(model.run([rows(count)])[0], rows(count) + 1)
    assert set(maker.made) == {1, 2, 4}
    np.testing.assert_array_equal(model.run([rows(7)])[0], rows(7) + 1)
    assert set(maker.made) == {1, 2, 4, 8}
    assert warnings == []


def test_results_are_not_overwritten_by_the_next_run() -> None:
    model = batches(Maker(), [])
    first = model.run([rows(2)])[0]
    model.run([rows(2) + 100])
    np.testing.assert_array_equal(first, rows(2) + 1)


def test_the_largest_size_is_the_limit_even_between_powers_of_two() -> None:
    assert batches(Maker(), [], limit=6).sizes == [1, 2, 4, 6]
    assert batches(Maker(), [], limit=1).sizes == [1]
    assert batches(Maker(), [], saved=4, limit=2).sizes == [1, 2, 4]


def test_a_graph_that_cannot_be_compiled_at_another_size_runs_in_parts() -> None:
    def make(size: int) -> FakeGraph:
        if size != 3:
            raise RuntimeError("Element number must be equal")
        return FakeGraph(size)

    maker, warnings = Maker(make), list[str]()
    model = batches(maker, warnings, saved=3)
    np.testing.assert_array_equal(model.run([rows(8)])[0], rows(8) + 1)
    assert (model.sizes, maker.made[3].runs) == ([3], 3)
    assert len(warnings) == 1
    assert "batches run in parts of 3: Element number must be equal" in warnings[0]


def test_a_size_that_computes_something_else_is_not_used() -> None:
    maker, warnings = Maker(lambda size: FakeGraph(size, wrong=0.5 * (size >= 4))), list[str]()
    model = batches(maker, warnings)
    np.testing.assert_array_equal(model.run([rows(4)])[0], rows(4) + 1)
    assert model.sizes == [1]
    assert "output 0 differs between batch 4 and 1" in warnings[0]


def test_memory_has_a_limit_and_smaller_sizes_are_run_again_and_again() -> None:
    maker, warnings = Maker(), list[str]()
    model = batches(maker, warnings, memory_mb=7)  # size 2 takes 2 and 4 takes 4, which leaves 1
    np.testing.assert_array_equal(model.run([rows(8)])[0], rows(8) + 1)
    assert model.sizes == [1, 2, 4]
    assert maker.made[4].runs >= 2
    assert warnings == [
        "batches of 8 rows would take 8 MB of memory, 5 MB are left: they run in smaller parts"
    ]


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_whole_numbers_must_be_the_same(dtype: str) -> None:
    class Whole(FakeGraph):
        def run(self, arrays: Any) -> list[Any]:
            return [arrays[0].astype(dtype) if self.rows == 1 else ~arrays[0].astype(dtype)]

    warnings = list[str]()
    assert batches(Maker(Whole), warnings).sizes == [1]
    assert len(warnings) == 1


def test_what_is_not_a_number_may_be_the_same_on_both_sides() -> None:
    class Odd(FakeGraph):
        def run(self, arrays: Any) -> list[Any]:
            return [np.full((self.rows, 2), [np.nan, np.inf], np.float32)]

    assert batches(Maker(Odd), []).sizes == [1, 2, 4, 8]
