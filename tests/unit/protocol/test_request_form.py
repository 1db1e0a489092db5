from __future__ import annotations

import numpy as np

from tests.unit.builders import Answers, request, tensor
from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.core.tensor import DataType, Tensor
from tritium.protocol.request_form import RequestForm, can_have_form
from tritium.protocol.request_options import RequestOptions


def checked() -> InferenceRequest:
    """A request that a model has checked: two binary tensors of 8 and 2 bytes."""
    inputs = (tensor([[1.0, 2.0]], "A"), tensor(np.array([[3]], np.int16), "B"))
    return request(*inputs, name="q", rows=1, parameters={"x": 1}, requested_outputs=("OUT",))


def make(form: RequestForm, message: bytes, begin: int = 0, **options: object) -> InferenceRequest:
    asked = RequestOptions(**options)  # type: ignore[arg-type]
    stream = ResponseStream(Answers())
    return form.request(memoryview(message), begin, stream, identity="r", options=asked)


def test_the_next_request_has_its_own_id_options_and_bytes() -> None:
    form = RequestForm(checked())
    assert form.size == 10
    message = b"{json}" + np.array([7.0, 8.0], "<f4").tobytes() + b"\x09\x00"
    made = make(form, message, 6, parameters={"y": 2}, correlation_id=5, flags=1, priority=3, timeout_us=4)
    assert [(t.name, t.datatype, t.shape, t.array().tolist()) for t in made.inputs] == [
        ("A", DataType.FP32, (1, 2), [[7.0, 8.0]]),
        ("B", DataType.INT16, (1, 1), [[9]]),
    ]
    assert (made.id, made.parameters, made.requested_outputs) == ("r", {"y": 2}, ("OUT",))
    assert (made.priority, made.timeout_us, made.correlation_id, made.flags) == (3, 4, 5, 1)
    assert (made.batch_size, made.arrival_ns) == (1, 0)


def test_what_stands_between_tensors_is_left_out() -> None:
    form = RequestForm(checked(), [2, 3])
    assert form.size == 15
    made = make(form, b"??" + np.array([7.0, 8.0], "<f4").tobytes() + b"???\x09\x00")
    assert [t.array().tolist() for t in made.inputs] == [[[7.0, 8.0]], [[9]]]


def test_requests_of_one_form_say_so() -> None:
    form = RequestForm(checked())
    one, other = (make(form, bytes(10)) for _ in range(2))
    assert one.form is other.form is not None


def test_the_request_that_was_taken_as_pattern_keeps_its_inputs() -> None:
    pattern = checked()
    RequestForm(pattern)
    assert [t.name for t in pattern.inputs] == ["A", "B"]


def test_strings_need_a_look_each_time_and_no_inputs_have_no_form() -> None:
    empty = request()
    empty.inputs = []
    assert not can_have_form(empty)
    assert not can_have_form(request(tensor([1.0]), Tensor("S", DataType.BYTES, (1,), b"\0\0\0\0")))
    assert can_have_form(checked())
