from __future__ import annotations

import pytest

from tritium.config.advice import advise_field, advise_value

KINDS = ("KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL")
TYPES = ("TYPE_INVALID", "TYPE_INT32", "TYPE_FP32", "TYPE_STRING")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("dtype", "data_type"), ("DataType", "data_type"), ("shape", "dims"), ("names", "name")],
)
def test_names_the_field_that_was_meant(wrong: str, meant: str) -> None:
    assert advise_field(wrong, ("name", "data_type", "dims")) == f"Did you mean '{meant}'?"


def test_lists_the_fields_of_a_small_message_and_not_those_of_a_large_one() -> None:
    assert advise_field("zzz", ("name", "dims")) == "Its fields are: name, dims."
    assert advise_field("zzz", tuple(f"field{i}" for i in range(20))) == "Remove it."


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("BYTES", "TYPE_STRING"),
        ("TYPE_BYTES", "TYPE_STRING"),
        ("int32", "TYPE_INT32"),
        ("TYPE_INT3", "TYPE_INT32"),
    ],
)
def test_names_the_value_that_was_meant_and_all_that_may_be_written(wrong: str, meant: str) -> None:
    assert (
        advise_value(wrong, TYPES)
        == f"Did you mean {meant}? The values are: TYPE_INT32, TYPE_FP32, TYPE_STRING."
    )


def test_a_quoted_value_is_to_be_written_without_quotes() -> None:
    assert advise_value('"KIND_CPU"', KINDS).startswith("Write it without quotes: KIND_CPU. The values are: ")


def test_lists_the_values_when_nothing_is_near() -> None:
    assert advise_value("zzz", KINDS) == "The values are: KIND_AUTO, KIND_GPU, KIND_CPU, KIND_MODEL."
