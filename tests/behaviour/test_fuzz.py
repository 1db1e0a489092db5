"""Random requests: never a 500, never a crash, nothing about the inside in an answer (T49)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from tests.harness.http import Connection, infer_binary, infer_json, request
from tests.harness.models import PLAIN, write_onnx_model, write_python_model
from tests.harness.server import ServerProcess

PIECES = [
    "v2",
    "v1",
    "V2",
    "models",
    "health",
    "live",
    "ready",
    "repository",
    "index",
    "load",
    "unload",
    "infer",
    "generate",
    "stats",
    "config",
    "versions",
    "1",
    "0",
    "-1",
    "99999999999999999999",
    "echo",
    "double",
    "nope",
    "trace",
    "setting",
    "logging",
    "systemsharedmemory",
    "cudasharedmemory",
    "region",
    "status",
    "register",
    "..",
    ".",
    "",
    "%2e",
    "%00",
    "~",
    ";",
    "a" * 300,
    "\xff",
]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT"]
BODIES = [None, b"", b"{}", b"[]", b"null", b"\0" * 50, b"{" * 200, infer_json([1.0]), infer_json([1.0])[:40]]
FINE = {200, 400, 404, 405, 501, 503}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("fuzz")
    write_python_model(root / "models", "echo", PLAIN)
    write_onnx_model(root / "models", "double")
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running
        running.assert_three_ok()


def test_t49_random_routes_and_methods(server: ServerProcess) -> None:
    dice = random.Random(49)
    connection = server.connect()
    try:
        for _ in range(5000):
            method = dice.choice(METHODS)
            path = (
                "/"
                + "/".join(dice.choices(PIECES, k=dice.randint(0, 7)))
                + dice.choice(["", "", "/", "?x=1"])
            )
            if dice.random() < 0.5:
                path = f"/v2/models/{dice.choice(['echo', 'double', 'nope'])}" + path
            body = dice.choice(BODIES)
            connection.send(request(method, path, body))
            reply = connection.reply(head=method == "HEAD")
            assert reply is not None, (method, path)
            server.noted(reply)
            assert reply.status in FINE, (method, path, body, reply)
            if reply.headers.get("connection") == "close":
                connection.socket.close()
                connection = server.connect()
    finally:
        connection.socket.close()
    assert "Traceback" not in server.output()


def mutated(dice: random.Random, data: bytes) -> bytes:
    """``data`` with a few bytes changed, removed, repeated or inserted."""
    found = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(found) + 1)
        kind = dice.randrange(5)
        if kind == 0 and found:
            found[min(at, len(found) - 1)] = dice.randrange(256)
        elif kind == 1:
            del found[at : at + dice.randint(1, 8)]
        elif kind == 2:
            found[at:at] = found[at : at + dice.randint(1, 20)]
        elif kind == 3:
            found[at:at] = dice.choice(
                [
                    b"[",
                    b"]",
                    b"{",
                    b"}",
                    b'"',
                    b",",
                    b":",
                    b"-",
                    b"1e999",
                    b"null",
                    b"\0",
                    b"\xff",
                    b"99999999999999999999",
                ]
            )
        else:
            found[at:at] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 5)))
    return bytes(found)


def test_t49_mutated_inference_bodies(server: ServerProcess) -> None:
    dice = random.Random(50)
    plain = infer_json(
        [1.5, -2, 3e4],
        id="x",
        parameters={"priority": 1, "y": "z"},
        outputs=[{"name": "OUT", "parameters": {"binary_data": True, "classification": 2}}],
    )
    binary, headers = infer_binary([("IN", "FP32", [2, 2], b"\0\0\x80?" * 4)], outputs=[{"name": "OUT"}])
    accepted = 0
    connection = server.connect()
    try:
        for i in range(3000):
            model = dice.choice(["echo", "double"])
            if i % 2:
                wire = request("POST", f"/v2/models/{model}/infer", mutated(dice, plain))
            else:
                wire = request("POST", f"/v2/models/{model}/infer", mutated(dice, binary), headers)
            connection.send(wire)
            reply = connection.reply()
            assert reply is not None, wire
            server.noted(reply)
            assert reply.status in {200, 400, 501}, (wire, reply)
            accepted += reply.status == 200
            if reply.status != 200:
                assert json.loads(reply.body)["error"]
    finally:
        connection.socket.close()
    assert 100 < accepted < 2900
    assert "Traceback" not in server.output()


def test_t49_mutated_requests_as_a_whole(server: ServerProcess) -> None:
    """Heads included: an answer that is not a 500, or the end of the connection."""
    dice = random.Random(51)
    whole = request(
        "POST", "/v2/models/echo/infer", infer_json([1.0]), {"Accept-Encoding": "gzip", "Connection": "close"}
    )
    for _ in range(1500):
        data = mutated(dice, whole)
        with Connection(server.http_port, timeout_s=10) as connection:
            connection.send(data)
            connection.socket.shutdown(1)  # what is not whole will not become so
            received = connection.rest()
        for status in received.split(b"HTTP/1.1 ")[1:]:
            assert not status.startswith(b"500"), (data, received)
    assert "Traceback" not in server.output()
