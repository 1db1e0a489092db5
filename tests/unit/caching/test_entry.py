from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.unit.builders import tensor
from tritium.caching.entry import Entry
from tritium.core.response import InferenceResponse
from tritium.core.tensor import DataType, Tensor
from tritium.errors import InternalError

RESPONSE = InferenceResponse(
    [tensor([1.0, 2.0], "OUT"), Tensor("TEXT", DataType.BYTES, (1,), b"\2\0\0\0ab")],
    parameters={"a": 1, "b": "x", "c": True, "d": 0.5},
)


def test_an_entry_has_bytes_of_its_own() -> None:
    memory = np.zeros(3, np.float32)
    entry = Entry.of(InferenceResponse([Tensor("OUT", DataType.FP32, (3,), memory.view(np.uint8).data)]))
    memory[:] = 1
    assert entry.outputs[0].array().tolist() == [0, 0, 0]


def test_an_entry_is_the_response_again() -> None:
    again = Entry.of(RESPONSE).response()
    assert [(t.name, t.shape, bytes(t.buffer)) for t in again.outputs] == [
        (t.name, t.shape, bytes(t.buffer)) for t in RESPONSE.outputs
    ]
    assert again.parameters == RESPONSE.parameters


def test_what_one_client_does_to_its_response_no_other_sees() -> None:
    entry = Entry.of(RESPONSE)
    first = entry.response()
    first.outputs.clear()
    assert first.parameters is not None
    first.parameters.clear()
    assert len(entry.response().outputs) == 2
    assert entry.response().parameters == RESPONSE.parameters


def test_an_entry_survives_the_way_to_a_store() -> None:
    entry = Entry.of(RESPONSE)
    assert Entry.decode(entry.encode()) == entry
    nothing = Entry.of(InferenceResponse())
    assert Entry.decode(nothing.encode()) == nothing


def test_the_size_counts_the_bytes() -> None:
    small, large = (Entry.of(InferenceResponse([tensor([0.0] * n)])).nbytes for n in (1, 1001))
    assert large - small == 4000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        msgspec.msgpack.encode([]),
        msgspec.msgpack.encode([[["OUT", "FP99", [1], b"1234"]], None]),
        msgspec.msgpack.encode([[["OUT", "FP32", [2], b"1234"]], None]),
        msgspec.msgpack.encode([[["OUT", "FP32", [-1], b"1234"]], None]),
        msgspec.msgpack.encode([[["OUT", "FP32", [-1, -1], b"1234"]], None]),
        msgspec.msgpack.encode([[["OUT", "FP32", [1], "1234"]], None]),
    ],
)
def test_a_damaged_entry_is_an_error(data: bytes) -> None:
    with pytest.raises(InternalError, match="damaged"):
        Entry.decode(data)
