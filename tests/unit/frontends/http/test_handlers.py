from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.builders import echo_config, model
from tests.unit.frontends.http.fakes import Reply, exchange, reply_of, server
from tritium.core.model import Model
from tritium.frontends.http.exchange import HttpRefusal
from tritium.frontends.http.handlers import HttpApi
from tritium.options import Restriction
from tritium.protocol.restrictions import Restrictions


def ask(path: str, *models: Model, method: str = "GET", body: bytes = b"") -> Reply:
    api = HttpApi(server(*models), max_input_bytes=1000)
    one = exchange(method, path, body)
    one.head.plan = api.plan(one.head)
    api.handle(one)
    return reply_of(one)


def document(path: str, *models: Model) -> Any:
    reply = ask(path, *models)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    return json.loads(reply.body)


ECHO_1, ECHO_2 = model(version=1, document={"name": "echo"}), model(version=2)
OTHER = model(echo_config("other"))


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_a_healthy_server_says_so_with_an_empty_page(path: str) -> None:
    reply = ask(path)
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, b"", "text/plain")


def test_a_server_that_stops_is_live_and_not_ready() -> None:
    stopping = server()
    stopping.close()
    api = HttpApi(stopping, max_input_bytes=1000)
    statuses = []
    for path in ("/v2/health/live", "/v2/health/ready"):
        one = exchange("GET", path)
        one.head.plan = api.plan(one.head)
        api.handle(one)
        statuses.append((reply_of(one).status, reply_of(one).body))
    assert statuses == [(200, b""), (400, b"")]


def test_the_server_describes_itself() -> None:
    assert document("/v2")["name"] == "triton"


@pytest.mark.parametrize("path", ["/v2/models/echo/ready", "/v2/models/echo/versions/1/ready"])
def test_a_model_that_is_ready_says_so_with_an_empty_page(path: str) -> None:
    assert (ask(path, ECHO_1).status, ask(path, ECHO_1).body) == (200, b"")


@pytest.mark.parametrize("path", ["/v2/models/nope/ready", "/v2/models/echo/versions/9/ready"])
def test_a_model_that_is_not_there_is_not_ready(path: str) -> None:
    reply = ask(path, ECHO_1)
    assert (reply.status, reply.body) == (400, b'{"error":"Model version not ready"}')


def test_a_model_whose_worker_is_gone_is_not_ready() -> None:
    assert ask("/v2/models/echo/ready", model(ready=False)).status == 400


@pytest.mark.parametrize(
    ("path", "versions"), [("/v2/models/echo", ["1", "2"]), ("/v2/models/echo/versions/1", ["1"])]
)
def test_a_model_lists_its_versions_or_the_one_asked_for(path: str, versions: list[str]) -> None:
    assert document(path, ECHO_1, ECHO_2)["versions"] == versions


def test_a_configuration_is_shown_as_it_is() -> None:
    assert document("/v2/models/echo/versions/1/config", ECHO_1) == {"name": "echo"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/models/stats", [("echo", "1"), ("echo", "2"), ("other", "1")]),
        ("/v2/models/echo/stats", [("echo", "1"), ("echo", "2")]),
        ("/v2/models/echo/versions/2/stats", [("echo", "2")]),
    ],
)
def test_statistics_are_of_all_models_or_those_asked_for(path: str, expected: list[tuple[str, str]]) -> None:
    found = document(path, ECHO_1, ECHO_2, OTHER)["model_stats"]
    assert [(entry["name"], entry["version"]) for entry in found] == expected


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/v2/models/nope", 404, "Request for unknown model: 'nope' is not found"),
        ("/v2/models/echo/versions/9", 404, "Request for unknown model: 'echo' version 9 is not found"),
        ("/v2/models/nope/config", 404, "Request for unknown model: 'nope' is not found"),
        ("/v2/models/nope/stats", 400, "requested model 'nope' is not available"),
        (
            "/v2/models/echo/versions/9/stats",
            400,
            "requested model version is not available for model 'echo'",
        ),
        (
            "/v2/models/echo/versions/99999999999999999999",
            400,
            (
                "failed to get model version from specified version string '99999999999999999999' "
                "(details: stol), version should be an integral value > 0"
            ),
        ),
        ("/nowhere", 404, "Not Found"),
        ("/v2/models/echo/infer", 405, "Method Not Allowed"),
    ],
)
def test_what_is_not_there_is_said_in_tritons_words(path: str, status: int, text: str) -> None:
    reply = ask(path, ECHO_1)
    assert (reply.status, json.loads(reply.body)) == (status, {"error": text})
    assert reply.headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_not_allowed(method: str) -> None:
    assert ask("/v2", method=method).status == 405


def test_head_is_another_method_and_is_answered_without_a_body() -> None:
    reply = ask("/v2", method="HEAD")
    assert (reply.status, reply.headers["Content-Length"], reply.body) == (405, "30", b"")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/nowhere", 404), ("PUT", "/v2/models/echo/infer", 405)]
)
@pytest.mark.parametrize(
    "headers", [{b"content-length": b"65537"}, {b"transfer-encoding": b"chunked"}], ids=["long", "chunked"]
)
def test_a_large_body_that_nothing_would_take_is_not_read(
    method: str, path: str, status: int, headers: dict[bytes, bytes]
) -> None:
    api = HttpApi(server(ECHO_1), max_input_bytes=1 << 20)
    with pytest.raises(HttpRefusal) as caught:
        api.plan(exchange(method, path, headers=headers).head)
    assert caught.value.status == status


def test_a_small_body_that_nothing_takes_is_read_and_the_connection_stays() -> None:
    assert ask("/nowhere", method="POST", body=b"x" * 100).status == 404


RESTRICTED = (
    ("GET", "/v2/health/live"),
    ("GET", "/v2/models/echo/ready"),
    ("GET", "/v2/models/echo/versions/9/ready"),
    ("POST", "/v2/models/echo/infer"),
    ("POST", "/v2/models/echo/versions/1/infer"),
    ("GET", "/v2/models/echo/infer"),
    ("POST", "/v2/models/nope/generate"),
    ("POST", "/v2/models/echo/generate_stream"),
)


@pytest.mark.parametrize(("method", "path"), RESTRICTED)
def test_a_restricted_endpoint_wants_its_header_whatever_else_is_asked(method: str, path: str) -> None:
    restrictions = Restrictions([Restriction(("health", "inference"), "Key", "s")])
    api = HttpApi(server(ECHO_1), max_input_bytes=1000, restrictions=restrictions)
    statuses = []
    for secret in (b"", b"S", b"s"):
        one = exchange(method, path, b"{", headers={b"key": secret})
        one.head.plan = api.plan(one.head)
        api.handle(one)
        statuses.append(reply_of(one).status)
    assert statuses[:2] == [403, 403]
    assert statuses[2] != 403


def test_the_body_of_a_refused_request_is_not_read_when_it_is_large() -> None:
    restrictions = Restrictions([Restriction(("inference",), "Key", "s")])
    api = HttpApi(server(ECHO_1), max_input_bytes=1 << 20, restrictions=restrictions)
    with pytest.raises(HttpRefusal, match="expecting header 'Key'") as refused:
        api.plan(exchange("POST", "/v2/models/echo/infer", bytes(70_000)).head)
    assert refused.value.status == 403


def test_endpoints_that_are_not_restricted_answer_without_the_header() -> None:
    restrictions = Restrictions([Restriction(("health",), "Key", "s")])
    api = HttpApi(server(ECHO_1), max_input_bytes=1000, restrictions=restrictions)
    one = exchange("GET", "/v2")
    one.head.plan = api.plan(one.head)
    api.handle(one)
    assert reply_of(one).status == 200
