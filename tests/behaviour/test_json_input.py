"""JSON that is broken, huge, deep or strange: a quick 400 (T32; CVE-2025-23325, CVE-2025-33202)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.harness.http import infer_json
from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import GOOD, ServerProcess

DEEP = "JSON nesting depth exceeds maximum allowed limit (100)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("json")
    write_python_model(root / "models", "echo", PLAIN)
    strings = {"inputs": [("IN", "STRING", [-1])], "outputs": [("OUT", "STRING", [-1])]}
    write_python_model(root / "models", "words", PLAIN, **strings)  # type: ignore[arg-type]
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running


def with_data(data: bytes, shape: bytes = b"[1,3]") -> bytes:
    return b'{"inputs":[{"name":"IN","shape":%b,"datatype":"FP32","data":%b}]}' % (shape, data)


def with_parameters(value: bytes) -> bytes:
    return GOOD[:-1] + b',"parameters":{"p":%b}}' % value


@pytest.mark.parametrize("depth", [101, 1_000, 100_000, 1_000_000])
@pytest.mark.parametrize(
    "where", ["data", "parameters", "document", "unknown member", "objects", "never closed"]
)
def test_cve_2025_23325_depth_is_bounded(server: ServerProcess, where: str, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    objects = b'{"a":' * depth + b"1" + b"}" * depth
    body = {
        "data": with_data(nested),
        "parameters": with_parameters(nested),
        "document": nested,
        "unknown member": GOOD[:-1] + b',"unknown":[' + nested + b",NaN]}",
        "objects": with_parameters(objects),
        "never closed": with_data(b"[" * depth),
    }[where]
    began = time.monotonic()
    reply = server.infer("echo", body)
    assert time.monotonic() - began < 15
    assert reply.status == 400
    if (where != "parameters" and where != "unknown member") or depth > 101:
        assert reply.error == DEEP
    server.assert_three_ok()


def test_t32_nested_data_within_the_limit_is_flattened(server: ServerProcess) -> None:
    assert server.infer("echo", with_data(b"[" * 99 + b"1,2,3" + b"]" * 99)).status == 200
    assert server.infer("echo", with_data(b"[[1,[2]],3]")).json["outputs"][0]["data"] == [1.0, 2.0, 3.0]


BROKEN = {
    "empty object": b"{}",
    "array": b"[]",
    "number": b"1",
    "string": b'"x"',
    "null": b"null",
    "only a brace": b"{",
    "cut in a string": GOOD[:20],
    "cut at the end": GOOD[:-1],
    "trailing comma": GOOD[:-1] + b",}",
    "single quotes": GOOD.replace(b'"', b"'"),
    "comment": b"/* x */" + GOOD,
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "NUL in front": b"\0" + GOOD,
    "second document": GOOD + GOOD,
    "tail": GOOD + b"x",
    "1e400": with_data(b"[1e400,2,3]"),
    "-1e400": with_data(b"[-1e400,2,3]"),
    "a number of 100 000 digits": with_data(b"[" + b"1" * 100_000 + b",2,3]"),
    "leading zeros": with_data(b"[01,2,3]"),
    "hexadecimal": with_data(b"[0x1,2,3]"),
    "plus sign": with_data(b"[+1,2,3]"),
    "a dot without digits": with_data(b"[1.,2,3]"),
    "lone high surrogate": with_parameters(rb'"\ud800"'),
    "lone low surrogate": with_parameters(rb'"\udc00"'),
    "lone surrogate in a name": GOOD.replace(b"IN", rb"\ud83d"),
    "invalid UTF-8 in a parameter": with_parameters(b'"\xff"'),
    "invalid UTF-8 in a name": GOOD.replace(b"IN", b"\xc3\x28"),
    "overlong UTF-8": with_parameters(b'"\xc0\xaf"'),
    "UTF-8 of a surrogate": with_parameters(b'"\xed\xa0\x80"'),
    "bad escape": with_parameters(rb'"\x41"'),
    "cut escape": with_parameters(rb'"\u12"'),
    "control character in a string": with_parameters(b'"\x01"'),
    "parameter of an object": with_parameters(b"{}"),
    "parameter of a list": with_parameters(b"[]"),
    "parameter of null": with_parameters(b"null"),
    "reserved parameter": GOOD[:-1] + b',"parameters":{"triton_x":1}}',
    "id of a number": GOOD[:-1] + b',"id":1}',
    "inputs of null": b'{"inputs":null}',
    "inputs of objects that are numbers": b'{"inputs":[1,2]}',
    "outputs of a string": GOOD[:-1] + b',"outputs":"OUT"}',
    "outputs of numbers": GOOD[:-1] + b',"outputs":[1]}',
    "shape of a string": with_data(b"[1,2,3]", b'"3"'),
    "shape of strings": with_data(b"[1,2,3]", b'["1","3"]'),
    "shape of floats": with_data(b"[1,2,3]", b"[1.0,3.0]"),
    "shape of booleans": with_data(b"[1,2,3]", b"[true,3]"),
    "shape of lists": with_data(b"[1,2,3]", b"[[1],3]"),
    "data of null": with_data(b"null"),
    "data of an object": with_data(b"{}"),
    "data of a number": with_data(b"1"),
    "elements of null": with_data(b"[null,1,2]"),
    "elements of strings": with_data(b'["1","2","3"]'),
    "elements of booleans": with_data(b"[true,1,2]"),
    "elements of objects": with_data(b"[{},{},{}]"),
    "no elements": with_data(b"[]"),
    "too few elements": with_data(b"[1,2]"),
    "too many elements": with_data(b"[1,2,3,4]"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_t32_broken_documents_are_the_clients_mistake(server: ServerProcess, name: str) -> None:
    began = time.monotonic()
    reply = server.infer("echo", BROKEN[name])
    assert time.monotonic() - began < 5
    assert reply.status == 400, reply
    assert reply.error
    assert reply.headers["content-type"] == "application/json"


STRANGE = {
    "NaN and infinities": with_data(b"[NaN,Infinity,-Infinity]"),
    "NUL behind": GOOD + b"\0",  # the end for rapidjson, and so for Triton
    "white space": b" \t\r\n" + GOOD.replace(b",", b" ,\n\t") + b"\n",
    "unknown members": GOOD[:-1] + b',"model_name":"x","more":{"a":[1,null]}}',
    "unicode id": GOOD[:-1] + ',"id":"ü€😀"}'.encode(),
    "escaped id": GOOD[:-1] + rb',"id":"\ud83d\ude00\n\u0000"}',
    "a name in escapes": GOOD.replace(b"IN", rb"\u0049N"),
    "empty lists": GOOD[:-1] + b',"outputs":[],"parameters":{}}',
    "exponents": with_data(b"[1e2,-0.0,1E-45]"),
    "integers for floats": with_data(b"[1,18446744073709551615,-9223372036854775808]"),
    "a thousand parameters": GOOD[:-1]
    + b',"parameters":'
    + json.dumps({f"p{i}": i for i in range(1000)}).encode()
    + b"}",
}


@pytest.mark.parametrize("name", STRANGE)
def test_t32_strange_but_legal_documents_are_answered(server: ServerProcess, name: str) -> None:
    assert server.infer("echo", STRANGE[name]).status == 200


def test_t32_not_a_number_comes_back_as_triton_writes_it(server: ServerProcess) -> None:
    assert b'"data":[NaN,Infinity,-Infinity]' in server.infer("echo", STRANGE["NaN and infinities"]).body


def seconds(server: ServerProcess, body: bytes, model: str = "echo") -> float:
    """The best of two: how long the answer takes, which must not be a 500."""
    best = 1e9
    for _ in range(2):
        began = time.monotonic()
        reply = server.infer(model, body)
        best = min(best, time.monotonic() - began)
        assert reply.status in {200, 400}
    return best


def sized(kind: str, megabytes: int) -> bytes:
    size = megabytes << 20
    count = size // 20
    return {
        "string": with_parameters(b'"' + b"a" * size + b'"'),
        "escapes": with_parameters(b'"' + rb"\"" * (size // 2) + b'"'),
        "quotes": with_data(b'["' * (size // 2)),
        "unterminated string": with_data(b'["' + b"a" * size),
        "keys": GOOD[:-1] + b',"parameters":{' + b",".join(b'"key%012d":1' % i for i in range(count)) + b"}}",
        "the same key": GOOD[:-1] + b',"parameters":{' + b",".join([b'"key":1'] * (size // 8)) + b"}}",
        "floats": with_data(b"[" + b",".join([b"1.25"] * (size // 5)) + b"]", b"[1,%d]" % (size // 5)),
        "empty lists": with_data(b"[" + b",".join([b"[]"] * (size // 3)) + b"]"),
        "rows": with_data(b"[" + b",".join([b"[1,2]"] * (size // 6)) + b"]", b"[1,%d]" % (size // 6 * 2)),
        "deep rows": with_data(
            b"[" * 90 + b",".join([b"1"] * (size // 2)) + b"]" * 90, b"[1,%d]" % (size // 2)
        ),
        "white space": b" " * size + GOOD,
        "inputs": b'{"inputs":[' + b",".join([b"{}"] * (size // 3)) + b"]}",
        "outputs": GOOD[:-1]
        + b',"outputs":['
        + b",".join(b'{"name":"%d"}' % i for i in range(count))
        + b"]}",
        "shape": with_data(b"[1]", b"[" + b",".join([b"1"] * (size // 2)) + b"]"),
        "digits": with_data(b"[" + b"1" * size + b"]"),
        "zeros behind the dot": with_data(b"[0." + b"0" * size + b"1]", b"[1,1]"),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "string",
        "escapes",
        "quotes",
        "unterminated string",
        "keys",
        "the same key",
        "floats",
        "empty lists",
        "rows",
        "deep rows",
        "white space",
        "inputs",
        "outputs",
        "shape",
        "digits",
        "zeros behind the dot",
    ],
)
def test_t32_time_grows_with_size_and_no_faster(server: ServerProcess, kind: str) -> None:
    small, large = seconds(server, sized(kind, 1)), seconds(server, sized(kind, 4))
    assert large < 12 * max(small, 0.5)
    assert large < 4 * 5, "five seconds for a megabyte is far too long"
    server.assert_three_ok()


def test_cve_2025_33202_a_long_body_of_open_brackets_is_refused(server: ServerProcess) -> None:
    began = time.monotonic()
    reply = server.infer("echo", with_data(b"[" * (60 << 20)))
    assert reply.status == 400 and reply.error == DEEP
    assert time.monotonic() - began < 30
    server.assert_three_ok()


def test_t32_the_first_of_two_equal_keys_counts(server: ServerProcess) -> None:
    words = infer_json(["a"], datatype="BYTES", id="x")
    assert server.infer("words", words).json["outputs"][0]["data"] == ["a"]
    twice = words[:-1] + b',"id":"y"}'
    assert server.infer("words", twice).status == 200


def test_megabytes_of_numbers_come_back_as_they_went(server: ServerProcess) -> None:
    numbers = [n / 4 for n in range(400_000)]
    reply = server.infer("echo", with_data(json.dumps(numbers).encode(), b"[1,400000]"))
    assert reply.status == 200
    assert reply.json["outputs"][0]["data"] == numbers


def test_megabytes_that_do_not_fit_get_the_same_error_as_a_few_bytes(server: ServerProcess) -> None:
    few = server.infer("echo", with_data(b"[1,2]", b"[1,3]"))
    many = server.infer("echo", with_data(json.dumps([1.5] * 400_000).encode(), b"[1,3]"))
    assert (many.status, many.error) == (few.status, few.error) == (400, few.error)


def test_a_million_strings_are_counted(server: ServerProcess) -> None:
    entry = {
        "name": "IN",
        "shape": [1, 1_000_000],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": 4_000_000},
    }
    header = json.dumps({"inputs": [entry]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(header))}
    reply = server.infer("words", header + bytes(4_000_000), headers=headers)
    assert reply.status == 200
    assert reply.json["outputs"][0]["shape"] == [1, 1_000_000]
