from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.builders import Answers, echo_config, model, model_input
from tests.unit.protocol.test_json_forms import seen
from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import DataType, Tensor
from tritium.errors import InvalidArgumentError, TritiumError
from tritium.protobuf_messages import service_messages
from tritium.protocol.grpc_forms import GrpcForms
from tritium.protocol.grpc_infer import InferCall, encode_infer_response, encode_varint, read_infer_call
from tritium.protocol.request_form import MAX_FORM_BYTES

MESSAGES = service_messages()
MODEL = model(echo_config())
PAIR = model(echo_config(input=(model_input("A"), model_input("B", "INT16"))))
RAW = np.array([[1.0, 2.0]], "<f4").tobytes()


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + encode_varint(len(content)) + content


NAME = field(1, b"echo")
INPUT = field(
    5,
    MESSAGES.ModelInferRequest.InferInputTensor(name="IN", datatype="FP32", shape=[1, 2]).SerializeToString(),
)
OUTPUT = field(6, MESSAGES.ModelInferRequest.InferRequestedOutputTensor(name="OUT").SerializeToString())
TENSOR = field(7, RAW)


def parameter(name: str, **value: Any) -> bytes:
    message = MESSAGES.ModelInferRequest()
    message.parameters[name].CopyFrom(MESSAGES.InferParameter(**value))
    return bytes(message.SerializeToString())


SEQUENCE = (
    parameter("sequence_id", int64_param=5),
    parameter("sequence_start", bool_param=True),
    parameter("sequence_end", bool_param=False),
    parameter("triton_enable_empty_final_response", bool_param=True),
)


def message(identity: bytes = b"", parameters: bytes = b"", rest: bytes = INPUT + OUTPUT + TENSOR) -> bytes:
    return NAME + identity + parameters + rest


def read(raw: bytes, loaded: Model = MODEL) -> tuple[InferCall, InferenceRequest]:
    infer = read_infer_call(raw)
    request = infer.request(loaded.config, ResponseStream(Answers()))
    loaded.check(request)
    return infer, request


def known(*messages: bytes, loaded: Model = MODEL) -> GrpcForms:
    forms = GrpcForms()
    for raw in messages:
        infer, request = read(raw, loaded)
        forms.remember(infer, request, loaded, raw)
    return forms


def agree(forms: GrpcForms, raw: bytes, loaded: Model = MODEL) -> bool:
    """Whether ``raw`` has a known form; then reading it by that and anew is the same."""
    found = forms.find(raw)
    if found is None:
        return False
    form, _, options, _ = found
    request = form.request(found, raw, ResponseStream(Answers()))
    infer, anew = read(raw, loaded)
    assert seen(request) == seen(anew)
    assert options.wants_empty_final == infer.wants_empty_final
    assert form.model is loaded
    return True


@pytest.mark.parametrize(
    "identity", [b"", b"7", b"281474976710657", "ä€😀".encode(), b"\x1a\x22\x0a", b"x" * 127]
)
@pytest.mark.parametrize(
    "parameters",
    [
        b"",
        b"".join(SEQUENCE),
        b"".join(reversed(SEQUENCE)),
        parameter("sequence_id", string_param="a\x22 ä") + parameter("sequence_end", bool_param=True),
        parameter("sequence_id", int64_param=-1) + parameter("priority", uint64_param=2**63),
        parameter("timeout", int64_param=7)
        + parameter("x", double_param=1.5)
        + parameter("y", string_param="z"),
        parameter("sequence_id", int64_param=1) + parameter("sequence_id", int64_param=2),
    ],
)
def test_messages_differ_in_their_ids_and_parameters(identity: bytes, parameters: bytes) -> None:
    forms = known(message(field(3, b"first"), parameter("sequence_id", int64_param=3)))
    assert agree(forms, message(field(3, identity) if identity else b"", parameters))


@pytest.mark.parametrize(
    "prefix",
    [
        field(3, b"\xff"),
        field(3, b"\xed\xa0\x80"),
        field(3, b"x" * 128),
        b"\x1a\x81\x00x",
        field(3, b"a") + field(3, b"b"),
        field(3, b"a") + field(1, b"other"),
        parameter("sequence_id", bool_param=True),
        parameter("sequence_start", int64_param=1),
        parameter("triton_x", int64_param=1),
        parameter("priority", int64_param=-1),
        parameter("x"),
        parameter("sequence_id", string_param="x" * 129),
        field(4, b"\xff"),
        field(4, b"\x0a\x01\xff\x12\x02\x08\x01"),
        parameter("x", int64_param=1) + field(3, b"a"),
        field(9, b"unknown"),
    ],
)
def test_what_needs_a_closer_look_is_read_anew(prefix: bytes) -> None:
    forms = known(message(field(3, b"first"), parameter("sequence_id", int64_param=3)))
    assert not agree(forms, message(prefix))


def test_what_comes_behind_the_tensors_description_overrules_what_was_before_and_is_read_anew() -> None:
    for last in (field(3, b"z"), parameter("sequence_id", int64_param=9), field(1, b"echo"), field(2, b"1")):
        for rest in (INPUT + last + TENSOR, last + INPUT + TENSOR, INPUT + TENSOR + last):
            first = message(field(3, b"a"), parameter("x", int64_param=1), rest)
            forms = known(first)
            agree(forms, first)
            agree(forms, message(field(3, b"b"), parameter("x", int64_param=2), rest))
            agree(forms, message(b"", b"", rest))


def test_a_model_of_several_inputs_is_cut_at_each() -> None:
    infer = MESSAGES.ModelInferRequest(model_name="echo", model_version="1", id="a")
    infer.inputs.add(name="A", datatype="FP32", shape=[1, 100])
    infer.inputs.add(name="B", datatype="INT16", shape=[1, 1])
    infer.raw_input_contents.extend([bytes(range(200)) * 2, b"\x09\x00"])
    raw = infer.SerializeToString()
    forms = known(raw, loaded=PAIR)
    infer.id = "other"
    assert agree(forms, infer.SerializeToString(), PAIR)
    infer.raw_input_contents[0] = bytes(398)
    infer.raw_input_contents[1] = bytes(4)
    assert forms.find(infer.SerializeToString()) is None  # as long, and cut elsewhere


def test_messages_of_several_sizes_and_versions_are_known_side_by_side() -> None:
    def sized(width: int, version: str = "") -> bytes:
        infer = MESSAGES.ModelInferRequest(model_name="echo", model_version=version)
        infer.inputs.add(name="IN", datatype="FP32", shape=[1, width])
        infer.raw_input_contents.append(bytes(4 * width))
        return bytes(infer.SerializeToString())

    forms = known(sized(1), sized(2), sized(1, "1"))
    assert agree(forms, sized(1)) and agree(forms, sized(2)) and agree(forms, sized(1, "1"))
    assert forms.find(sized(1, "2")) is None
    for width in range(3, 600):
        infer, request = read(sized(width))
        forms.remember(infer, request, MODEL, sized(width))
    assert forms.find(sized(599)) is not None
    assert forms.find(sized(1)) is None  # their number is bounded


@pytest.mark.parametrize(
    "rest",
    [
        field(
            6,
            MESSAGES.ModelInferRequest.InferRequestedOutputTensor(
                name="x" * MAX_FORM_BYTES
            ).SerializeToString(),
        ),
        parameter("x" * 200, int64_param=1),
    ],
    ids=["long", "long parameter"],
)
def test_what_is_long_has_no_form(rest: bytes) -> None:
    infer, request = read(message(rest=INPUT + TENSOR))
    forms = GrpcForms()
    raw = message(rest=rest + INPUT + TENSOR)
    forms.remember(infer, request, MODEL, raw)
    assert forms.find(raw) is None


def test_classified_typed_and_lent_messages_have_no_form() -> None:
    infer, request = read(message())
    for change in ("classes", "raw"):
        forms = GrpcForms()
        other = InferCall(infer.message, infer.raw if change != "raw" else ())
        other.classes = {"OUT": 1} if change == "classes" else {}
        forms.remember(other, request, MODEL, message())
        assert forms.find(message()) is None
    forms = GrpcForms()
    forms.remember(infer, request, MODEL, memoryview(message()))
    assert forms.find(message()) is None
    assert known(message()).find(memoryview(message())) is None


def test_a_long_text_that_looks_like_fields_is_text() -> None:
    """Its length takes two bytes; read as one, the text would seem to end before its last 129 bytes."""
    looks = parameter("x", string_param="y" * 120)
    assert len(looks) == 129
    long = b"z" * 171 + looks
    for first in (field(3, long), parameter("z" * 5, string_param=long.decode())):
        forms = known(message())
        assert not agree(forms, message(first))


@pytest.mark.parametrize("raw", [b"", b"\x0a", NAME, NAME + b"\x1a", NAME + b"\x1a\x05ab", NAME + b"\x22"])
def test_what_is_cut_short_has_no_form(raw: bytes) -> None:
    assert known(message()).find(raw) is None


def test_bytes_that_are_no_message_are_refused() -> None:
    for raw in (NAME + b"\x1a\x05ab", message(field(3, b"\xff")), message() + bytes(70000)):
        with pytest.raises(InvalidArgumentError, match="not a serialized ModelInferRequest"):
            read_infer_call(raw)


@pytest.mark.parametrize("identity", ["", "7", "ä" * 200])
@pytest.mark.parametrize("final", [None, False, True])
def test_a_reply_is_what_protobuf_writes(identity: str, final: bool | None) -> None:
    forms = known(message())
    found = forms.find(message())
    assert found is not None
    for outputs in ([Tensor("OUT", DataType.FP32, (1, 2), RAW)], []):
        for _ in range(2):  # new, and known
            pieces = found[0].reply(InferenceResponse([*outputs]), identity, final)
            expected = encode_infer_response(
                InferenceResponse([*outputs]),
                request_id=identity,
                config=MODEL.config,
                version=MODEL.version,
                classes={},
                labels={},
                final=final,
            )
            assert pieces is not None
            parsed = [MESSAGES.ModelInferResponse.FromString(b"".join(each)) for each in (pieces, expected)]
            assert parsed[0] == parsed[1]


PARAMETERS = st.lists(
    st.one_of(
        st.sampled_from(SEQUENCE),
        st.integers(-(2**63), 2**63 - 1).map(lambda value: parameter("sequence_id", int64_param=value)),
        st.text(max_size=8).map(lambda value: parameter("sequence_id", string_param=value)),
        st.binary(max_size=8).map(lambda raw: field(4, field(1, b"sequence_id") + field(2, raw))),
        st.binary(max_size=12).map(lambda raw: field(4, raw)),
        st.booleans().map(lambda value: parameter("sequence_end", bool_param=value)),
    ),
    max_size=4,
).map(b"".join)
IDS = st.one_of(
    st.just(b""),
    st.text(max_size=8).map(lambda text: field(3, text.encode("utf-8", "replace"))),
    st.binary(max_size=6).map(lambda raw: field(3, raw)),
)


@settings(max_examples=500, deadline=None)
@given(IDS, PARAMETERS, IDS, PARAMETERS)
def test_any_id_and_parameters_are_read_as_they_are_anew(
    id_1: bytes, parameters_1: bytes, id_2: bytes, parameters_2: bytes
) -> None:
    try:
        forms = known(message(id_1, parameters_1))
    except TritiumError:
        return
    agree(forms, message(id_2, parameters_2))


@settings(max_examples=800, deadline=None)
@given(
    st.integers(0, 220),
    st.integers(0, 40),
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from([*SEQUENCE, field(3, b"z"), NAME, INPUT, TENSOR, b"\x1a", b"\x22"]),
    ),
)
@example(6, 0, b"\x1a\x02")
@example(0, 6, field(1, b"other"))
def test_a_damaged_message_is_never_taken_for_another(at: int, cut: int, put: bytes) -> None:
    first = message(field(3, b"first"), b"".join(SEQUENCE))
    agree(known(first), first[:at] + put + first[at + cut :])
    try:
        forms = known(first[:at] + put + first[at + cut :])
    except TritiumError:
        return
    agree(forms, first)
    agree(forms, message(field(3, b"y"), b"".join(SEQUENCE[:2])))
