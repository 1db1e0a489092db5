"""generate and generate_stream of Triton 2.51 (WIRE 9), for ordinary and decoupled models.

Where Triton answers 500 to a mistake of the client, the text here is the same and the status is 400. Errors
of a model have the status of their code (Triton: 400).
"""

# ruff: noqa: E501 - recorded texts stay whole

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.http import Connection, Reply, infer_json, request
from tests.harness.models import FAILING, PLAIN, write_python_model
from tests.harness.pipeline_models import REPEAT
from tests.harness.server import ServerProcess

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"
ACCESS = "attempt to access JSON non-"
NUMBER = f"Unable to parse 'data': {ACCESS}number as double"
SIGNED = f"Unable to parse 'data': {ACCESS}signed-integer as signed-integer"
STRING = f"Unable to parse JSON bytes array: {ACCESS}string as string"
SCHEMA = "The schema can not convert input 'IN' to tensor with proper shape"
PARSE = "failed to parse the request JSON buffer: "
PARAMETER = "parameter 'o' has invalid type. It should be either 'int', 'bool', or 'string'."
NO_OBJECT = f"Expected JSON object for keyword: 'parameters': {ACCESS}object as object"
CONVERTING = "Converting keyword: 'parameters': "

# OUT is a JSON text of what the model was given.
ASKS = """
class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            inputs = [[t.name(), list(t.shape()), str(t.as_numpy().tolist())] for t in request.inputs()]
            given = {"p": json.loads(request.parameters()), "id": request.request_id(), "in": inputs,
                     "corr": request.correlation_id(), "flags": request.flags()}
            out = np.array([[json.dumps(given)]], object)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", out)]))
        return responses
"""
CLASH = """
class TritonPythonModel:
    def execute(self, requests):
        arrays = {"id": [[5]], "model_name": [[1, 2]], "OUT": np.zeros((1, 0)), "e": [[float("nan")]]}
        tensors = [pb_utils.Tensor(name, np.array(array, np.float32)) for name, array in arrays.items()]
        return [pb_utils.InferenceResponse(tensors) for request in requests]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("generate")
    models = root / "models"
    write_python_model(models, "echo")
    for name, kind, dims in (
        ("one", "FP32", [1]), ("square", "FP32", [-1, -1]), ("m23", "FP32", [2, 3]), ("words", "STRING", [-1]),
        ("bool", "BOOL", [-1]), ("int8", "INT8", [-1]), ("uint8", "UINT8", [-1]), ("uint64", "UINT64", [-1]),
        ("int32", "INT32", [-1]), ("fp64", "FP64", [-1]), ("fp16", "FP16", [-1]),
    ):  # fmt: skip
        write_python_model(
            models, name, max_batch_size=0, inputs=[("IN", kind, dims)], outputs=[("OUT", kind, dims)]
        )
    write_python_model(models, "textgen", inputs=[("text_input", "STRING", [1]), ("seed?", "INT32", [1])],
                       outputs=[("text_output", "STRING", [1]), ("seed_output", "INT32", [1])])  # fmt: skip
    write_python_model(models, "asks", ASKS, inputs=[("IN", "STRING", [1]), ("A?", "FP32", [-1])],
                       outputs=[("OUT", "STRING", [1])])  # fmt: skip
    write_python_model(models, "nested", inputs=[("IN", "STRING", [1]), ("parameters?", "INT32", [1])],
                       outputs=[("OUT", "STRING", [1])])  # fmt: skip
    outputs = [(name, "FP32", [-1]) for name in ("id", "model_name", "OUT", "e")]
    write_python_model(models, "clash", CLASH, outputs=outputs)
    write_python_model(models, "err", FAILING)
    write_python_model(models, "repeat", REPEAT, extra="model_transaction_policy { decoupled: true }")
    write_python_model(models, "plain", PLAIN)
    with ServerProcess(models, log=root / "log") as running:
        yield running
        running.assert_three_ok()


def generate(server: ServerProcess, model: str, body: Any, *, stream: bool = False, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/v2/models/{model}/generate{'_stream' if stream else ''}"
    return server.ask("POST", path, raw, {name.replace("_", "-"): value for name, value in headers.items()})


def out(elements: str, model: str, **before: str) -> str:
    extra = "".join(f'"{name}":{value},' for name, value in before.items())
    return f'{{"OUT":{elements},{extra}"model_name":"{model}","model_version":"1"}}'


@pytest.mark.parametrize(
    ("model", "value", "elements"),
    [
        ("echo", "[1.0,2.0]", "[1.0,2.0]"),
        ("echo", "1.5", "1.5"),
        ("echo", "[]", "[]"),
        ("echo", "[1,[2]]", "[1.0,2.0]"),
        ("one", "1", "1.0"),
        ("square", "[1,2,3]", "[1.0,2.0,3.0]"),
        ("m23", "[1,2,3,4,5,6]", "[1.0,2.0,3.0,4.0,5.0,6.0]"),
        ("words", '["a","é"]', '["a","é"]'),
        ("words", '"a"', '"a"'),
        ("words", "[]", "[]"),
        ("bool", "[true,false]", "[true,false]"),
        ("int8", "[300]", "44"),
        ("uint64", "[18446744073709551615]", "18446744073709551615"),
        ("int32", "[1099511627776]", "0"),
        ("fp64", "[NaN,Infinity,-Infinity]", "[NaN,Infinity,-Infinity]"),
        ("fp64", "[1,2.5]", "[1.0,2.5]"),
    ],
)
def test_tensors_both_ways(server: ServerProcess, model: str, value: str, elements: str) -> None:
    reply = generate(server, model, f'{{"IN":{value}}}'.encode())
    assert (reply.status, reply.headers["content-type"]) == (200, JSON)
    assert reply.body.decode() == out(elements, model)
    reply = generate(server, model, f'{{"IN":{value}}}'.encode(), stream=True)
    assert list(reply.headers.items()) == [("content-type", EVENTS), ("transfer-encoding", "chunked")]
    assert (reply.status, reply.body.decode()) == (200, f"data: {out(elements, model)}\n\n")


def test_text_and_optional_inputs(server: ServerProcess) -> None:
    assert generate(server, "textgen", {"text_input": ["a", "b"]}).body == (
        b'{"model_name":"textgen","model_version":"1","text_output":["a","b"]}'
    )
    assert generate(server, "textgen", {"text_input": "hi", "seed": 99999999999}).body == (
        b'{"model_name":"textgen","model_version":"1","seed_output":1215752191,"text_output":"hi"}'
    )


ERRORS: list[tuple[str, bytes, str]] = [
    *[("echo", b'{"IN":%b}' % value, NUMBER) for value in (b"true", b'"x"', b"null", b"{}", b'[1,"x"]')],
    ("echo", b'{"IN":[[1,2],[3,4]]}', "Unable to parse 'data': Shape does not match true shape of 'data' field"),
    *[("echo", body, "attempt to get members for non-object") for body in (b"[]", b"1", b'"x"', b"null")],
    ("echo", b"x", f"{PARSE}Invalid value. at 0"),
    ("echo", b"", f"{PARSE}The document is empty. at 0"),
    ("echo", b'{"IN":1} x', f"{PARSE}The document root must not be followed by other values. at 9"),
    ("one", b'{"IN":[1,2]}', SCHEMA),
    ("one", b'{"IN":[]}', SCHEMA),
    ("m23", b'{"IN":[[1,2,3],[4,5,6]]}', SCHEMA),
    ("m23", b'{"IN":[1,2,3]}', SCHEMA),
    ("words", b'{"IN":[1]}', STRING),
    ("words", b'{"IN":1}', STRING),
    ("textgen", b'{"text_input":"hi","seed":3.5}', SIGNED),
    ("textgen", b'{"text_input":"hi","seed":"3"}', SIGNED),
    ("bool", b'{"IN":[1]}', f"Unable to parse 'data': {ACCESS}boolean as boolean"),
    ("int8", b'{"IN":[1.0]}', SIGNED),
    ("uint8", b'{"IN":[-1]}', f"Unable to parse 'data': {ACCESS}unsigned-integer as unsigned-integer"),
    ("fp16", b'{"IN":[1.0]}',
     "receiving FP16 data via JSON is not supported. Please use the binary data format for input IN"),
    ("asks", b'{"IN":"x","id":5}', f"Unable to parse 'id': {ACCESS}string as string"),
    *[("asks", b'{"IN":"x","o":%b}' % value, PARAMETER) for value in (b"{}", b"[1]", b"null")],
    *[("asks", b'{"IN":"x","parameters":%b}' % value, NO_OBJECT) for value in (b"5", b"[]", b"null")],
    ("asks", b'{"IN":"x","parameters":{"o":{}}}', CONVERTING + PARAMETER),
    ("asks", b'{"IN":"x","parameters":{"parameters":{}}}', CONVERTING + PARAMETER.replace("'o'", "'parameters'")),
    ("asks", b'{"IN":"x","parameters":{"A":["x"]}}', CONVERTING + NUMBER),
    ("asks", b'{"IN":"x","parameters":{"IN":"y"}}',
     CONVERTING + "[request id: <id_unknown>] input 'IN' already exists in request"),
    ("nested", b'{"IN":"x","parameters":{}}',
     "Keyword 'parameters' for nested schema also given as input tensor name"),
    ("echo", b"{}",
     "[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'echo'. Got input(s) [], but missing required input(s) ['IN']. Please provide all required input(s)."),
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "body", "text"), ERRORS)
def test_errors(server: ServerProcess, model: str, body: bytes, text: str, stream: bool) -> None:
    reply = generate(server, model, body, stream=stream)
    assert (reply.status, reply.error, reply.headers["content-type"]) == (400, text, JSON)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("nope", "Request for unknown model: 'nope' is not found"),
        ("echo/versions/7", "Request for unknown model: 'echo' version 7 is not found"),
    ],
)
def test_unknown_models(server: ServerProcess, model: str, text: str, stream: bool) -> None:
    reply = generate(server, model, {"IN": 1}, stream=stream)
    assert (reply.status, reply.error, reply.headers["content-type"]) == (404, text, JSON)


@pytest.mark.parametrize("coding", ["gzip", ""])
def test_no_content_encoding_but_identity(server: ServerProcess, coding: str) -> None:
    text = "Unsupported content-encoding, only 'identity' is supported."
    reply = generate(server, "echo", {"IN": 1}, Content_Encoding=coding)
    assert (reply.status, reply.error, reply.headers["content-type"]) == (400, text, JSON)
    assert generate(server, "echo", {"IN": 1}, Content_Encoding="identity").status == 200


def asked(server: ServerProcess, **members: Any) -> Any:
    return json.loads(generate(server, "asks", {"IN": "x", **members}).json["OUT"])


def test_other_keys_are_parameters(server: ServerProcess) -> None:
    given = {
        "id": "abc",
        "temperature": 0.5,
        "n": 3,
        "flag": True,
        "s": "str",
        "neg": -5,
        "": 1,
        "outputs": "x",
    }
    found = asked(server, A=[1, 2], **given)
    assert (found["p"], found["id"]) == (given, "abc")
    assert found["in"] == [["IN", [1, 1], "[[b'x']]"], ["A", [1, 2], "[[1.0, 2.0]]"]]


def test_nested_parameters(server: ServerProcess) -> None:
    found = asked(server, parameters={"a": 1, "A": [3.0], "id": "inner"})
    assert (found["p"], found["id"]) == ({"a": 1, "id": "inner"}, "")
    assert found["in"][1] == ["A", [1, 1], "[[3.0]]"]


def test_settings_of_infer_are_parameters_like_others(server: ServerProcess) -> None:
    given = {
        "sequence_id": 5,
        "sequence_start": True,
        "priority": 3,
        "timeout": 77,
        "triton_x": 1,
        "big": 2.0**64,
    }
    found = asked(server, **given)
    assert (found["p"], found["corr"], found["flags"]) == (given, 0, 0)


def test_the_id_comes_back_and_outputs_give_way_to_it(server: ServerProcess) -> None:
    reply = generate(server, "echo", {"IN": 1, "id": 'a"b\\é\n'})
    assert reply.body.decode() == out("1.0", "echo", id='"a\\"b\\\\é\\n"')
    assert generate(server, "clash", {"IN": 1, "id": "rid"}).body == (
        b'{"OUT":[],"e":NaN,"id":"rid","model_name":"clash","model_version":"1"}'
    )
    assert generate(server, "clash", {"IN": 1}, stream=True).body == (
        b'data: {"OUT":[],"e":NaN,"id":5.0,"model_name":"clash","model_version":"1"}\n\n'
    )


@pytest.mark.parametrize(("code", "status"), [(0, 400), (1, 500), (2, 404), (3, 400), (4, 503), (5, 501)])
def test_errors_of_a_model(server: ServerProcess, code: int, status: int) -> None:
    reply = generate(server, "err", {"IN": code})
    assert (reply.status, reply.body, reply.headers["content-type"]) == (status, b'{"error":"told so"}', JSON)
    reply = generate(server, "err", {"IN": code}, stream=True)
    assert (reply.status, reply.body) == (status, b'data: {"error":"told so"}\n\n')
    assert reply.headers["content-type"] == EVENTS


NOT_ONE = "generate expects model to produce exactly 1 response, use generate stream for model that generates various number of responses"


@pytest.mark.parametrize("count", [0, 2, 7])
def test_generate_wants_one_response_of_a_decoupled_model(server: ServerProcess, count: int) -> None:
    reply = generate(server, "repeat", {"IN": count})
    assert (reply.status, reply.error, reply.headers["content-type"]) == (200, NOT_ONE, JSON)
    assert generate(server, "repeat", {"IN": 1}).json["OUT"] == 0.0


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_a_stream_has_an_event_for_each_response_of_a_decoupled_model(
    server: ServerProcess, count: int
) -> None:
    reply = generate(server, "repeat", {"IN": count}, stream=True)
    assert (reply.status, reply.headers["content-type"]) == (200, EVENTS)
    events = reply.body.decode().split("\n\n")[:-1]
    assert [json.loads(event.removeprefix("data: "))["OUT"] for event in events] == [*range(count)]


def test_an_error_of_a_decoupled_model(server: ServerProcess) -> None:
    reply = generate(server, "repeat", {"IN": -1}, stream=True)
    assert (reply.status, reply.body) == (400, b'data: {"error":"told so"}\n\n')
    assert generate(server, "repeat", {"IN": -1}).status == 400


def test_parameters_of_a_response_stand_beside_its_outputs(server: ServerProcess) -> None:
    document = generate(server, "plain", {"IN": [1, 2]}).json
    assert list(document) == ["OUT", "model_name", "model_version", "pid"]


@pytest.mark.parametrize("path", ["generate", "generate_stream"])
def test_nothing_but_post(server: ServerProcess, path: str) -> None:
    for method in ("GET", "HEAD", "PUT"):
        reply = server.ask(method, f"/v2/models/echo/{path}")
        assert (reply.status, reply.headers["content-length"]) == (405, "30")


@pytest.mark.parametrize("path", ["generate", "generate_stream"])
def test_http_1_0(server: ServerProcess, path: str) -> None:
    with server.connect() as connection:
        body = b'{"IN":1}'
        connection.send(
            b"POST /v2/models/echo/%b HTTP/1.0\r\nContent-Length: 8\r\n\r\n%b" % (path.encode(), body)
        )
        reply = connection.reply()
        assert reply is not None
        assert (reply.status, out("1.0", "echo") in reply.body.decode()) == (200, True)
        assert reply.headers["connection"] == "close"
        assert not {"content-length", "transfer-encoding"} & reply.headers.keys()


def _sent(connection: Connection, path: str, body: bytes, **headers: str) -> None:
    connection.send(request("POST", f"/v2/models/{path}", body, headers))


def test_the_connection_lives_on_and_pipelined_replies_keep_their_order(server: ServerProcess) -> None:
    with server.connect() as connection:
        for _ in range(2):
            _sent(connection, "echo/generate_stream", b'{"IN":1}')
            _sent(connection, "echo/infer", infer_json([2]))
            _sent(connection, "echo/generate", b'{"IN":3}')
            _sent(connection, "echo/generate_stream", b"{}")
            _sent(connection, "echo/generate_stream", b'{"IN":4}')
        for _ in range(2):
            replies = [connection.reply() for _ in range(5)]
            found = [(reply.status, reply.body[:14]) for reply in replies if reply is not None]
            assert found == [
                (200, b'data: {"OUT":1'),
                (200, b'{"model_name":'),
                (200, b'{"OUT":3.0,"mo'),
                (400, b'{"error":"[req'),
                (200, b'data: {"OUT":4'),
            ]


def test_connection_close(server: ServerProcess) -> None:
    with server.connect() as connection:
        _sent(connection, "echo/generate_stream", b'{"IN":1}', Connection="close")
        reply = connection.reply()
        assert reply is not None
        assert (reply.headers["connection"], reply.headers["transfer-encoding"]) == ("close", "chunked")
        assert connection.rest() == b""
