from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.builders import Answers, request, tensor
from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import DataType, Tensor
from tritium.protocol.request_form import MAX_FORM_BYTES, form_of

HEADER = b"{json}"


def checked(**changes: Any) -> InferenceRequest:
    """A request that a model has checked: two binary tensors of 8 and 2 bytes."""
    inputs = (tensor([[1.0, 2.0]], "A"), tensor(np.array([[3]], np.int16), "B"))
    return request(*inputs, name="q", rows=1, parameters={"x": 1}, requested_outputs=("OUT",), **changes)


def test_the_next_request_differs_in_its_bytes_only() -> None:
    pattern = checked(priority=3, timeout_us=4, correlation_id=5, flags=1)
    form = form_of(pattern, len(HEADER), len(HEADER) + 10)
    assert form is not None
    assert form.size == len(HEADER) + 10
    stream = ResponseStream(Answers())
    made = form.request(memoryview(HEADER + np.array([7.0, 8.0], "<f4").tobytes() + b"\x09\x00"), stream)
    assert [(t.name, t.datatype, t.shape, t.array().tolist()) for t in made.inputs] == [
        ("A", DataType.FP32, (1, 2), [[7.0, 8.0]]),
        ("B", DataType.INT16, (1, 1), [[9]]),
    ]
    assert made.stream is stream
    assert (made.id, made.parameters, made.requested_outputs) == ("q", {"x": 1}, ("OUT",))
    assert (made.priority, made.timeout_us, made.correlation_id, made.flags) == (3, 4, 5, 1)
    assert (made.batch_size, made.arrival_ns) == (1, 0)


def test_requests_of_one_form_say_so() -> None:
    form = form_of(checked(), 0, 10)
    assert form is not None
    one, other = (form.request(memoryview(bytes(10)), ResponseStream(Answers())) for _ in range(2))
    assert one.form is other.form is not None


def test_the_request_that_was_taken_as_pattern_keeps_its_inputs() -> None:
    pattern = checked()
    form_of(pattern, 0, 10)
    assert [t.name for t in pattern.inputs] == ["A", "B"]


@pytest.mark.parametrize(
    ("pattern", "header_length", "body_size"),
    [
        (checked(), MAX_FORM_BYTES + 1, MAX_FORM_BYTES + 11),
        (checked(), 6, 6),
        (request(Tensor("S", DataType.BYTES, (1,), b"\0\0\0\0")), 6, 10),
    ],
    ids=["long JSON", "tensors in JSON", "strings"],
)
def test_requests_that_need_a_look_each_time_have_no_form(
    pattern: InferenceRequest, header_length: int, body_size: int
) -> None:
    assert form_of(pattern, header_length, body_size) is None


def test_a_request_without_inputs_has_no_form() -> None:
    empty = request()
    empty.inputs = []
    assert form_of(empty, 6, 6) is None
