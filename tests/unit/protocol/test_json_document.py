from __future__ import annotations

import math

import msgspec
import pytest

from tritium.errors import InvalidArgumentError
from tritium.protocol.json_document import NO_DATA, check_depth, parse, read_infer_document

INPUT = b'{"name":"IN","shape":[1,2],"datatype":"FP32","data":[1,2]}'


def with_input(entry: bytes) -> bytes:
    return b'{"inputs":[' + entry + b"]}"


def test_a_document_has_its_parts() -> None:
    found = read_infer_document(
        b'{"id":"q","parameters":{"a":1,"b":true,"c":"x","d":1.5},"inputs":[' + INPUT + b"],"
        b'"outputs":[{"name":"OUT","parameters":{"binary_data":true}}],"model_name":"ignored"}'
    )
    assert (found.id, found.parameters) == ("q", {"a": 1, "b": True, "c": "x", "d": 1.5})
    assert [(i.name, i.shape, i.datatype) for i in found.inputs] == [("IN", [1, 2], "FP32")]
    assert [(o.name, o.parameters) for o in found.outputs] == [("OUT", {"binary_data": True})]


def test_only_inputs_are_needed() -> None:
    found = read_infer_document(b'{"inputs":[]}')
    assert (found.inputs, found.id, found.parameters, found.outputs) == ([], "", {}, [])


def test_the_slow_reading_finds_the_same() -> None:
    quick = read_infer_document(b'{"id":"q","inputs":[' + INPUT + b'],"outputs":[{"name":"O"}]}')
    slow = read_infer_document(b'{"x":NaN,"id":"q","inputs":[' + INPUT + b'],"outputs":[{"name":"O"}]}')
    assert msgspec.json.decode(quick.inputs[0].data) == slow.inputs[0].data
    quick.inputs[0].data = slow.inputs[0].data = NO_DATA
    assert quick == slow


def test_data_are_not_parsed_before_somebody_knows_their_datatype() -> None:
    assert bytes(read_infer_document(with_input(INPUT)).inputs[0].data) == b"[1,2]"


@pytest.mark.parametrize("raw", [b'{"inputs":[%b]}', b'{"x":NaN,"inputs":[%b]}'])
def test_an_input_without_data_has_none(raw: bytes) -> None:
    entry = b'{"name":"IN","shape":[1],"datatype":"FP32"}'
    assert read_infer_document(raw % entry).inputs[0].data is NO_DATA


def test_data_that_were_read_slowly_are_parsed_already() -> None:
    data: object = read_infer_document(b'{"x":Infinity,"inputs":[' + INPUT + b"]}").inputs[0].data
    assert data == [1, 2]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"x", "failed to parse the request JSON buffer: Invalid value. at 0"),
        (b"", "failed to parse the request JSON buffer: The document is empty. at 0"),
        (
            with_input(INPUT) + b"x",
            (
                "failed to parse the request JSON buffer: The document root must not be followed by other "
                "values. at 71"
            ),
        ),
        (
            b'{"inputs":[1e999]}',
            "failed to parse the request JSON buffer: Number too big to be stored in double. at 11",
        ),
        (
            b'{"inputs":[{"name":"\xff"}]}',
            "failed to parse the request JSON buffer: Invalid encoding in string. at 0",
        ),
        (b"[]", "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
        (b"{}", "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
        (b'{"inputs":{}}', "Unable to parse 'inputs': attempt to access JSON non-array as array"),
        (with_input(b"1"), "Unable to parse 'name': attempt to access non-existing object member 'name'"),
        (with_input(b'{"name":1}'), "Unable to parse 'name': attempt to access JSON non-string as string"),
        (
            with_input(b'{"name":"IN"}'),
            "Unable to parse 'shape': attempt to access non-existing object member 'shape'",
        ),
        (
            with_input(b'{"name":"IN","shape":1}'),
            "Unable to parse 'shape': attempt to access JSON non-array as array",
        ),
        *(
            (
                with_input(b'{"name":"IN","datatype":"FP32","data":[],"shape":[%b]}' % dim),
                "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer",
            )
            for dim in (b"1.0", b'"1"', b"true", b"null")
        ),
        (
            with_input(b'{"name":"IN","shape":[1]}'),
            "Unable to parse 'datatype': attempt to access non-existing object member 'datatype'",
        ),
        (
            b'{"id":7,"inputs":[' + INPUT + b"]}",
            "Unable to parse 'id': attempt to access JSON non-string as string",
        ),
        (
            b'{"parameters":[],"inputs":[' + INPUT + b"]}",
            "failed to get request params.: attempt to get members for non-object",
        ),
        (
            b'{"parameters":{"x":null},"inputs":[' + INPUT + b"]}",
            "parameter 'x' has invalid type. It should be either 'int', 'bool', or 'string'.",
        ),
        (
            b'{"outputs":1,"inputs":[' + INPUT + b"]}",
            "Unable to parse 'outputs': attempt to access JSON non-array as array",
        ),
        (
            b'{"outputs":[{}],"inputs":[' + INPUT + b"]}",
            "Unable to parse 'name': attempt to access non-existing object member 'name'",
        ),
    ],
)
def test_what_is_wrong_with_a_document_is_said_in_tritons_words(raw: bytes, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_infer_document(raw)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("raw", "value"), [(b"NaN", math.nan), (b"-Infinity", -math.inf), (b"[1,1.5,true]", [1, 1.5, True])]
)
def test_numbers_that_json_has_not_are_read(raw: bytes, value: object) -> None:
    assert repr(parse(raw)) == repr(value)


def test_a_document_ends_at_a_nul() -> None:
    assert parse(b'{"a":1}\0 and more') == {"a": 1}


def test_numbers_are_read_to_the_last_digit() -> None:
    assert parse(b"[0.1,1.7976931348623157e308,2.2250738585072011e-308]") == [
        0.1,
        1.7976931348623157e308,
        2.2250738585072011e-308,
    ]


@pytest.mark.parametrize("depth", [100, 101, 5000])
def test_nesting_is_bounded(depth: int) -> None:
    raw = b"[" * depth + b"]" * depth
    if depth <= 100:
        check_depth(raw)
        return
    for read in (check_depth, parse, read_infer_document):
        with pytest.raises(InvalidArgumentError) as caught:
            read(raw)
        assert str(caught.value) == "JSON nesting depth exceeds maximum allowed limit (100)"


def test_brackets_side_by_side_or_in_strings_are_no_nesting() -> None:
    check_depth(b"[" + b"[],{}," * 100 + b"1]")
    check_depth(b'["' + b"[" * 200 + b'\\"' + b"[" * 200 + b'"]')


def test_brackets_that_were_closed_do_not_count() -> None:
    with pytest.raises(InvalidArgumentError):
        check_depth(b"[]" * 50 + b'{"a":' * 101)


def test_a_string_that_never_ends_is_looked_at_once() -> None:
    check_depth(b"[]" * 101 + b'"' + b'\\"' * 500_000)
