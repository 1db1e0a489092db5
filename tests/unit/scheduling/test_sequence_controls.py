from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.builders import request, tensor
from tests.unit.scheduling.sequence_builders import CONTROLS
from tritium.core.model_config import SequenceBatching, SequenceControl, SequenceControlInput
from tritium.core.request import SEQUENCE_END, SEQUENCE_START
from tritium.core.tensor import DataType, Tensor
from tritium.errors import InvalidArgumentError
from tritium.scheduling.sequence_controls import SequenceControls, is_empty_row


def controls(
    *, batches: bool = True, inputs: tuple[SequenceControlInput, ...] = CONTROLS
) -> SequenceControls:
    return SequenceControls(SequenceBatching(control_input=inputs), "m", batches=batches)


def correlation(data_type: str) -> SequenceControls:
    control = SequenceControl("CONTROL_SEQUENCE_CORRID", data_type=data_type)
    return controls(inputs=(SequenceControlInput("ID", (control,)),))


def values(tensors: list[Tensor]) -> dict[str, tuple[DataType, list[Any]]]:
    return {t.name: (t.datatype, t.array().ravel().tolist()) for t in tensors}


@pytest.mark.parametrize("flags", [0, SEQUENCE_START, SEQUENCE_END, SEQUENCE_START | SEQUENCE_END])
def test_flags_become_tensors_of_the_type_that_the_configuration_gives_a_pair_for(flags: int) -> None:
    assert values(controls().tensors(7, flags)) == {
        "START": (DataType.INT32, [int(bool(flags & SEQUENCE_START))]),
        "END": (DataType.BOOL, [bool(flags & SEQUENCE_END)]),
        "READY": (DataType.FP32, [1.0]),
        "ID": (DataType.UINT64, [7]),
    }


def test_the_values_for_no_and_yes_are_those_of_the_configuration() -> None:
    start = SequenceControl("CONTROL_SEQUENCE_START", fp32_false_true=(-2.5, 4.0))
    made = controls(inputs=(SequenceControlInput("S", (start,)),))
    assert values(made.tensors(1, 0)) == {"S": (DataType.FP32, [-2.5])}
    assert values(made.tensors(1, SEQUENCE_START)) == {"S": (DataType.FP32, [4.0])}


def test_a_control_has_a_batch_dimension_where_the_model_has_one() -> None:
    assert {t.shape for t in controls().tensors(7, 0)} == {(1, 1)}
    assert {t.shape for t in controls(batches=False).tensors(7, 0)} == {(1,)}


@pytest.mark.parametrize(
    ("data_type", "given", "told"),
    [
        ("TYPE_UINT64", 2**64 - 1, 2**64 - 1),
        ("TYPE_INT64", 2**64 - 5, -5),
        ("TYPE_UINT32", 2**40 + 7, 7),
        ("TYPE_INT32", 2**40 + 7, 7),
        ("TYPE_STRING", "höh", "höh".encode()),
        ("TYPE_STRING", 77, b"77"),
    ],
)
def test_the_id_has_the_type_that_the_configuration_gives(
    data_type: str, given: int | str, told: int | bytes
) -> None:
    made = correlation(data_type)
    made.check(given)
    assert made.tensors(given, 0)[0].array().tolist() == [[told]]


def test_a_string_cannot_be_told_as_a_number() -> None:
    with pytest.raises(InvalidArgumentError, match="control 'ID' takes ids of type INT32, not strings"):
        correlation("TYPE_INT32").check("abc")
    controls(inputs=CONTROLS[:2]).check("abc")


def test_an_empty_row_is_not_ready_and_all_zeros() -> None:
    made = controls()
    like = request(tensor([[1.0, 2.0]]), tensor(np.array([[b"abc", b""]], object), "TEXT"))
    like.inputs += made.tensors(7, SEQUENCE_START | SEQUENCE_END)
    row = made.empty_row(like)
    assert is_empty_row(row)
    assert not is_empty_row(like)
    assert (row.correlation_id, row.flags, row.id) == (0, 0, "")
    assert values(row.inputs) == {
        "IN": (DataType.FP32, [0.0, 0.0]),
        "TEXT": (DataType.BYTES, [b"", b""]),
        "START": (DataType.INT32, [0]),
        "END": (DataType.BOOL, [False]),
        "READY": (DataType.FP32, [0.0]),
        "ID": (DataType.UINT64, [0]),
    }
    assert [t.shape for t in row.inputs] == [t.shape for t in like.inputs]


def test_an_empty_row_has_an_empty_string_for_an_id() -> None:
    made = correlation("TYPE_STRING")
    like = request()
    like.inputs += made.tensors("abc", 0)
    assert made.empty_row(like).inputs[-1].array().tolist() == [[b""]]
