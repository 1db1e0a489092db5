from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.unit.builders import Answers, echo_config, tensor
from tritium.core.request import SEQUENCE_END, SEQUENCE_START, InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import DataType, Tensor, decode_bytes, encode_bytes
from tritium.errors import InternalError, InvalidArgumentError, TritiumError, UnsupportedError
from tritium.protocol.json_codec import (
    ResponseFormat,
    decode_infer_request,
    encode_error,
    encode_infer_response,
)

Document = dict[str, Any]


def entry(**changes: Any) -> Document:
    """An input IN, FP32[1,2] as JSON; None takes a member away."""
    found = {"name": "IN", "shape": [1, 2], "datatype": "FP32", "data": [1, 2], **changes}
    return {key: value for key, value in found.items() if value is not None}


def binary(size: int, **changes: Any) -> Document:
    return entry(data=None, parameters={"binary_data_size": size}, **changes)


def decode(
    document: Document, tail: bytes = b"", *, header: bool = True, version: int | None = None
) -> tuple[InferenceRequest, ResponseFormat]:
    text = json.dumps(document).encode()
    length = len(text) if header else None
    return decode_infer_request(text + tail, length, echo_config(), version, ResponseStream(Answers()))


def with_parameters(**parameters: Any) -> Document:
    return {"inputs": [entry()], "parameters": parameters}


def with_output(**parameters: Any) -> Document:
    return {"inputs": [entry()], "outputs": [{"name": "OUT", "parameters": parameters}]}


def encode(
    *outputs: Tensor, form: ResponseFormat | None = None, request_id: str = "", **response: Any
) -> tuple[bytes, list[bytes]]:
    document, buffers = encode_infer_response(
        InferenceResponse(list(outputs), **response),
        form or ResponseFormat(),
        request_id=request_id,
        config=echo_config(),
        version=1,
        labels={"OUT": ("cat", "dog")},
    )
    return document, [bytes(buffer) for buffer in buffers]


def test_a_json_request_needs_no_header_length() -> None:
    found, _ = decode({"id": "q", "inputs": [entry()]}, header=False, version=2)
    assert (found.model_name, found.model_version, found.id) == ("echo", 2, "q")
    assert [(t.name, t.datatype, t.array().tolist()) for t in found.inputs] == [
        ("IN", DataType.FP32, [[1.0, 2.0]])
    ]
    assert found.requested_outputs == ()


def test_binary_tensors_follow_the_json_in_order() -> None:
    inputs = [
        binary(8),
        binary(0, name="EMPTY", shape=[0]),
        entry(name="JSON"),
        binary(2, name="B", datatype="BOOL"),
    ]
    found, _ = decode({"inputs": inputs}, bytes(range(10)))
    assert [(t.name, bytes(t.buffer)) for t in found.inputs if t.name != "JSON"] == [
        ("IN", bytes(range(8))),
        ("EMPTY", b""),
        ("B", b"\x08\x09"),
    ]


def test_binary_tensors_are_views_that_nobody_writes_to() -> None:
    text = json.dumps({"inputs": [binary(8)]}).encode()
    body = bytearray(text + bytes(8))
    found, _ = decode_infer_request(body, len(text), echo_config(), None, ResponseStream(Answers()))
    body[-1] = 7
    array = found.inputs[0].array()
    assert array.tobytes()[-1] == 7
    assert not array.flags.writeable


@pytest.mark.parametrize("header_length", [0, None])
def test_a_body_without_json_is_a_raw_request_answered_in_binary(header_length: int | None) -> None:
    body = bytes(8) if header_length == 0 else b""
    found, form = decode_infer_request(body, header_length, echo_config(), None, ResponseStream(Answers()))
    assert found.inputs[0].shape == (1, len(body) // 4)
    assert form == ResponseFormat(binary_default=True)


def test_parameters_of_the_protocol_are_understood_and_others_passed_on() -> None:
    found, form = decode(
        with_parameters(
            sequence_id=7,
            sequence_start=True,
            sequence_end=True,
            priority=2,
            timeout=5,
            binary_data_output=True,
            mine="x",
            number=1.5,
        )
    )
    assert (found.correlation_id, found.flags) == (7, SEQUENCE_START | SEQUENCE_END)
    assert (found.priority, found.timeout_us) == (2, 5)
    assert found.parameters == {"mine": "x", "number": 1.5}
    assert form.binary_default


def test_flags_that_are_false_are_not_set() -> None:
    found, form = decode(with_parameters(sequence_start=False, sequence_end=True, binary_data_output=False))
    assert found.flags == SEQUENCE_END
    assert not form.binary_default


def test_a_sequence_may_be_named_by_a_string() -> None:
    assert decode(with_parameters(sequence_id="s" * 128))[0].correlation_id == "s" * 128


def test_outputs_say_how_they_want_to_come() -> None:
    found, form = decode(
        {
            "inputs": [entry()],
            "outputs": [
                {"name": "A"},
                {"name": "B", "parameters": {"binary_data": True}},
                {"name": "C", "parameters": {"classification": 3}},
                {"name": "D", "parameters": {"classification": 0, "binary_data": False}},
            ],
        }
    )
    assert found.requested_outputs == ("A", "B", "C", "D")
    assert form.binary == {"A": False, "B": True, "C": False, "D": False}
    assert form.classes == {"C": 3}


NO_SOURCE = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
    "'shared_memory_region' in 'parameters'. But "
)
UNSIGNED = "attempt to access JSON non-unsigned-integer as unsigned-integer"


@pytest.mark.parametrize(
    ("document", "tail", "text"),
    [
        ({"inputs": [entry(data=None)]}, b"", NO_SOURCE + "no field is set"),
        ({"inputs": [entry(parameters={"x": 1}, data=None)]}, b"", NO_SOURCE + "no field is set"),
        (
            {"inputs": [entry(parameters={"binary_data_size": 8})]},
            bytes(8),
            NO_SOURCE + "set 'data' 'binary_data_size'",
        ),
        (
            {"inputs": [{"name": "IN", "shape": [1], "datatype": "FP32", "data": None}]},
            b"",
            "Unable to parse 'data': attempt to access JSON non-array as array",
        ),
        (
            {"inputs": [binary(12)]},
            bytes(8),
            "unexpected size for input 'IN', expecting 4 additional bytes for model 'echo'",
        ),
        ({"inputs": [binary(4)]}, bytes(8), "unexpected additional input data for model 'echo'"),
        ({"inputs": [entry()]}, b"x", "unexpected additional input data for model 'echo'"),
        ({"inputs": [binary(-1)]}, b"", f"Unable to parse 'binary_data_size': {UNSIGNED}"),
        ({"inputs": [binary(True)]}, b"", f"Unable to parse 'binary_data_size': {UNSIGNED}"),
        ({"inputs": [entry(datatype="STRING")]}, b"", "invalid datatype for input IN"),
        ({"inputs": [binary(8, datatype="FP8")]}, bytes(8), "invalid datatype for input IN"),
        ({"inputs": [entry(shape=[-1])]}, b"", f"Unable to parse 'shape': {UNSIGNED}"),
        ({"inputs": [entry(shape=[2**64])]}, b"", f"Unable to parse 'shape': {UNSIGNED}"),
        ({"inputs": [entry(shape=[1] * 65)]}, b"", "input 'IN' has 65 dimensions, expected at most 64"),
        (with_parameters(priority=-1), b"", f"Unable to parse 'priority': {UNSIGNED}"),
        (with_parameters(timeout="1"), b"", f"Unable to parse 'timeout': {UNSIGNED}"),
        (with_parameters(priority=2**64), b"", f"Unable to parse 'priority': {UNSIGNED}"),
        (
            with_parameters(sequence_id=1.5),
            b"",
            "Unable to parse 'sequence_id': attempt to access JSON non-string as string",
        ),
        (
            with_parameters(sequence_start=1),
            b"",
            "Unable to parse 'sequence_start': attempt to access JSON non-boolean as boolean",
        ),
        (
            with_parameters(triton_x=1),
            b"",
            (
                "parameter keys starting with 'triton_' are reserved for Triton usage and should not be "
                "specified."
            ),
        ),
        (
            with_output(binary_data=1),
            b"",
            "Unable to parse 'binary_data': attempt to access JSON non-boolean as boolean",
        ),
        (with_output(classification=-1), b"", f"Unable to parse 'classification': {UNSIGNED}"),
        (
            {"inputs": [entry()], "outputs": [{"name": "A"}, {"name": "B"}, {"name": "A"}]},
            b"",
            "output 'A' already exists in request",
        ),
        (
            {"inputs": [entry()], "outputs": [{"name": "A"}] * 65537},
            b"",
            "request names 65537 outputs, expected at most 65536",
        ),
    ],
)
def test_mistakes_are_refused_in_tritons_words(document: Document, tail: bytes, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decode(document, tail)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (
            with_parameters(sequence_id="s" * 129),
            "string correlation ID cannot be longer than 128 characters",
        ),
        (
            {"inputs": [entry(data=None, parameters={"shared_memory_region": "r"})]},
            "input 'IN' is in shared memory",
        ),
        (with_output(shared_memory_region="r"), "output 'OUT' is to go to shared memory"),
    ],
)
def test_what_this_server_does_not_do_is_said(document: Document, text: str) -> None:
    with pytest.raises(UnsupportedError, match=text):
        decode(document)


@pytest.mark.parametrize("length", [9999, -1])
def test_a_header_length_outside_of_the_body_is_refused(length: int) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        decode_infer_request(b"{}", length, echo_config(), None, ResponseStream(Answers()))
    assert str(caught.value) == f"inference header size should be in range (0, 2), got: {length}"


def test_a_json_response_is_tritons_byte_for_byte() -> None:
    document, buffers = encode(tensor([[1.0, 2.5]], "OUT"))
    assert document == (
        b'{"model_name":"echo","model_version":"1","outputs":'
        b'[{"name":"OUT","datatype":"FP32","shape":[1,2],"data":[1.0,2.5]}]}'
    )
    assert buffers == []


def test_a_binary_response_is_tritons_byte_for_byte() -> None:
    document, buffers = encode(tensor([[1.0, 2.5]], "OUT"), form=ResponseFormat(binary_default=True))
    assert document == (
        b'{"model_name":"echo","model_version":"1","outputs":'
        b'[{"name":"OUT","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}'
    )
    assert buffers == [np.array([1.0, 2.5], "<f4").tobytes()]


def test_the_id_and_parameters_come_back() -> None:
    found = json.loads(encode(request_id="q", parameters={"a": 1, "b": "x", "c": True})[0])
    assert found["id"] == "q"
    assert found["parameters"] == {"a": 1, "b": "x", "c": True}
    assert found["outputs"] == []


def test_outputs_keep_the_order_in_which_the_model_gave_them() -> None:
    form = ResponseFormat(binary={"A": True, "B": False, "C": True, "D": True})
    document, buffers = encode(
        tensor([1.0], "C"), tensor([2.0], "B"), tensor([], "D"), tensor([3.0], "A"), form=form
    )
    found = json.loads(document)["outputs"]
    assert [output["name"] for output in found] == ["C", "B", "D", "A"]
    assert [output.get("parameters") for output in found] == [
        {"binary_data_size": 4},
        None,
        {"binary_data_size": 0},
        {"binary_data_size": 4},
    ]
    assert buffers == [np.float32(1).tobytes(), np.float32(3).tobytes()]


@pytest.mark.parametrize("as_binary", [False, True])
def test_classes_are_strings_with_labels(as_binary: bool) -> None:
    form = ResponseFormat(binary={"OUT": as_binary}, classes={"OUT": 1})
    document, buffers = encode(tensor([[1.0, 2.5]], "OUT"), form=form)
    (output,) = json.loads(document)["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1, 1])
    elements = decode_bytes(buffers[0], "OUT").tolist() if as_binary else [output["data"][0].encode()]
    assert elements == [b"2.500000:1:dog"]


def test_a_response_that_is_an_error_is_raised() -> None:
    with pytest.raises(InternalError, match="broken"):
        encode(error=InternalError("broken"))


def test_an_output_that_json_cannot_carry_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="sending FP16 data via JSON is not supported"):
        encode(tensor(np.zeros(1, np.float16), "OUT"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidArgumentError("what's 'wrong'"), b"""{"error":"what's 'wrong'"}"""),
        ("Not Found", b'{"error":"Not Found"}'),
        ('a "quote"\n', b'{"error":"a \\"quote\\"\\n"}'),
        ("grün", '{"error":"grün"}'.encode()),
        ("a\udcffb", b'{"error":"a?b"}'),
    ],
)
def test_errors_are_one_line_of_json(error: TritiumError | str, text: bytes) -> None:
    assert encode_error(error) == text


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    datatype = draw(st.sampled_from(list(DataType)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    if datatype is DataType.BYTES:
        array = np.empty(shape, dtype=object)
        array.reshape(-1)[:] = draw(st.lists(st.binary(max_size=6), min_size=array.size, max_size=array.size))
        return Tensor("T", datatype, shape, encode_bytes(array))
    return Tensor.from_array("T", draw(hnp.arrays(datatype.numpy, shape)), datatype)


@settings(max_examples=100, deadline=None)
@given(st.lists(tensors(), min_size=1, max_size=4), st.integers(0, 9))
def test_any_request_that_is_written_is_read_as_the_same(given_tensors: list[Tensor], junk: int) -> None:
    inputs: list[Document] = [
        {
            "name": f"T{index}",
            "shape": list(t.shape),
            "datatype": t.datatype.value,
            "parameters": {"binary_data_size": t.nbytes},
        }
        for index, t in enumerate(given_tensors)
    ]
    tail = b"".join(bytes(t.buffer) for t in given_tensors)
    found, _ = decode({"junk": junk, "inputs": inputs}, tail)
    assert [(t.name, t.datatype, t.shape, bytes(t.buffer)) for t in found.inputs] == [
        (f"T{index}", t.datatype, t.shape, bytes(t.buffer)) for index, t in enumerate(given_tensors)
    ]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.none() | st.integers(-2, 70))
def test_no_body_at_all_brings_the_codec_down(body: bytes, header_length: int | None) -> None:
    try:
        decode_infer_request(body, header_length, echo_config(), None, ResponseStream(Answers()))
    except TritiumError as error:
        assert str(error)


WHOLE = json.dumps(
    {"id": "é", "inputs": [entry(data=[1, 2.5]), entry(name="B", datatype="BYTES", data=["é", "x"])]}
)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE.encode())), st.binary(max_size=4), st.integers(0, 6))
def test_no_change_to_a_good_body_brings_the_codec_down(position: int, put: bytes, cut: int) -> None:
    raw = WHOLE.encode()
    changed = raw[:position] + put + raw[position + cut :]
    try:
        decode_infer_request(changed, None, echo_config(), None, ResponseStream(Answers()))
    except TritiumError as error:
        assert str(error)
