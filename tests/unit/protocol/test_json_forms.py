from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.builders import Answers, echo_config, model
from tritium.core.request import InferenceRequest
from tritium.core.response import ResponseStream
from tritium.errors import TritiumError
from tritium.protocol.json_codec import ResponseFormat, decode_infer_request
from tritium.protocol.json_forms import JsonForm, JsonForms, variable_parts
from tritium.protocol.request_form import MAX_FORM_BYTES

MODEL = model(echo_config())
TENSOR = np.array([[1.0, 2.0]], "<f4").tobytes()
INPUTS = '"inputs":[{"name":"IN","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]'
OUTPUTS = '"outputs":[{"name":"OUT","parameters":{"binary_data":true}}]'
PERF = '{"id":%s,"parameters":%s,' + INPUTS + "," + OUTPUTS + "}"  # as perf_analyzer writes it
CLIENT = '{"id": %s, ' + INPUTS.replace(":", ": ") + ', "parameters": %s}'  # as tritonclient does
OTHERS = (
    '{"parameters" : %s , "x":{"id":"q"},' + INPUTS + ', "id" :%s}',
    '{"id":"a","id":%s,"parameters":%s,' + INPUTS + "}",
    '{"id":%s,"parameters":%s,' + INPUTS + ',"id":"z"}',
    '{"id":%s,"parameters":%s,' + INPUTS + ',"parameters":{"sequence_id":1}}',
    '{"parameters":{"sequence_id":7},"id":%s,' + INPUTS + ',"parameters":%s}',
    '{"x\\"id":%s,' + INPUTS + ',"parameters":%s}',
    '{"inputs":[{"id":%s,' + INPUTS.removeprefix('"inputs":[{') + ',"parameters":%s}',
)


def read(document: bytes, tensor: bytes = TENSOR) -> tuple[InferenceRequest, ResponseFormat]:
    stream = ResponseStream(Answers())
    found = decode_infer_request(document + tensor, len(document), MODEL.config, None, stream)
    MODEL.check(found[0])
    return found


def form_of(forms: JsonForms, document: bytes) -> JsonForm | None:
    return forms.remember(document, len(TENSOR), MODEL, *read(document))


def seen(request: InferenceRequest) -> tuple[Any, ...]:
    """All that is to be seen of a request."""
    tensors = [(t.name, t.datatype, t.shape, bytes(t.buffer)) for t in request.inputs]
    options = request.parameters, request.correlation_id, request.flags, request.priority, request.timeout_us
    kinds = {name: type(value) for name, value in request.parameters.items()}
    return (
        request.model_name,
        request.model_version,
        request.id,
        type(request.correlation_id),
        tensors,
        options,
        kinds,
        request.requested_outputs,
        request.batch_size,
    )


def by_form(forms: JsonForms, form: JsonForm, document: bytes, tensor: bytes) -> InferenceRequest | None:
    found = form.read(document, forms.options)
    if found is None:
        return None
    stream, body = ResponseStream(Answers()), memoryview(document + tensor)
    return form.request(body, len(document), stream, identity=found[0], options=found[1])


def agree(first: bytes, second: bytes, tensor: bytes = TENSOR) -> bool:
    """Whether ``second`` has the form of ``first``; then reading it by that and anew is the same."""
    forms = JsonForms()
    form = form_of(forms, first)
    assert form is not None
    quick = by_form(forms, form, second, tensor)
    if quick is None:
        return False
    anew, response_format = read(second, tensor)
    assert seen(quick) == seen(anew)
    assert form.format == response_format
    return True


@pytest.mark.parametrize("document", [PERF, CLIENT], ids=["perf_analyzer", "tritonclient"])
@pytest.mark.parametrize("identity", ["", "7", "281474976710657", "ä€😀", "a b:{}[],'"])
@pytest.mark.parametrize(
    "options",
    [
        {"sequence_id": 1, "sequence_start": True, "sequence_end": False},
        {"sequence_id": 2**64 - 1, "sequence_start": False, "sequence_end": True},
        {"sequence_id": "a {b}: 😀", "sequence_start": False, "sequence_end": False},
        {"sequence_id": 9, "priority": 3, "timeout": 5, "own": "x", "more": 1.5, "yes": True},
        {},
    ],
)
def test_documents_differ_in_their_ids_and_parameters(
    document: str, identity: str, options: dict[str, Any]
) -> None:
    first = document % ('"first"', '{"sequence_id":5,"sequence_start":true,"sequence_end":true}')
    second = document % (json.dumps(identity, ensure_ascii=False), json.dumps(options, ensure_ascii=False))
    assert agree(first.encode(), second.encode(), np.array([[3.0, 4.0]], "<f4").tobytes())


@pytest.mark.parametrize(
    "identity",
    [rb'"a\"b"', rb'"\u0041"', rb'"a\\"', b'"\xff"', b'"\xed\xa0\x80"', b'"a\nb"', b'"a', b"7", b"null"],
)
def test_an_id_that_needs_a_closer_look_is_read_anew(identity: bytes) -> None:
    first = (PERF % ('"first"', "{}")).encode()
    assert not agree(first, first.replace(b'"first"', identity))


@pytest.mark.parametrize(
    "options",
    [
        rb'{"sequence_id":"a\"}"}',
        b'{"sequence_id":-1}',
        b'{"sequence_id":1.5}',
        b'{"sequence_start":1}',
        b'{"triton_x":1}',
        b'{"x":{"y":1}}',
        b'{"x":null}',
        b'{"x":1,}',
        b'{"x":1}}',
        b'{"x":"\xff"}',
        b'{"binary_data_output":true}',
        b'{"sequence_id":"' + b"x" * 129 + b'"}',
        b"[]",
    ],
)
def test_parameters_that_need_a_closer_look_are_read_anew(options: bytes) -> None:
    first = (PERF % ('"first"', "{}")).encode()
    assert not agree(first, first.replace(b"{}", options))


def test_of_names_that_come_twice_in_the_parameters_the_last_one_counts() -> None:
    first = (PERF % ('"a"', "{}")).encode()
    assert agree(first, first.replace(b"{}", b'{"sequence_id":1,"sequence_id":2}'))


@pytest.mark.parametrize("document", OTHERS)
def test_wherever_they_stand_a_document_means_the_same(document: str) -> None:
    for values in (('"a"', "{}"), ("{}", '"a"')):
        try:
            first = (document % values).encode()
            read(first)
        except TritiumError:
            continue
        for other in (('"b"', '{"sequence_id":3}'), ('{"sequence_id":3}', '"b"')):
            agree(first, (document % other).encode())


def test_what_is_overruled_behind_it_does_not_vary() -> None:
    for document in OTHERS[1:3]:
        identity, _ = variable_parts((document % ('"x"', "{}")).encode())
        assert identity is None
    assert variable_parts(b'{"inputs":[],"x":"id","parameters":3}') == (None, None)
    assert variable_parts(b"{") == (None, None)


def test_long_documents_and_tensors_in_json_have_no_form() -> None:
    forms = JsonForms()
    long = (PERF % (json.dumps("x" * MAX_FORM_BYTES), "{}")).encode()
    assert form_of(forms, long) is None
    inline = INPUTS.replace('"parameters":{"binary_data_size":8}', '"data":[1,2]')
    document = ("{" + inline + "}").encode()
    assert forms.remember(document, 0, MODEL, *read(document, b"")) is None


def test_forms_are_found_by_what_was_asked_for_and_their_number_is_bounded() -> None:
    forms = JsonForms()
    document = (PERF % ('"x"', "{}")).encode()
    form = form_of(forms, document)
    assert forms.find("echo", None, 8) is form is not None
    assert forms.find("echo", 1, 8) is None
    assert forms.find("echo", None, 9) is None
    for size in range(2, 1000):
        wide = document.replace(b"[1,2]", b"[1,%d]" % size).replace(b":8}", b":%d}" % (4 * size))
        forms.remember(wide, 4 * size, MODEL, *read(wide, bytes(4 * size)))
    assert forms.find("echo", None, 4 * 999) is not None
    assert forms.find("echo", None, 8) is None


TEXTS = st.one_of(
    st.text(max_size=12).map(lambda text: json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")),
    st.text(max_size=12).map(lambda text: json.dumps(text).encode()),
    st.binary(max_size=6).map(lambda raw: b'"' + raw + b'"'),
)
SCALARS = st.one_of(
    TEXTS,
    st.integers(-1, 2**65).map(lambda value: str(value).encode()),
    st.floats().map(lambda value: repr(value).encode()),
    st.sampled_from([b"true", b"false", b"null", b"{}", b"[1]"]),
)
NAMES = st.sampled_from(
    [
        b"sequence_id",
        b"sequence_start",
        b"sequence_end",
        b"priority",
        b"timeout",
        b"x",
        b"\xc3\xa4",
        b"triton_x",
    ]
)
OBJECTS = st.lists(st.tuples(NAMES, SCALARS), max_size=4).map(
    lambda members: b"{" + b",".join(b'"%b":%b' % member for member in members) + b"}"
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([PERF, CLIENT, *OTHERS]), TEXTS, OBJECTS, TEXTS, OBJECTS)
def test_any_id_and_parameters_are_read_as_they_are_anew(
    document: str, id_1: bytes, options_1: bytes, id_2: bytes, options_2: bytes
) -> None:
    first = document.encode() % (id_1, options_1)
    try:
        read(first)
    except TritiumError:
        return
    agree(first, document.encode() % (id_2, options_2))


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from([PERF, CLIENT]),
    st.integers(0, 260),
    st.integers(0, 12),
    st.one_of(
        st.binary(max_size=12), st.sampled_from([b'"', b'","id":"', b'"},"x":{"y":"', b"}", b"{", b"\\"])
    ),
)
@example(PERF, 8, 0, b'","id":"z')
@example(PERF, 40, 0, b'},"parameters":{')
def test_a_damaged_document_is_never_taken_for_another(document: str, at: int, cut: int, put: bytes) -> None:
    first = (document % ('"first"', '{"sequence_id":5,"sequence_start":true,"x":"y"}')).encode()
    agree(first, first[:at] + put + first[at + cut :])
