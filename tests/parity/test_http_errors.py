"""The error catalogue of Triton 2.51 over HTTP, text by text (WIRE 3.5).

Where Triton answers 500 to a mistake of the client, the text here is the same and the status is 400.
"""

# ruff: noqa: E501 - recorded texts stay whole

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.harness.http import Reply, infer_binary, infer_json
from tests.harness.models import ALL_TYPES
from tests.harness.server import ServerProcess

NO_ID = "[request id: <id_unknown>] "
JSON = "application/json"
TEXT = "text/plain"


def tensor(name: str = "IN", **fields: Any) -> dict[str, Any]:
    return {"name": name, "shape": [1, 1], "datatype": "FP32", "data": [1], **fields}


def doc(*inputs: Any, **members: Any) -> bytes:
    return json.dumps({"inputs": list(inputs), **members}).encode()


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in tensor().items() if key != name}


ACCESS = "attempt to access JSON non-"
BATCH_NOTE = (
    " NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each input "
    "shape. If you want to specify the full shape including the batch dim in your input dims config, try setting "
    "max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)
MISSING = "attempt to access non-existing object member"
TWO_SET = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in "
    "'parameters'. But "
)

# number in WIRE 3.5, model, body, text. The status is 400.
CATALOGUE: list[tuple[str, str, bytes, str]] = [
    ("1", "echo", b"x", "failed to parse the request JSON buffer: Invalid value. at 0"),
    ("2", "echo", b"{}", f"Unable to parse 'inputs': {MISSING} 'inputs'"),
    ("2 array", "echo", b"[]", f"Unable to parse 'inputs': {MISSING} 'inputs'"),
    ("3", "echo", b'{"inputs":1}', f"Unable to parse 'inputs': {ACCESS}array as array"),
    ("4", "echo", doc(without("name")), f"Unable to parse 'name': {MISSING} 'name'"),
    ("5", "echo", doc(without("shape")), f"Unable to parse 'shape': {MISSING} 'shape'"),
    ("6", "echo", doc(without("datatype")), f"Unable to parse 'datatype': {MISSING} 'datatype'"),
    *[
        (f"7 {dim!r}", "echo", doc(tensor(shape=[dim, 1])), f"Unable to parse 'shape': {ACCESS}unsigned-integer as unsigned-integer")
        for dim in (-1, 1.0, "1")
    ],
    ("8", "echo", doc(tensor(datatype="NOPE")), "invalid datatype for input IN"),
    ("10", "echo", doc(tensor(datatype="INT32")), NO_ID + "inference input 'IN' data-type is 'INT32', but model 'echo' expects 'FP32'"),
    ("11", "word", doc(tensor(datatype="STRING", shape=[1], data=["a"])), "invalid datatype for input IN"),
    ("12", "echo", doc(tensor(data=["1"])), f"Unable to parse 'data': {ACCESS}number as double"),
    ("12 bool", "flags", doc(tensor(datatype="BOOL", shape=[1])), f"Unable to parse 'data': {ACCESS}boolean as boolean"),
    ("12 float for INT32", "int32", doc(tensor(datatype="INT32", shape=[1], data=[1.0])),
     f"Unable to parse 'data': {ACCESS}signed-integer as signed-integer"),
    ("12 negative for UINT64", "uint64", doc(tensor(datatype="UINT64", shape=[1], data=[-1])),
     f"Unable to parse 'data': {ACCESS}unsigned-integer as unsigned-integer"),
    ("12 2^63 for INT64", "int64", doc(tensor(datatype="INT64", shape=[1], data=[2**63])),
     f"Unable to parse 'data': {ACCESS}signed-integer as signed-integer"),
    ("13 few", "echo", doc(tensor(shape=[1, 2])), "Unable to parse 'data': Shape does not match true shape of 'data' field"),
    ("13 many", "echo", doc(tensor(data=[1, 2])), "Unable to parse 'data': Shape does not match true shape of 'data' field"),
    ("14", "word", doc(tensor(datatype="BYTES", shape=[1])), f"Unable to parse JSON bytes array: {ACCESS}string as string"),
    ("15", "echo", doc(tensor(datatype="FP16")),
     "receiving FP16 data via JSON is not supported. Please use the binary data format for input IN"),
    ("15 BF16", "echo", doc(tensor(datatype="BF16")),
     "receiving BF16 data via JSON is not supported. Please use the binary data format for input IN"),
    ("17", "echo", doc(tensor("FOO")), "unexpected inference input 'FOO' for model 'echo'"),
    ("18", "echo", doc(tensor(), outputs=[{"name": "ZZ"}]), "unexpected inference output 'ZZ' for model 'echo'"),
    ("19", "echo", doc(), NO_ID + "expected 1 inputs but got 0 inputs for model 'echo'. Got input(s) [], but missing required "
     "input(s) ['IN']. Please provide all required input(s)."),
    ("20", "echo", doc(tensor("FOO"), tensor()), NO_ID + "expected 1 inputs but got 2 inputs for model 'echo'. Got input(s) "
     "['FOO','IN'], but missing required input(s) ]. Please provide all required input(s)."),
    ("21", "textgen", doc(), NO_ID + "expected number of inputs between 1 and 2 but got 0 inputs for model 'textgen'. Got "
     "input(s) [], but missing required input(s) ['text_input']. Please provide all required input(s)."),
    ("22", "echo", doc(tensor(), tensor()), NO_ID + "input 'IN' already exists in request"),
    ("23 as 2.73", "echo", doc(tensor(), outputs=[{"name": "OUT"}] * 2), "output 'OUT' already exists in request"),
    ("24", "echo", doc(tensor(shape=[2], data=[1, 2]), id="q"),
     "[request id: q] unexpected shape for input 'IN' for model 'echo'. Expected [-1,-1], got [2]." + BATCH_NOTE),
    ("25", "echo0", doc(tensor(shape=[3, 1], data=[1, 2, 3])),
     NO_ID + "unexpected shape for input 'IN' for model 'echo0'. Expected [2,-1], got [3,1]. "),
    ("26", "echo", doc(tensor(shape=[], data=[1])), NO_ID + "input 'IN' has no shape but model requires batch dimension for 'echo'"),
    ("27", "echo", doc(tensor(shape=[9, 1], data=[1] * 9)), NO_ID + "inference request batch-size must be <= 8 for 'echo'"),
    ("28", "echo", doc(tensor(shape=[0, 2], data=[])),
     NO_ID + "input byte size mismatch for input 'IN' for model 'echo'. Expected 8, got 0"),
    ("29", "m", doc(tensor("A"), tensor("B", shape=[2, 1], data=[1, 2])),
     NO_ID + "input 'B' batch size does not match other inputs for 'm'"),
    ("38", "echo", doc(tensor(), id=1), f"Unable to parse 'id': {ACCESS}string as string"),
    ("39", "echo", doc(tensor(), parameters=1), "failed to get request params.: attempt to get members for non-object"),
    *[
        (f"40 {name} {value!r}", "echo", doc(tensor(), parameters={name: value}),
         f"Unable to parse '{name}': {ACCESS}unsigned-integer as unsigned-integer")
        for name in ("priority", "timeout")
        for value in (-1, 1.5, "1", True)
    ],
    ("41", "echo", doc(tensor(), parameters={"sequence_id": 1.5}), f"Unable to parse 'sequence_id': {ACCESS}string as string"),
    ("42", "echo", doc(tensor(), parameters={"sequence_start": 1}), f"Unable to parse 'sequence_start': {ACCESS}boolean as boolean"),
    ("parameter object", "echo", doc(tensor(), parameters={"x": {}}),
     "parameter 'x' has invalid type. It should be either 'int', 'bool', or 'string'."),
    ("parameter reserved", "echo", doc(tensor(), parameters={"triton_x": 1}),
     "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified."),
    ("no data", "echo", doc(without("data")), TWO_SET + "no field is set"),
    ("two kinds of data", "echo", doc(tensor(parameters={"binary_data_size": 4})), TWO_SET + "set 'data' 'binary_data_size'"),
    ("trailing data", "echo", doc(tensor()) + b" x",
     f"failed to parse the request JSON buffer: The document root must not be followed by other values. at {len(doc(tensor())) + 1}"),
    ("only white space", "echo", b" ", "failed to parse the request JSON buffer: The document is empty. at 1"),
    ("number too big", "echo", b'{"inputs":1e999}',
     "failed to parse the request JSON buffer: Number too big to be stored in double. at 10"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "body", "text"), [case[1:] for case in CATALOGUE], ids=[case[0] for case in CATALOGUE]
)
def test_http_error(server: ServerProcess, model: str, body: bytes, text: str) -> None:
    reply = server.infer(model, body)
    assert (reply.status, reply.error) == (400, text)
    assert reply.headers["content-type"] == JSON


@pytest.mark.parametrize("kind", ["FP16"])
def test_http_error_16_fp16_output_as_json(server: ServerProcess, kind: str) -> None:
    inputs = []
    for name in ALL_TYPES:
        if name == "BF16":
            continue
        datatype = "BYTES" if name == "STRING" else name
        size = {"STRING": 5, "BOOL": 1}.get(name) or int(name.lstrip("UINTFPB")) // 8
        inputs.append((f"I_{name}", datatype, [1], b"\1\0\0\0a" if name == "STRING" else b"\0" * size))
    body, headers = infer_binary(inputs)
    reply = server.infer("types", body, headers)
    assert (reply.status, reply.headers["content-type"]) == (400, TEXT)
    assert (
        reply.error
        == f"sending {kind} data via JSON is not supported. Please use the binary data format for output"
    )


BINARY: list[tuple[str, str, tuple[str, str, list[int], bytes], int, str]] = [
    ("9", "echo", ("IN", "NOPE", [1, 1], b"\0" * 4), 4, "invalid datatype for input IN"),
    ("10", "echo", ("IN", "INT32", [1, 1], b"\0" * 4), 4,
     NO_ID + "inference input 'IN' data-type is 'INT32', but model 'echo' expects 'FP32'"),
    ("30", "echo", ("IN", "FP32", [1, 3], b"\0" * 8), 8,
     NO_ID + "input byte size mismatch for input 'IN' for model 'echo'. Expected 12, got 8"),
    ("31", "echo", ("IN", "FP32", [1, 3], b"\0" * 8), 12, "unexpected size for input 'IN', expecting 4 additional bytes for model 'echo'"),
    ("32", "echo", ("IN", "FP32", [1, 1], b"\0" * 8), 4, "unexpected additional input data for model 'echo'"),
    ("34", "words", ("IN", "BYTES", [2], b"\1\0\0\0a"), 5,
     NO_ID + "expected 2 string elements for inference input 'IN' for model 'words', got 1"),
    ("35", "words", ("IN", "BYTES", [1], b"\1\0\0\0a" * 2), 10,
     NO_ID + "unexpected number of string elements 2 for inference input 'IN' for model 'words', expecting 1"),
    ("36", "words", ("IN", "BYTES", [1], b"\x09\0\0\0ab"), 6,
     "incomplete string data for inference input 'IN', expecting string of length 9 but only 2 bytes available"),
    ("37", "words", ("IN", "BYTES", [2], b"\1\0\0\0a\1\0"), 7,
     NO_ID + "incomplete string length indicator for inference input 'IN' for model 'words', expecting 4 bytes but only 2 bytes "
     "available. Please make sure the string length indicator is in one buffer."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "sent", "size", "text"), [case[1:] for case in BINARY], ids=[case[0] for case in BINARY]
)
def test_http_error_of_binary_data(
    server: ServerProcess, model: str, sent: tuple[str, str, list[int], bytes], size: int, text: str
) -> None:
    name, datatype, shape, data = sent
    entry = {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}
    header = doc(entry)
    reply = server.infer(model, header + data, {"Inference-Header-Content-Length": str(len(header))})
    assert (reply.status, reply.error) == (400, text)


def test_http_error_33_header_length_out_of_range(server: ServerProcess) -> None:
    body = doc(tensor())
    reply = server.infer("echo", body, {"Inference-Header-Content-Length": "9999"})
    assert (reply.status, reply.error) == (
        400,
        f"inference header size should be in range (0, {len(body)}), got: 9999",
    )


def test_http_error_header_length_that_is_no_number(server: ServerProcess) -> None:
    reply = server.infer("echo", doc(tensor()), {"Inference-Header-Content-Length": "abc"})
    assert (reply.status, reply.error) == (400, "Unable to parse Inference-Header-Content-Length, got: abc")


def test_http_error_44_queue_full(server: ServerProcess) -> None:
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda _: server.infer("full", infer_json([1])), range(12)))
    refused = [reply for reply in replies if reply.status != 200]
    assert refused and len(refused) < 12
    assert {(reply.status, reply.error) for reply in refused} == {(503, NO_ID + "Exceeds maximum queue size")}


@pytest.mark.parametrize("kind", ["BOOL", "BYTES"])
def test_http_error_49_classification_of_what_has_no_order(server: ServerProcess, kind: str) -> None:
    """Triton 2.51 dies of BYTES."""
    data = [True] if kind == "BOOL" else ["a"]
    body = doc(
        tensor(datatype=kind, shape=[1], data=data),
        outputs=[{"name": "OUT", "parameters": {"classification": 1}}],
    )
    reply = server.infer("flags" if kind == "BOOL" else "words", body)
    assert (reply.status, reply.headers["content-type"]) == (400, TEXT)
    assert reply.error == f"class result not available for output due to unsupported type '{kind}'"


def test_http_error_50_model_raised(server: ServerProcess) -> None:
    reply = server.infer("err", infer_json([-1]))
    assert (reply.status, reply.headers["content-type"]) == (500, TEXT)
    text = (
        "Failed to process the request(s) for model 'err_0', message: ValueError: raised in execute\n\nAt:\n"
    )
    assert reply.error.startswith(text)
    assert reply.error.endswith("): execute\n")
    assert "err/1/model.py(" in reply.error


CODES = {0: 400, 1: 500, 2: 404, 3: 400, 4: 503, 5: 501, 6: 400, 7: 400}


@pytest.mark.parametrize(("code", "status"), CODES.items())
def test_http_error_of_each_triton_error_code(server: ServerProcess, code: int, status: int) -> None:
    reply = server.infer("err", infer_json([code]))
    assert (reply.status, reply.error, reply.headers["content-type"]) == (status, "told so", TEXT)


def test_http_error_of_an_unknown_model(server: ServerProcess) -> None:
    reply = server.infer("nope", doc(tensor()))
    assert (reply.status, reply.headers["content-type"]) == (404, TEXT)
    assert reply.body == b'{"error":"Request for unknown model: \'nope\' is not found"}'


def test_http_error_body_is_compact_json(server: ServerProcess) -> None:
    reply: Reply = server.infer("echo", b"{}")
    assert (
        reply.body
        == b"{\"error\":\"Unable to parse 'inputs': attempt to access non-existing object member 'inputs'\"}"
    )
