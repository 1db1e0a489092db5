"""Binary and JSON layout, raw requests, compression, classification (WIRE 3, 3.1 to 3.4, 4)."""

# ruff: noqa: E501 - recorded texts stay whole

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from tests.harness.http import Reply, infer_binary, infer_json
from tests.harness.server import GOOD, ServerProcess

NO_ID = "[request id: <id_unknown>] "


def ask(server: ServerProcess, data: list[Any], outputs: Any = None, **members: Any) -> Reply:
    if outputs is not None:
        members["outputs"] = outputs
    return server.infer("echo", infer_json(data, **members))


def test_a_binary_reply_looks_as_recorded(server: ServerProcess) -> None:
    reply = ask(server, [1, 2], [{"name": "OUT", "parameters": {"binary_data": True}}])
    document = (
        b'{"model_name":"echo","model_version":"1","outputs":[{"name":"OUT","datatype":"FP32","shape":[1,2],'
        b'"parameters":{"binary_data_size":8}}]}'
    )
    assert reply.body == document + np.array([1, 2], np.float32).tobytes()
    assert list(reply.headers.items()) == [
        ("content-type", "application/octet-stream"),
        ("inference-header-content-length", str(len(document))),
        ("content-length", str(len(document) + 8)),
    ]


def test_a_json_reply_looks_as_recorded(server: ServerProcess) -> None:
    reply = ask(server, [3, -0.0])
    document = b'{"model_name":"echo","model_version":"1","outputs":[{"name":"OUT","datatype":"FP32","shape":[1,2],"data":[3.0,-0.0]}]}'
    assert reply.body == document
    assert list(reply.headers.items()) == [
        ("content-type", "application/json"),
        ("content-length", str(len(document))),
    ]


def test_the_id_comes_back_if_there_is_one(server: ServerProcess) -> None:
    assert ask(server, [1], id="7").body.startswith(b'{"id":"7","model_name":"echo",')
    assert b'"id"' not in ask(server, [1], id="").body


@pytest.mark.parametrize(
    ("members", "binary"),
    [
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"parameters": {"binary_data_output": True}, "outputs": [{"name": "OUT"}]}, False),
        ({"parameters": {"binary_data_output": True}, "outputs": []}, True),
        ({"outputs": [{"name": "OUT", "parameters": {"binary_data": True}}]}, True),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "OUT", "parameters": {"binary_data": False}}],
            },
            False,
        ),
    ],
)
def test_which_outputs_are_binary(server: ServerProcess, members: dict[str, Any], binary: bool) -> None:
    reply = server.infer("echo", infer_json([1], **members))
    assert ("inference-header-content-length" in reply.headers) is binary


def test_binary_outputs_without_bytes_make_a_json_reply(server: ServerProcess) -> None:
    reply = server.infer("echo", infer_json([], shape=[1, 0], parameters={"binary_data_output": True}))
    assert reply.headers["content-type"] == "application/json"
    assert reply.json["outputs"][0]["parameters"] == {"binary_data_size": 0}


def test_outputs_come_in_the_order_of_the_model(server: ServerProcess) -> None:
    tensors = [{"name": name, "shape": [1, 1], "datatype": "FP32", "data": [1]} for name in ("B", "A")]
    body = json.dumps({"inputs": tensors, "outputs": [{"name": "D"}, {"name": "C"}]}).encode()
    assert [output["name"] for output in server.infer("m", body).json["outputs"]] == ["C", "D"]


def test_only_the_outputs_that_were_asked_for_come(server: ServerProcess) -> None:
    tensors = [{"name": name, "shape": [1, 1], "datatype": "FP32", "data": [1]} for name in ("B", "A")]
    body = json.dumps({"inputs": tensors, "outputs": [{"name": "D"}]}).encode()
    assert [output["name"] for output in server.infer("m", body).json["outputs"]] == ["D"]


def test_a_binary_input_of_no_bytes_takes_nothing(server: ServerProcess) -> None:
    body, headers = infer_binary([("A", "FP32", [1, 0], b""), ("B", "FP32", [1, 1], np.float32(5).tobytes())])
    assert [output["data"] for output in server.infer("m", body, headers).json["outputs"]] == [[], [5.0]]


@pytest.mark.parametrize(
    ("model", "sent", "got"),
    [("uint8", 256, 0), ("int8", 200, -56), ("int32", 2147483648, -2147483648)],
)
def test_integers_out_of_range_wrap(server: ServerProcess, model: str, sent: int, got: int) -> None:
    reply = server.infer(model, infer_json([sent], shape=[1], datatype=model.upper()))
    assert reply.json["outputs"][0]["data"] == [got]


def test_the_limits_of_64_bits_pass(server: ServerProcess) -> None:
    for model, values in (("int64", [-(2**63), 2**63 - 1]), ("uint64", [0, 2**64 - 1])):
        reply = server.infer(model, infer_json(values, shape=[2], datatype=model.upper()))
        assert reply.json["outputs"][0]["data"] == values


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (0.1, b"0.10000000149011612"),
        (1e-7, b"1.0000000116860974e-7"),
        (1e20, b"100000002004087730000.0"),
        (3, b"3.0"),
        (-0.0, b"-0.0"),
    ],
)
def test_numbers_are_written_as_triton_does(server: ServerProcess, sent: float, text: bytes) -> None:
    body = ask(server, [sent]).body
    written = body.partition(b'"data":[')[2].partition(b"]")[0]
    assert np.float32(float(written)) == np.float32(sent)
    assert float(written) == float(text)


def test_any_other_byte_is_true(server: ServerProcess) -> None:
    body, headers = infer_binary([("IN", "BOOL", [3], b"\0\1\2")])
    assert server.infer("flags", body, headers).json["outputs"][0]["data"] == [False, True, True]


def test_text_is_not_escaped_and_invalid_utf_8_passes_through(server: ServerProcess) -> None:
    assert (
        '"data":["ü€😀"]'.encode()
        in server.infer("word", infer_json(["ü€😀"], shape=[1], datatype="BYTES")).body
    )
    body, headers = infer_binary([("IN", "BYTES", [1], b"\2\0\0\0\xff\xfe")])
    assert b'"data":["\xff\xfe"]' in server.infer("word", body, headers).body


# -- raw requests ---------------------------------------------------------------------------------------------------

RAW = {"Inference-Header-Content-Length": "0"}


def test_a_raw_request_is_the_bytes_of_the_only_input(server: ServerProcess) -> None:
    data = np.arange(3, dtype=np.float32).tobytes()
    reply = server.infer("echo", data, RAW)
    assert reply.status == 200
    assert reply.body.endswith(data)
    length = int(reply.headers["inference-header-content-length"])
    assert json.loads(reply.body[:length])["outputs"][0]["shape"] == [1, 3]


def test_an_empty_body_is_an_empty_raw_request(server: ServerProcess) -> None:
    reply = server.infer("echo", b"")
    assert reply.status == 200
    assert reply.json["outputs"][0]["shape"] == [1, 0]


def test_raw_strings_are_one_element(server: ServerProcess) -> None:
    assert server.infer("word", b"hello", RAW).body.endswith(b"\5\0\0\0hello")


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("echo", "input byte size mismatch for input 'raw_input' for model 'echo'. Expected 4, got 7"),
        (
            "m",
            "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'm' model configuration",
        ),
        (
            "square",
            "The shape of the raw input 'IN' can not be deduced because there are more than one variable-sized dimension",
        ),
        ("words", "For BYTE datatype raw input 'IN', the model must have input shape [1]"),
    ],
)
def test_raw_requests_that_cannot_be_read(server: ServerProcess, model: str, text: str) -> None:
    reply = server.infer(model, b"1234567", RAW)
    assert (reply.status, reply.error) == (400, NO_ID + text)


# -- compression ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress)]
)
def test_compressed_requests(server: ServerProcess, coding: str, compress: Any) -> None:
    assert server.infer("echo", compress(GOOD), {"Content-Encoding": coding}).status == 200
    body, headers = infer_binary([("IN", "FP32", [1, 1], np.float32(5).tobytes())])
    reply = server.infer("echo", compress(body), {**headers, "Content-Encoding": coding})
    assert reply.json["outputs"][0]["data"] == [5.0]


@pytest.mark.parametrize("coding", ["identity", ""])
def test_identity_is_no_compression(server: ServerProcess, coding: str) -> None:
    assert server.infer("echo", GOOD, {"Content-Encoding": coding}).status == 200


def test_other_codings_are_unsupported(server: ServerProcess) -> None:
    reply = server.infer("echo", GOOD, {"Content-Encoding": "br"})
    assert (reply.status, reply.error) == (501, "Unsupported compression type")
    assert reply.headers["accept-encoding"] == "gzip, deflate"
    assert reply.headers["content-type"] == "text/plain"


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate", "gzip"), ("deflate, gzip", "deflate"),
        ("gzip;q=0.5, deflate;q=0.6", "deflate"), ("identity, gzip", None), ("gzip;q=0", None), ("*", None), ("br", None),
        ("br, gzip", "gzip"), ("", None), ("GZIP", "gzip"), ("gzip;q=0.5,identity;q=0.6", None), ("gzip;q=x", None),
    ],
)  # fmt: skip
def test_replies_are_compressed_as_the_client_likes(
    server: ServerProcess, accept: str, coding: str | None
) -> None:
    body = infer_json([1, 2], parameters={"binary_data_output": True})
    reply = server.infer("echo", body, {"Accept-Encoding": accept})
    assert reply.headers.get("content-encoding") == coding
    data = (
        reply.body
        if coding is None
        else gzip.decompress(reply.body)
        if coding == "gzip"
        else zlib.decompress(reply.body)
    )
    length = int(reply.headers["inference-header-content-length"])
    assert json.loads(data[:length])["outputs"][0]["name"] == "OUT"
    assert data[length:] == np.array([1, 2], np.float32).tobytes()


def test_errors_are_never_compressed(server: ServerProcess) -> None:
    for model, body in (("echo", b"{"), ("err", infer_json([-1]))):
        reply = server.infer(model, body, {"Accept-Encoding": "gzip"})
        assert "content-encoding" not in reply.headers
        assert reply.error


# -- classification -----------------------------------------------------------------------------------------------------


def classified(
    server: ServerProcess, model: str, data: list[Any], shape: list[int], **output: Any
) -> dict[str, Any]:
    datatype = "FP32" if model in {"scores", "echo", "square"} else model.upper()
    body = infer_json(data, shape=shape, datatype=datatype, outputs=[{"name": "OUT", "parameters": output}])
    found: dict[str, Any] = server.infer(model, body).json["outputs"][0]
    return found


def test_classification_of_a_batch_with_labels(server: ServerProcess) -> None:
    found = classified(server, "scores", [1, 3.3, 2, 1e10, 1e-7, 0], [2, 3], classification=2)
    assert found == {
        "name": "OUT", "datatype": "BYTES", "shape": [2, 2],
        "data": ["3.300000:1:dog", "2.000000:2", "10000000000.000000:0:cat", "0.000000:1:dog"],
    }  # fmt: skip


def test_classification_without_a_batch_flattens(server: ServerProcess) -> None:
    found = classified(server, "square", [1, 4, 3, 2], [2, 2], classification=9)
    assert (found["shape"], found["data"]) == ([4], ["4.000000:1", "3.000000:2", "2.000000:3", "1.000000:0"])


def test_classification_of_integers_and_ties(server: ServerProcess) -> None:
    assert classified(server, "int32", [7, 7, -1], [3], classification=3)["data"] == ["7:0", "7:1", "-1:2"]


def test_classification_of_zero_is_none(server: ServerProcess) -> None:
    assert classified(server, "scores", [1], [1, 1], classification=0)["datatype"] == "FP32"


# -- the official client ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
def test_tritonclient_talks_to_it(server: ServerProcess, binary: bool, coding: str | None) -> None:
    data = np.arange(6, dtype=np.float32).reshape(2, 3)
    client = triton.InferenceServerClient(f"127.0.0.1:{server.http_port}")
    try:
        given = triton.InferInput("IN", [2, 3], "FP32").set_data_from_numpy(data, binary_data=binary)
        wanted = triton.InferRequestedOutput("OUT", binary_data=binary)
        result = client.infer("echo", [given], outputs=[wanted], request_id="1", request_compression_algorithm=coding,
                              response_compression_algorithm=coding)  # fmt: skip
        np.testing.assert_array_equal(result.as_numpy("OUT"), data)
        assert result.get_response()["id"] == "1"
    finally:
        client.close()


def test_tritonclient_sends_strings(server: ServerProcess) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{server.http_port}")
    try:
        data = np.array([b"a", "ü".encode(), b""], dtype=object)
        given = triton.InferInput("IN", [3], "BYTES").set_data_from_numpy(data)
        assert client.infer("words", [given]).as_numpy("OUT").tolist() == data.tolist()
        assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("echo")
        assert client.get_server_metadata()["name"] == "triton"
        assert client.get_model_metadata("echo")["inputs"][0]["shape"] == [-1, -1]
        assert client.get_model_config("echo")["max_batch_size"] == 8
        assert client.get_inference_statistics("echo")["model_stats"][0]["name"] == "echo"
    finally:
        client.close()
