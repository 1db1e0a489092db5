from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.unit.builders import echo_config, model_input, tensor
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ParameterValue, ResponseStream
from tritium.core.tensor import Tensor
from tritium.errors import InvalidArgumentError, UnavailableError
from tritium.protocol.generate_codec import (
    decode_generate_request,
    encode_error_event,
    encode_event,
    encode_generate_response,
)

ACCESS = "attempt to access JSON non-"
INPUTS = (
    model_input("text", "STRING", (1,)),
    model_input("A", optional=True),
    model_input("N", "INT32", (1,), optional=True),
)


def decode(body: Any, *, max_batch_size: int = 8, **config: Any) -> InferenceRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    wanted = echo_config(max_batch_size=max_batch_size, **{"input": INPUTS, **config})
    return decode_generate_request(raw, wanted, None, ResponseStream(lambda response, final: None))


def tensors(request: InferenceRequest) -> dict[str, Any]:
    return {t.name: (t.shape, t.array().tolist()) for t in request.inputs}


def test_keys_that_name_inputs_are_tensors_and_others_are_parameters() -> None:
    request = decode({"text": "hi", "A": [1, 2], "id": "x", "heat": 0.5, "n": 3, "flag": True, "s": "t"})
    assert tensors(request) == {"text": ((1, 1), [[b"hi"]]), "A": ((1, 2), [[1.0, 2.0]])}
    assert request.id == "x"
    assert request.parameters == {"id": "x", "heat": 0.5, "n": 3, "flag": True, "s": "t"}


def test_members_of_parameters_are_read_as_if_they_stood_beside_it() -> None:
    request = decode({"text": "hi", "parameters": {"a": 1, "A": [3.0], "id": "inner"}})
    assert tensors(request)["A"] == ((1, 1), [[3.0]])
    assert (request.id, request.parameters) == ("", {"a": 1, "id": "inner"})


def test_what_infer_takes_for_settings_are_plain_parameters() -> None:
    settings = {"sequence_id": 5, "sequence_start": True, "priority": 3, "timeout": 77, "triton_x": 1}
    request = decode(settings)
    assert request.parameters == settings
    assert (request.correlation_id, request.flags, request.timeout_us) == (0, 0, 0)


def test_integers_of_more_than_64_bits_become_floats() -> None:
    found = decode({"a": 2**63, "b": -(2**63), "c": 2**63 - 1}).parameters
    assert [type(value) for value in found.values()] == [float, int, int]


@pytest.mark.parametrize(
    ("dims", "value", "max_batch_size", "shape"),
    [
        ((-1,), 1.5, 8, (1, 1)),
        ((-1,), [1, 2], 8, (1, 2)),
        ((1,), [1, 2], 8, (2, 1)),
        ((1,), 1, 0, (1,)),
        ((-1, -1), [1, 2, 3], 0, (1, 3)),
        ((-1, 2), [1, 2, 3, 4], 0, (2, 2)),
        ((2, 3), [1, 2, 3, 4, 5, 6], 0, (2, 3)),
        ((-1,), [], 8, (1, 0)),
        ((-1,), [1, [2]], 8, (1, 2)),
    ],
)
def test_the_last_variable_dimension_takes_all_elements(
    dims: tuple[int, ...], value: Any, max_batch_size: int, shape: tuple[int, ...]
) -> None:
    request = decode({"IN": value}, max_batch_size=max_batch_size, input=(model_input(dims=dims),))
    assert request.inputs[0].shape == shape


@pytest.mark.parametrize(
    ("dims", "value"),
    [((1,), [1, 2]), ((1,), []), ((2, 3), [1, 2, 3]), ((2, 3), [[1, 2, 3], [4, 5, 6]]), ((-1, 2), [1])],
)
def test_elements_that_fit_no_shape_are_refused(dims: tuple[int, ...], value: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decode({"IN": value}, max_batch_size=0, input=(model_input(dims=dims),))
    assert str(caught.value) == "The schema can not convert input 'IN' to tensor with proper shape"


NO_NUMBERS: list[Any] = [True, "x", None, {}, [1, "x"]]
NO_PARAMETERS: list[Any] = [{}, [1], None]
NO_OBJECTS: list[Any] = [5, None, []]
TWICE = "[request id: <id_unknown>] input 'text' already exists in request"
INVALID = "parameter '{}' has invalid type. It should be either 'int', 'bool', or 'string'."
NOT_OBJECT = f"Expected JSON object for keyword: 'parameters': {ACCESS}object as object"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "failed to parse the request JSON buffer: The document is empty. at 0"),
        (b"x", "failed to parse the request JSON buffer: Invalid value. at 0"),
        *[(raw, "attempt to get members for non-object") for raw in (b"[]", b"1", b"null", b'"x"')],
        ({"id": 5}, f"Unable to parse 'id': {ACCESS}string as string"),
        ({"text": [1]}, f"Unable to parse JSON bytes array: {ACCESS}string as string"),
        ({"text": 1}, f"Unable to parse JSON bytes array: {ACCESS}string as string"),
        *[({"A": value}, f"Unable to parse 'data': {ACCESS}number as double") for value in NO_NUMBERS],
        ({"A": [[1, 2], [3, 4]]}, "Unable to parse 'data': Shape does not match true shape of 'data' field"),
        ({"N": 3.5}, f"Unable to parse 'data': {ACCESS}signed-integer as signed-integer"),
        *[({"o": value}, INVALID.format("o")) for value in NO_PARAMETERS],
        *[({"parameters": value}, NOT_OBJECT) for value in NO_OBJECTS],
        ({"parameters": {"o": {}}}, "Converting keyword: 'parameters': " + INVALID.format("o")),
        (
            {"parameters": {"parameters": {}}},
            "Converting keyword: 'parameters': " + INVALID.format("parameters"),
        ),
        (
            {"parameters": {"A": "x"}},
            f"Converting keyword: 'parameters': Unable to parse 'data': {ACCESS}number as double",
        ),
        (
            {"text": "a", "parameters": {"text": "b"}},
            f"Converting keyword: 'parameters': {TWICE}",
        ),
        ({"A": json.loads("[" * 101 + "]" * 101)}, "JSON nesting depth exceeds maximum allowed limit (100)"),
    ],
)  # fmt: skip
def test_what_breaks_the_protocol_is_refused_in_tritons_words(body: Any, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decode(body)
    assert str(caught.value) == text


def test_an_input_called_parameters_leaves_no_room_for_nesting() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decode({"parameters": 5}, input=(model_input("parameters", "INT32", (1,)),))
    assert str(caught.value) == "Keyword 'parameters' for nested schema also given as input tensor name"


def test_half_precision_cannot_come_as_json() -> None:
    with pytest.raises(InvalidArgumentError, match="receiving FP16 data via JSON is not supported"):
        decode({"IN": 1}, input=(model_input("IN", "FP16"),))


def encode(
    *outputs: Tensor, request_id: str = "", parameters: dict[str, ParameterValue] | None = None
) -> str:
    response = InferenceResponse(list(outputs), parameters=parameters)
    return encode_generate_response(response, request_id=request_id, model_name="m", version=3).decode()


def test_responses_are_flat_and_in_the_order_of_names() -> None:
    text = encode(tensor([1.0, 2.0], "out"), tensor([5.0], "OUT"), request_id='a"b', parameters={"n": 1})
    assert text == '{"OUT":5.0,"id":"a\\"b","model_name":"m","model_version":"3","n":1,"out":[1.0,2.0]}'


def test_strings_numbers_beyond_finite_and_nothing_at_all_are_written_as_triton_does() -> None:
    words = Tensor.from_array("s", np.array(["é\n"], object))
    none = tensor(np.zeros((1, 0), np.float32), "z")
    assert encode(words, tensor([float("nan")], "n"), none) == (
        '{"model_name":"m","model_version":"3","n":NaN,"s":"é\\n","z":[]}'
    )


def test_an_output_gives_way_to_the_names_of_the_protocol() -> None:
    outputs = (tensor([5.0], "id"), tensor([1.0, 2.0], "model_name"))
    assert encode(*outputs, request_id="r") == '{"id":"r","model_name":"m","model_version":"3"}'
    assert encode(*outputs) == '{"id":5.0,"model_name":"m","model_version":"3"}'


def test_an_error_is_raised() -> None:
    response = InferenceResponse(error=UnavailableError("no"))
    with pytest.raises(UnavailableError):
        encode_generate_response(response, request_id="", model_name="m", version=1)


def test_half_precision_cannot_leave_as_json() -> None:
    with pytest.raises(InvalidArgumentError, match="sending FP16 data via JSON is not supported"):
        encode(tensor(np.zeros((1, 1), np.float16)))


def test_events_are_lines_with_an_empty_one_behind() -> None:
    assert encode_event(b"{}") == b"data: {}\n\n"
    assert encode_error_event(UnavailableError("no\n'way'")) == b'data: {"error":"no\\n\'way\'"}\n\n'
