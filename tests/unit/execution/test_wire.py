from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.builders import Answers, request, tensor
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import DataType, Tensor
from tritium.errors import ErrorCode, InternalError
from tritium.execution.wire import WireCodec
from tritium.execution.worker import Worker
from tritium.worker_root.tritium_worker import frames
from tritium.worker_root.tritium_worker.arena import THRESHOLD_BYTES, ArenaReader, ArenaWriter
from tritium.worker_root.tritium_worker.frames import INLINE, PartView

LARGE = THRESHOLD_BYTES // 4  # elements of FP32


@dataclass
class Peer:
    """As much of a worker as the codec sees."""

    name: str = "echo_0"
    inputs: ArenaWriter | None = None
    outputs: ArenaReader | None = None


def worker(inputs: ArenaWriter | None = None, outputs: ArenaReader | None = None) -> Worker:
    return cast(Worker, Peer(inputs=inputs, outputs=outputs))


@pytest.fixture
def fd() -> Iterator[int]:
    number = os.memfd_create("arena")
    yield number
    os.close(number)


def encode(one: InferenceRequest, codec: WireCodec | None = None, peer: Worker | None = None) -> PartView:
    """The part as the other side receives it."""
    part = (codec or WireCodec()).encode(one, peer or worker(), 7)
    body = b"".join(frames.encode_batch(frames.EXECUTE, 1, [part]))[frames.HEAD.size :]
    (received,) = frames.decode_parts(memoryview(body), frames.BATCH.size, 1)
    return received


def result(spec: Any, inline: bytes = b"", meta: Any = None, places: tuple[int, ...] = ()) -> PartView:
    meta_bytes = json.dumps(meta).encode() if meta is not None else b""
    return json.dumps([spec, []]).encode(), meta_bytes, places, memoryview(inline), 0


def decode(part: PartView, peer: Worker | None = None) -> InferenceResponse:
    return WireCodec().decode(part, peer or worker())


def test_small_tensors_travel_in_the_frame() -> None:
    spec, meta, places, inline, slot = encode(request(tensor([[1.0]], "A"), tensor(np.array([["ab"]]), "B")))
    assert json.loads(spec) == [[["A", "FP32", [1, 1], 4], ["B", "BYTES", [1, 1], 6]], []]
    assert (meta, places, slot) == (b"", (), 7)
    assert bytes(inline) == np.float32(1).tobytes() + b"\x02\x00\x00\x00ab"


def test_large_tensors_travel_in_the_arena(fd: int) -> None:
    big = np.arange(LARGE, dtype=np.float32)
    peer = worker(ArenaWriter(fd, 1 << 20))
    _, _, places, inline, _ = encode(request(tensor([1.0], "SMALL"), tensor(big, "BIG")), peer=peer)
    assert places[0] == INLINE
    assert bytes(inline) == np.float32(1).tobytes()
    assert bytes(ArenaReader(fd).view(places[1], big.nbytes)) == big.tobytes()


@pytest.mark.parametrize("limit_bytes", [None, 0])
def test_without_room_in_an_arena_large_tensors_travel_in_the_frame(fd: int, limit_bytes: int | None) -> None:
    peer = worker(ArenaWriter(fd, limit_bytes) if limit_bytes is not None else None)
    _, _, places, inline, _ = encode(request(tensor(np.zeros(LARGE, np.float32))), peer=peer)
    assert set(places) <= {INLINE}
    assert len(inline) == LARGE * 4


def test_the_model_sees_what_was_asked_for_or_else_all_declared_outputs() -> None:
    codec = WireCodec()
    codec.declare_outputs(("A", "B"))
    assert json.loads(encode(request(), codec)[0])[1] == ["A", "B"]
    assert json.loads(encode(request(requested_outputs=("B",)), codec)[0])[1] == ["B"]


def test_the_model_sees_what_the_request_says_beside_its_tensors() -> None:
    one = request(
        name="q", parameters={"x": 1, "y": "z"}, correlation_id="s", flags=3, priority=4, timeout_us=9
    )
    assert json.loads(encode(one)[1]) == {
        "id": "q",
        "parameters": {"x": 1, "y": "z"},
        "correlation_id": "s",
        "flags": 3,
        "timeout_us": 9,
        "priority": 4,
    }


def test_the_tensors_of_one_form_are_described_once_and_carry_their_own_bytes() -> None:
    codec, form = WireCodec(), object()
    first = codec.encode(request(tensor([[1.0]]), parameters={"x": 1}, form=form), worker(), 1)
    second = codec.encode(request(tensor([[2.0]]), parameters={"x": 2}, form=form), worker(), 2)
    assert first[0] is second[0]
    assert [bytes(part[1]) for part in (first, second)] == [
        b'{"parameters":{"x":1}}',
        b'{"parameters":{"x":2}}',
    ]
    assert b"".join(second[3]) == np.float32(2).tobytes()
    assert (first[4], second[4]) == (1, 2)


def call_part(value: float, **meta: Any) -> PartView:
    spec = json.dumps([[["IN", "FP32", [1], 4]], ["OUT"]]).encode()
    meta_bytes = json.dumps({"model": "m", "version": -1, "decoupled": False, **meta}).encode()
    return spec, meta_bytes, (), memoryview(np.float32(value).tobytes()), 0


def test_calls_that_differ_in_their_bytes_only_have_one_form() -> None:
    codec = WireCodec()
    calls = [
        codec.decode_call(part, worker(), ResponseStream(Answers()))[0]
        for part in (call_part(1), call_part(2), call_part(2, id="x"))
    ]
    assert [one.inputs[0].array().tolist() for one in calls] == [[1.0], [2.0], [2.0]]
    assert [one.id for one in calls] == ["", "", "x"]
    assert calls[0].form is calls[1].form is not None
    assert calls[2].form is not calls[0].form


def test_requests_of_one_form_carry_their_own_ids() -> None:
    codec, form = WireCodec(), object()
    parts = [codec.encode(request(name=name, form=form), worker(), 0) for name in ("a", "", "b")]
    assert [bytes(part[1]) for part in parts] == [b'{"id":"a"}', b"", b'{"id":"b"}']
    assert parts[0][0] is parts[1][0] is parts[2][0]


def test_the_memory_of_forms_is_bounded() -> None:
    codec = WireCodec()
    forms = [object() for _ in range(1100)]
    parts = [codec.encode(request(form=form), worker(), 0) for form in forms]
    assert codec.encode(request(form=forms[-1]), worker(), 0)[0] is parts[-1][0]
    assert codec.encode(request(form=forms[0]), worker(), 0)[0] is not parts[0][0]


def test_a_response_is_made_of_views_of_its_frame() -> None:
    response = decode(result([["A", "FP32", [1, 2], 8], ["B", "INT8", [1], 1]], bytes(8) + b"\x05"))
    assert [(t.name, t.datatype, t.shape) for t in response.outputs] == [
        ("A", DataType.FP32, (1, 2)),
        ("B", DataType.INT8, (1,)),
    ]
    assert response.outputs[1].array().tolist() == [5]
    assert response.error is None


def test_large_outputs_are_views_of_the_arena(fd: int) -> None:
    big = np.arange(LARGE, dtype=np.float32)
    place = ArenaWriter(fd, 1 << 20).place(big.data.cast("B"))
    assert place is not None
    spec = [["A", "FP32", [1], 4], ["BIG", "FP32", [LARGE], big.nbytes], ["C", "FP32", [1], 4]]
    part = result(spec, np.array([1, 2], "<f4").tobytes(), places=(INLINE, place, INLINE))
    response = decode(part, worker(outputs=ArenaReader(fd)))
    assert [t.array().tolist() for t in response.outputs if t.name != "BIG"] == [[1.0], [2.0]]
    assert np.array_equal(response.outputs[1].array(), big)


def test_an_arena_that_is_not_there_is_the_workers_fault() -> None:
    with pytest.raises(
        InternalError, match="worker 'echo_0' placed a tensor in shared memory that it has not"
    ):
        decode(result([["A", "FP32", [1], 4]], places=(0,)))


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_keeps_its_code_and_text(code: ErrorCode) -> None:
    response = decode(result([], meta={"error": [int(code), "the model's words"]}))
    assert response.error is not None
    assert (response.error.code, str(response.error)) == (code, "the model's words")
    assert response.outputs == []


def test_parameters_of_a_response_come_through() -> None:
    assert decode(result([], meta={"parameters": {"x": 1}})).parameters == {"x": 1}


def test_the_memory_of_responses_is_bounded_and_makes_no_difference() -> None:
    codec = WireCodec()
    for index in [*range(1100), 0, 1]:
        response = codec.decode(result([[f"A{index}", "INT8", [1], 1]], bytes([index % 100])), worker())
        assert [(t.name, t.array().tolist()) for t in response.outputs] == [(f"A{index}", [index % 100])]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(DataType)), st.binary(max_size=24)), min_size=1, max_size=4))
def test_any_tensors_come_back_from_a_worker_that_echoes(parts: list[tuple[DataType, bytes]]) -> None:
    tensors = [Tensor(f"T{i}", datatype, (len(raw),), raw) for i, (datatype, raw) in enumerate(parts)]
    spec, _, places, inline, slot = encode(request(*tensors))
    response = decode((spec, b"", places, inline, slot))
    assert [(t.name, t.datatype, t.shape, bytes(t.buffer)) for t in response.outputs] == [
        (t.name, t.datatype, t.shape, t.buffer) for t in tensors
    ]
