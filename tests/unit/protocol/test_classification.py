from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tritium.core.tensor import DataType, Tensor
from tritium.errors import InvalidArgumentError
from tritium.protocol.classification import classify


def texts(
    array: np.ndarray[Any, Any], count: int, labels: tuple[str, ...] = (), *, batching: bool = True
) -> list[Any]:
    found = classify(Tensor.from_array("OUT", array), count, labels, batching=batching)
    assert (found.name, found.datatype) == ("OUT", DataType.BYTES)
    elements: list[Any] = found.array().tolist()
    return elements


def test_the_largest_elements_of_each_row_come_first() -> None:
    array = np.array([[1.0, 3.3, 2.0], [9.0, 7.0, 8.0]])
    assert texts(array, 2) == [[b"3.300000:1", b"2.000000:2"], [b"9.000000:0", b"8.000000:2"]]


def test_labels_follow_the_index_as_far_as_they_reach() -> None:
    assert texts(np.array([[1.0, 3.0]]), 2, ("cat",)) == [[b"3.000000:1", b"1.000000:0:cat"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e10, b"10000000000.000000:0"),
        (1e-7, b"0.000000:0"),
        (-1.5, b"-1.500000:0"),
        (float("inf"), b"inf:0"),
    ],
)
def test_floats_have_six_decimals(value: float, text: bytes) -> None:
    assert texts(np.array([[value]], np.float64), 1) == [[text]]


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"])
def test_integers_are_plain_and_sorted_at_their_limits(dtype: str) -> None:
    info = np.iinfo(dtype)
    array = np.array([[info.min, 7, info.max]], dtype)
    assert texts(array, 3)[0] == [
        f"{info.max}:2".encode(),
        b"7:1",
        f"{info.min}:0".encode(),
    ]


def test_equal_elements_keep_their_order() -> None:
    assert texts(np.array([[5, 5, 5]]), 3) == [[b"5:0", b"5:1", b"5:2"]]


def test_a_row_of_many_dimensions_is_flattened() -> None:
    assert texts(np.arange(8).reshape(1, 2, 2, 2), 1) == [[b"7:7"]]


def test_a_model_that_does_not_batch_has_one_row() -> None:
    assert texts(np.array([[1, 2], [4, 3]]), 3, batching=False) == [b"4:2", b"3:3", b"2:1"]
    assert texts(np.array(4), 3, batching=False) == [b"4:0"]


@pytest.mark.parametrize(("shape", "expected"), [((0, 3), []), ((2, 0), [[], []])])
def test_nothing_has_no_classes(shape: tuple[int, ...], expected: list[Any]) -> None:
    assert texts(np.zeros(shape), 5) == expected


@pytest.mark.parametrize("datatype", [DataType.BOOL, DataType.BYTES, DataType.FP16, DataType.BF16])
def test_datatypes_without_an_order_are_refused(datatype: DataType) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        classify(Tensor("OUT", datatype, (1, 1), b"\0\0\0\0"), 1, (), batching=True)
    assert str(caught.value) == (
        f"class result not available for output due to unsupported type '{datatype.value}'"
    )
