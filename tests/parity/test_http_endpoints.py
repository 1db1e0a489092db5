"""Endpoints, methods, headers and look-up errors of Triton 2.51 over HTTP (WIRE 1 and 2)."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from tests.harness.http import Connection, request
from tests.harness.server import ServerProcess

TEXT = "text/plain"
JSON = "application/json"


def test_server_metadata(server: ServerProcess) -> None:
    reply = server.get("/v2")
    assert (reply.status, reply.headers["content-type"]) == (200, JSON)
    document = reply.json
    assert list(document) == ["name", "version", "extensions"]
    assert (document["name"], document["version"]) == ("triton", version("tritium-server"))
    assert {"classification", "model_configuration", "binary_tensor_data", "parameters", "statistics"} <= set(
        document["extensions"]
    )


@pytest.mark.parametrize(
    "path",
    ["/v2/health/live", "/v2/health/ready", "/v2/models/echo/ready", "/v2/models/echo/versions/1/ready"],
)
def test_health_is_an_empty_text(server: ServerProcess, path: str) -> None:
    reply = server.get(path)
    assert (reply.status, reply.reason, reply.body) == (200, "OK", b"")
    assert list(reply.headers.items()) == [("content-length", "0"), ("content-type", TEXT)]


@pytest.mark.parametrize("path", ["/v2/models/nope/ready", "/v2/models/echo/versions/9/ready"])
def test_what_is_unknown_is_not_ready(server: ServerProcess, path: str) -> None:
    reply = server.get(path)
    assert (reply.status, reply.error, reply.headers["content-type"]) == (
        400,
        "Model version not ready",
        TEXT,
    )


def test_model_metadata(server: ServerProcess) -> None:
    reply = server.get("/v2/models/echo")
    assert reply.headers["content-type"] == JSON
    assert reply.body == (
        b'{"name":"echo","versions":["1"],"platform":"python","inputs":[{"name":"IN","datatype":"FP32","shape":[-1,-1]}],'
        b'"outputs":[{"name":"OUT","datatype":"FP32","shape":[-1,-1]}]}'
    )


def test_model_metadata_of_versions_strings_and_platforms(server: ServerProcess) -> None:
    assert server.get("/v2/models/versions").json["versions"] == ["1", "2", "10"]
    assert server.get("/v2/models/versions/versions/2").json["versions"] == ["2"]
    assert server.get("/v2/models/word").json["inputs"] == [{"name": "IN", "datatype": "BYTES", "shape": [1]}]
    assert server.get("/v2/models/double").json["platform"] == "onnxruntime_onnx"


def test_the_highest_version_answers(server: ServerProcess) -> None:
    body = b'{"inputs":[{"name":"IN","shape":[1,1],"datatype":"FP32","data":[1]}]}'
    assert server.infer("versions", body).json["model_version"] == "10"
    assert server.ask("POST", "/v2/models/versions/versions/2/infer", body).json["model_version"] == "2"


def test_model_config(server: ServerProcess) -> None:
    reply = server.get("/v2/models/echo/config")
    assert reply.headers["content-type"] == JSON
    config = reply.json
    assert (config["name"], config["backend"], config["max_batch_size"]) == ("echo", "python", 8)
    assert config["input"][0] | {"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]} == config["input"][0]
    assert server.get("/v2/models/echo/versions/1/config").body == reply.body


NO_VERSION = (
    "failed to get model version from specified version string '99999999999999999999' (details: stol), "
    "version should be an integral value > 0"
)
UNKNOWN = [
    ("GET", "/v2/models/nope", 404, "Request for unknown model: 'nope' is not found"),
    ("GET", "/v2/models/nope/config", 404, "Request for unknown model: 'nope' is not found"),
    ("POST", "/v2/models/nope/infer", 404, "Request for unknown model: 'nope' is not found"),
    ("GET", "/v2/models/echo/versions/9", 404, "Request for unknown model: 'echo' version 9 is not found"),
    (
        "POST",
        "/v2/models/echo/versions/9/infer",
        404,
        "Request for unknown model: 'echo' version 9 is not found",
    ),
    ("GET", "/v2/models/nope/stats", 400, "requested model 'nope' is not available"),
    (
        "GET",
        "/v2/models/echo/versions/9/stats",
        400,
        "requested model version is not available for model 'echo'",
    ),
    (
        "GET",
        "/v2/models/echo/versions/99999999999999999999",
        400,
        NO_VERSION,
    ),
    ("GET", "/v2/models/ec%68o", 404, "Request for unknown model: 'ec%68o' is not found"),
]


@pytest.mark.parametrize(("method", "path", "status", "text"), UNKNOWN)
def test_look_up_errors(server: ServerProcess, method: str, path: str, status: int, text: str) -> None:
    reply = server.ask(method, path, b"{}" if method == "POST" else None)
    assert (reply.status, reply.error) == (status, text)


NOT_FOUND = [
    "/",
    "/v2/",
    "/v1",
    "/v2/models",
    "/v2/models/",
    "/v2/models/echo/",
    "/v2//models/echo",
    "//v2",
    "/v2/health",
    "/v2/health/live/",
    "/v2/models/echo/versions",
    "/v2/models/echo/versions/",
    "/v2/models/echo/versions/one",
    "/v2/models/echo/versions/-1",
    "/v2/models/echo/versions/1/",
    "/v2/models/echo/nope",
    "/v2/models/echo/infer/",
    "/v2/models/echo/versions/1/ready/x",
    "/V2",
    "/v2/Models/echo",
    "/metrics",
    "/favicon.ico",
    "/v2/models/echo/versions/1/trace/setting",
]


@pytest.mark.parametrize("path", NOT_FOUND)
def test_unknown_paths(server: ServerProcess, path: str) -> None:
    for method in ("GET", "POST"):
        reply = server.ask(method, path, b"" if method == "POST" else None)
        assert (reply.status, reply.body, reply.headers["content-type"]) == (
            404,
            b'{"error":"Not Found"}',
            TEXT,
        )


METHODS = [
    ("POST", "/v2"),
    ("POST", "/v2/health/live"),
    ("POST", "/v2/health/ready"),
    ("POST", "/v2/models/echo"),
    ("POST", "/v2/models/echo/ready"),
    ("POST", "/v2/models/echo/config"),
    ("POST", "/v2/models/stats"),
    ("GET", "/v2/models/echo/infer"),
    ("PUT", "/v2/models/echo/infer"),
    ("DELETE", "/v2/models/echo"),
    ("PATCH", "/v2"),
]


@pytest.mark.parametrize(("method", "path"), METHODS)
def test_wrong_methods(server: ServerProcess, method: str, path: str) -> None:
    reply = server.ask(method, path, b"" if method != "GET" else None)
    assert (reply.status, reply.reason) == (405, "Not Allowed")
    assert reply.body == b'{"error":"Method Not Allowed"}'


def test_a_query_is_ignored(server: ServerProcess) -> None:
    assert server.get("/v2/models/echo/ready?x=1").status == 200
    assert server.get("/v2?/nope").status == 200


def test_the_content_type_of_a_request_is_ignored(server: ServerProcess) -> None:
    body = b'{"inputs":[{"name":"IN","shape":[1,1],"datatype":"FP32","data":[1]}]}'
    for kind in ("text/html", "application/octet-stream", "", "nonsense"):
        assert server.infer("echo", body, {"Content-Type": kind}).status == 200


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/nope"])
def test_no_reply_names_the_server_or_the_date(server: ServerProcess, path: str) -> None:
    assert not {"server", "date", "x-powered-by"} & set(server.get(path).headers)


def test_other_paths_of_the_metrics_port_are_empty(server: ServerProcess) -> None:
    for path in ("/", "/v2", "/metrics/", "/v2/health/live"):
        with Connection(server.metrics_port) as connection:
            connection.send(request("GET", path))
            reply = connection.reply()
        assert reply is not None
        assert (reply.status, reply.body, reply.headers["content-type"]) == (
            200,
            b"",
            "text/plain; charset=utf-8",
        )


def test_posting_to_the_metrics_port_is_not_allowed(server: ServerProcess) -> None:
    with Connection(server.metrics_port) as connection:
        connection.send(request("POST", "/metrics", b""))
        reply = connection.reply()
    assert reply is not None
    assert (reply.status, json.loads(reply.body)) == (405, {"error": "Method Not Allowed"})
