"""Index, load and unload of Triton 2.51 over HTTP (WIRE 12 and 20), text by text.

Where Triton answers 500 to a mistake of the client, the text here is the same and the status is 400. Where it
keeps the cause of a failed load to its log, the cause follows the same text here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.http import Reply, infer_json, wait_until
from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import ServerProcess

JSON = "application/json"
POLL_FAILED = "failed to load '{}', failed to poll from model repository"
UNKNOWN_BACKEND = (
    "unable to find backend library for backend 'foo', try specifying runtime on the model configuration."
)
NO_VERSION = "at least one version must be available under the version policy of model"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("control")
    models = root / "models"
    for name in ("echo", "good", "badcfg", "nobackend", "noname", "nover"):
        write_python_model(models, name, PLAIN)
    write_python_model(models, "part", PLAIN, versions=[1, 3], extra="version_policy { all {} }")
    write_python_model(models, "broken", 'raise ValueError("no")')
    (models / "part" / "3" / "model.py").write_text('raise ValueError("bad three")\n')
    (models / "badcfg" / "config.pbtxt").write_text("foo: 1\n")
    _replace(models / "nobackend" / "config.pbtxt", '"python"', '"foo"')
    _replace(models / "noname" / "config.pbtxt", 'name: "IN"', "")
    (models / "nover" / "1").rename(models / "nover" / "v1")
    flags = ("--model-control-mode", "explicit", "--load-model", "echo")
    with ServerProcess(models, *flags, log=root / "log") as running:
        yield running


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def post(server: ServerProcess, path: str, body: bytes = b"") -> Reply:
    return server.ask("POST", f"/v2/repository{path}", body)


def load(server: ServerProcess, model: str, **parameters: Any) -> Reply:
    return post(server, f"/models/{model}/load", json.dumps({"parameters": parameters}).encode())


def unload(server: ServerProcess, model: str, body: bytes = b"") -> Reply:
    return post(server, f"/models/{model}/unload", body)


def index(server: ServerProcess, *names: str, body: bytes = b"") -> list[dict[str, str]]:
    return [entry for entry in post(server, "/index", body).json if not names or entry["name"] in names]


def loaded_then_unloaded(server: ServerProcess, name: str) -> list[dict[str, str]]:
    """What the index says when the unload is over."""
    unload(server, name)
    wait_until(
        lambda: all(entry["state"] != "UNLOADING" for entry in index(server, name)), 30, "it is unloaded"
    )
    return index(server, name)


def test_load_and_unload_answer_with_nothing(server: ServerProcess) -> None:
    for reply in (post(server, "/models/good/load"), unload(server, "good")):
        assert (reply.status, reply.body) == (200, b"")
        assert list(reply.headers.items()) == [("content-type", JSON), ("content-length", "0")]


def test_the_index_shows_what_was_never_loaded_by_its_name_alone(server: ServerProcess) -> None:
    reply = post(server, "/index")
    assert reply.headers["content-type"] == JSON
    names = [entry["name"] for entry in reply.json]
    assert names == sorted(names)
    assert {"name": "badcfg"} in reply.json
    assert {"name": "echo", "version": "1", "state": "READY"} in reply.json


def test_the_index_shows_what_is_unloaded(server: ServerProcess) -> None:
    post(server, "/models/good/load")
    assert index(server, "good") == [{"name": "good", "version": "1", "state": "READY"}]
    assert loaded_then_unloaded(server, "good") == [
        {"name": "good", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}
    ]
    reply = server.infer("good", infer_json([1]))
    assert (reply.status, reply.error) == (404, "Request for unknown model: 'good' has no available versions")
    reply = server.get("/v2/models/good/versions/1")
    assert (reply.status, reply.error) == (
        503,
        "Request for unknown model: 'good' version 1 is not at ready state",
    )


def test_the_index_can_be_limited_to_what_is_ready(server: ServerProcess) -> None:
    assert {entry["state"] for entry in index(server, body=b'{"ready":true}')} == {"READY"}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"1", b'{"foo":1}', b'{"ready":false}'])
def test_the_index_is_whole_unless_it_is_asked_otherwise(server: ServerProcess, body: bytes) -> None:
    assert {"name": "badcfg"} in index(server, body=body)
    assert {"name": "badcfg"} in post(server, "/any/index", body).json


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"ready":1}', "attempt to access JSON non-boolean as boolean"),
        (b"x", "failed to parse the request JSON buffer: Invalid value. at 0"),
    ],
)
def test_index_errors(server: ServerProcess, body: bytes, text: str) -> None:
    reply = post(server, "/index", body)
    assert (reply.status, reply.error, reply.headers["content-type"]) == (400, text, JSON)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"1", b'{"x":1}', b'{"parameters":{}}'])
def test_a_load_request_may_say_nothing(server: ServerProcess, body: bytes) -> None:
    assert post(server, "/models/echo/load", body).status == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"x", "failed to parse the request JSON buffer: Invalid value. at 0"),
        (b'{"parameters":1}', "attempt to get members for non-object"),
        (b'{"parameters":null}', "attempt to get members for non-object"),
        (b'{"parameters":{"foo":"1"}}', "unexpected error on creating Triton parameter"),
        (b'{"parameters":{"config":1}}', "attempt to access JSON non-string as string"),
        (b'{"parameters":{"file:1/model.py":5}}', "attempt to access JSON non-string as string"),
    ],
)
def test_load_request_errors(server: ServerProcess, body: bytes, text: str) -> None:
    reply = post(server, "/models/echo/load", body)
    assert (reply.status, reply.error, reply.headers["content-type"]) == (400, text, JSON)


@pytest.mark.parametrize("model", ["nosuch", "a%2Fb", "%2e%2e", "a..b", "..."])
def test_an_unknown_model_is_told_in_the_very_words(server: ServerProcess, model: str) -> None:
    reply = post(server, f"/models/{model}/load")
    assert (reply.status, reply.error) == (400, POLL_FAILED.format(model))


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("badcfg", {}),
        ("echo", {"config": "x"}),
        ("echo", {"config": '{"foo":1}'}),
        ("echo", {"config": '{"name":"zz"}'}),
        ("echo", {"file:1/model.py": "eA=="}),
        ("echo", {"config": "{}", "file:": "eA=="}),
        ("echo", {"config": "{}", "file:../x": "eA=="}),
        ("echo", {"config": "{}", "file:/abs": "eA=="}),
    ],
)
def test_what_cannot_be_read_has_its_cause_behind_tritons_text(
    server: ServerProcess, model: str, parameters: dict[str, str]
) -> None:
    reply = load(server, model, **parameters)
    assert reply.status == 400
    assert reply.error.startswith(POLL_FAILED.format(model) + ": ")


@pytest.mark.parametrize("model", ["..", "."])
def test_names_that_are_paths_are_refused_as_by_newer_servers(server: ServerProcess, model: str) -> None:
    reply = post(server, f"/models/{model}/load")
    assert reply.status == 400
    assert (
        reply.error == f"invalid model name '{model}', model name must not contain path traversal characters"
    )


@pytest.mark.parametrize(
    ("model", "start", "end"),
    [
        ("broken", "version 1 is at UNAVAILABLE state: Internal: ValueError: no", ";\n"),
        ("part", "version 3 is at UNAVAILABLE state: Internal: ValueError: bad three", ";\n"),
        ("nover", f"{NO_VERSION} 'nover'", "\n"),
        (
            "noname",
            "version 1 is at UNAVAILABLE state: Invalid argument: model input must specify 'name' for noname",
            ";\n",
        ),
        (
            "nobackend",
            f"version 1 is at UNAVAILABLE state: Invalid argument: {UNKNOWN_BACKEND}",
            ";\n",
        ),
    ],
)
def test_load_failures(server: ServerProcess, model: str, start: str, end: str) -> None:
    reply = post(server, f"/models/{model}/load")
    assert (reply.status, reply.headers["content-type"]) == (400, JSON)
    assert reply.error.startswith(f"load failed for model '{model}': {start}")
    assert reply.error.endswith(end)
    if model in ("broken", "noname", "nobackend"):
        (entry,) = index(server, model)
        assert (entry["version"], entry["state"]) == ("1", "UNAVAILABLE")
        assert start.endswith(entry["reason"][: len(start) - len("version 1 is at UNAVAILABLE state: ")])
    unload(server, model)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"x",
        b'{"parameters":{"unload_dependents":1}}',
        b'{"parameters":{"unload_dependents":true}}',
    ],
)
def test_an_unload_always_succeeds(server: ServerProcess, body: bytes) -> None:
    post(server, "/models/good/load")
    for name in ("good", "good", "nope"):
        assert unload(server, name, body).status == 200
    assert not server.ready("good")


@pytest.mark.parametrize("action", ["load", "unload"])
def test_a_repository_cannot_be_named(server: ServerProcess, action: str) -> None:
    reply = post(server, f"/abc/models/echo/{action}")
    assert (reply.status, reply.error) == (501, "'repository_name' specification is not supported")


def test_wrong_methods_and_paths(server: ServerProcess) -> None:
    assert [server.get(f"/v2/repository{path}").status for path in ("/index", "/models/echo/load")] == [
        405,
        405,
    ]
    assert [post(server, path).status for path in ("", "/models/echo", "/models")] == [404, 404, 404]


def test_a_model_may_come_with_the_request(server: ServerProcess) -> None:
    config = {
        "backend": "python",
        "max_batch_size": 8,
        "input": [{"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]}],
        "output": [{"name": "OUT", "data_type": "TYPE_FP32", "dims": [-1]}],
    }
    source = (server.repository / "echo" / "1" / "model.py").read_bytes()
    files = {"file:5/model.py": base64.b64encode(source).decode()}
    assert load(server, "brandnew", config=json.dumps(config), **files).status == 200
    assert server.get("/v2/models/brandnew").body == (
        b'{"name":"brandnew","versions":["5"],"platform":"python","inputs":[{"name":"IN","datatype":"FP32",'
        b'"shape":[-1,-1]}],"outputs":[{"name":"OUT","datatype":"FP32","shape":[-1,-1]}]}'
    )
    assert index(server, "brandnew") == []
    assert post(server, "/models/brandnew/load").error == POLL_FAILED.format("brandnew")
    assert server.infer("brandnew", infer_json([2])).json["outputs"][0]["data"] == [2.0]
    unload(server, "brandnew")
    assert not server.ready("brandnew")


def test_the_extensions_are_announced(server: ServerProcess) -> None:
    assert {"model_repository", "model_repository(unload_dependents)"} <= set(
        server.get("/v2").json["extensions"]
    )


def test_without_explicit_control_models_stay_as_they_are(tmp_path: Path) -> None:
    write_python_model(tmp_path / "models", "echo", PLAIN)
    with ServerProcess(tmp_path / "models", log=tmp_path / "log") as server:
        for reply in (post(server, "/models/echo/load"), unload(server, "echo")):
            assert (reply.status, reply.headers["content-type"]) == (503, JSON)
            assert reply.error == "explicit model load / unload is not allowed if polling is enabled"
        assert index(server) == [{"name": "echo", "version": "1", "state": "READY"}]
