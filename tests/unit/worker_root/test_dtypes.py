from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tritium_worker import dtypes

# Triton's number, name in config.pbtxt, numpy type; observed with the python backend of release 24.10.
TABLE = [
    (1, "TYPE_BOOL", np.bool_),
    (2, "TYPE_UINT8", np.uint8),
    (3, "TYPE_UINT16", np.uint16),
    (4, "TYPE_UINT32", np.uint32),
    (5, "TYPE_UINT64", np.uint64),
    (6, "TYPE_INT8", np.int8),
    (7, "TYPE_INT16", np.int16),
    (8, "TYPE_INT32", np.int32),
    (9, "TYPE_INT64", np.int64),
    (10, "TYPE_FP16", np.float16),
    (11, "TYPE_FP32", np.float32),
    (12, "TYPE_FP64", np.float64),
    (13, "TYPE_STRING", np.object_),
]


@pytest.mark.parametrize(("number", "name", "kind"), TABLE)
def test_the_three_converters_agree_with_triton(number: int, name: str, kind: Any) -> None:
    assert dtypes.triton_to_numpy_type(number) is kind
    assert dtypes.numpy_to_triton_type(kind) == number
    assert dtypes.numpy_to_triton_type(np.dtype(kind)) == number
    assert np.dtype(dtypes.triton_string_to_numpy(name)) == np.dtype(kind)


def test_type_bool_is_pythons_bool() -> None:
    assert dtypes.TRITON_STRING_TO_NUMPY["TYPE_BOOL"] is bool


@pytest.mark.parametrize("number", [-1, 0, 14, 15])
def test_numbers_that_numpy_has_no_type_for_are_none(number: int) -> None:
    assert dtypes.triton_to_numpy_type(number) is None


@pytest.mark.parametrize("kind", [np.str_, np.complex64, "x", np.datetime64])
def test_types_that_triton_has_no_number_for_are_none(kind: Any) -> None:
    assert dtypes.numpy_to_triton_type(kind) is None


def test_bytes_are_strings() -> None:
    assert dtypes.numpy_to_triton_type(np.bytes_) == 13


@pytest.mark.parametrize("name", ["FP32", "BYTES", "TYPE_BF16"])
def test_a_name_that_is_not_in_the_table_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError):
        dtypes.triton_string_to_numpy(name)
