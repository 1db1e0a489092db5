from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tritium_worker.byte_strings import deserialize_bytes_tensor, serialize_byte_tensor
from tritium_worker.errors import TritonModelException

CASES: list[tuple[list[Any], bytes]] = [
    ([], b""),
    ([b""], b"\x00\x00\x00\x00"),
    ([b"a", b"bc"], b"\x01\x00\x00\x00a\x02\x00\x00\x00bc"),
    ([b"\x00" * 300], b"\x2c\x01\x00\x00" + b"\x00" * 300),
]


@pytest.mark.parametrize(("elements", "encoded"), CASES)
def test_strings_go_both_ways(elements: list[bytes], encoded: bytes) -> None:
    array = np.array(elements, dtype=object)
    assert serialize_byte_tensor(array) == encoded
    decoded = deserialize_bytes_tensor(encoded)
    assert decoded.dtype == np.object_
    assert decoded.tolist() == elements


def test_elements_of_equal_length_stay_strings() -> None:
    assert deserialize_bytes_tensor(b"\x01\x00\x00\x00a\x01\x00\x00\x00b").shape == (2,)


def test_rows_follow_each_other() -> None:
    array = np.array([[b"a", b"b"], [b"c", b"d"]], dtype=object)
    assert deserialize_bytes_tensor(serialize_byte_tensor(array.T)).tolist() == [b"a", b"c", b"b", b"d"]


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (
            b"\x01\x00\x00\x00a\x01\x00",
            "incomplete string length indicator at byte 5: expecting 4 bytes but only 2 bytes available",
        ),
        (
            b"\x05\x00\x00\x00a",
            "incomplete string data at byte 4: expecting string of length 5 but only 1 bytes available",
        ),
    ],
)
def test_a_buffer_that_ends_too_early_is_refused(encoded: bytes, text: str) -> None:
    with pytest.raises(TritonModelException, match=f"^{text}$"):
        deserialize_bytes_tensor(encoded)


def test_arrays_of_other_dtypes_are_refused() -> None:
    with pytest.raises(TritonModelException, match=r"got <U1: convert it with array\.astype\(object\)\.$"):
        serialize_byte_tensor(np.array(["a"]))
