from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.oneflow.operations import check, floats, graph_of, operation
from tests.unit.oneflow.texts import TEXT, write_graph
from tritium.core.tensor import DataType
from tritium.oneflow.batch import Batch, find_batch
from tritium.oneflow.graph import Attribute, TensorType
from tritium.oneflow.reader import read_graph


def batch_of(
    directory: Path,
    kind: str,
    shapes: list[tuple[int, ...]],
    result: tuple[int, ...],
    **attributes: Attribute,
) -> Batch:
    types = [TensorType(DataType.FP32, shape) for shape in shapes]
    op = operation(kind, types, [TensorType(DataType.FP32, result)], **attributes)
    return find_batch(graph_of(op, {}, directory))


def test_a_graph_of_independent_rows_takes_any_batch(tmp_path: Path) -> None:
    batch = find_batch(read_graph(write_graph(tmp_path)))
    assert (batch.variable, batch.saved, batch.reason) == (True, 1, "")


def test_the_operation_that_mixes_rows_is_named(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, "reduce_sum", [(1, 3)], (1, 3), axis=(0,), keepdims=True)
    assert not batch.variable
    assert batch.reason == (
        "1/model/model.mlir, line 7, op 'm-reduce_sum-0' (reduce_sum) keeps rows apart no longer: it "
        "reduces axis 0, "
        "which counts rows"
    )


def test_an_operation_that_is_not_known_mixes_rows(tmp_path: Path) -> None:
    assert "not known" in batch_of(tmp_path, "invented", [(2, 3)], (2, 3)).reason


def test_tensors_without_a_common_first_dimension_are_no_batch(tmp_path: Path) -> None:
    cases: list[tuple[list[tuple[int, ...]], tuple[int, ...]]] = [
        ([(2, 3), (3,)], (2, 3)),
        ([()], ()),
        ([(2, 3)], (3, 2)),
    ]
    for shapes, result in cases:
        found = batch_of(tmp_path, "broadcast_add", shapes, result)
        assert (found.saved, found.variable) == (0, False)


def test_an_output_that_does_not_depend_on_the_input_has_no_rows(tmp_path: Path) -> None:
    text = TEXT.replace("(%0, %output_0)", "(%output_0, %output_0)")
    text = text.replace("(tensor<1x3xf32>, tensor<3xf32>)", "(tensor<3xf32>, tensor<3xf32>)")
    batch = find_batch(read_graph(write_graph(tmp_path, text)))
    assert (batch.variable, batch.reason) == (
        False,
        "OUTPUT_0 does not have one row for each row of the input",
    )


@pytest.mark.parametrize(
    ("shape", "saved", "variable"),
    [
        ((2, 12), (2, 3, 4), True),
        ((2, 12), (4, 6), False),
        ((4, 6), (24,), False),
        ((2, 12), (1, 2, 12), False),
    ],
)
def test_reshapes_of_two_rows(
    shape: tuple[int, ...], saved: tuple[int, ...], variable: bool, tmp_path: Path
) -> None:
    batch = batch_of(tmp_path, "reshape", [shape], saved, shape=saved)
    assert batch.variable is variable


def test_rows_that_are_inside_another_axis_come_out_again() -> None:
    x = floats(2, 3)
    check("reshape", [x], x.reshape(3, 6), shape=(1, 6))
    check("transpose", [np.ascontiguousarray(x)], np.ascontiguousarray(x.transpose(0, 2, 1)), perm=(0, 2, 1))


def test_a_constant_that_has_a_part_for_each_saved_row_keeps_the_saved_batch(tmp_path: Path) -> None:
    types = [TensorType(DataType.FP32, (2, 3))] * 2
    op = operation("broadcast_add", types, types[:1])
    graph = graph_of(op, {1: np.zeros((2, 3), np.float32)}, tmp_path)
    assert find_batch(graph).reason.endswith("a constant has one part for each of the 2 rows")
