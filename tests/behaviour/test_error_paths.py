"""Errors leave nothing behind; a fault in a handler is one reply's (CVE-2026-47480, CVE-2026-47482)."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json, request
from tests.harness.models import FAILING, PLAIN, write_python_model
from tests.harness.server import GOOD, ServerProcess

FAULTS = """
import tritium.frontends.http.handlers as handlers
import tritium.frontends.http.infer as infer
import tritium.frontends.http.infer_reply as infer_reply
import tritium.frontends.http.metrics_api as metrics_api

def fail(*args, **kwargs):
    raise ZeroDivisionError("secret /tmp/path")

for name in ("server_metadata", "model_metadata", "statistics"):
    setattr(handlers.documents, name, fail)
metrics_api.prometheus_text = fail
decode, encode = infer.decode_infer_request, infer_reply.encode_infer_response

def decode_or_fail(body, *args):
    return fail() if b"fail to decode" in bytes(body) else decode(body, *args)

def encode_or_fail(response, *args, **kwargs):
    return fail() if kwargs["request_id"] == "fail to encode" else encode(response, *args, **kwargs)

infer.decode_infer_request, infer_reply.encode_infer_response = decode_or_fail, encode_or_fail
"""


def test_cve_2026_47480_a_fault_in_a_handler_is_a_500_and_nothing_else(
    start_server: StartServer, repository: Path
) -> None:
    server = start_server(repository, prelude=FAULTS)
    with server.connect() as connection:
        for wire in (
            request("GET", "/v2"),
            request("GET", "/v2/models/echo"),
            request("GET", "/v2/models/stats"),
            request("POST", "/v2/models/echo/infer", infer_json([1], id="fail to decode")),
            request("POST", "/v2/models/echo/infer", infer_json([1], id="fail to encode")),
            request(
                "POST",
                "/v2/models/echo/infer",
                gzip.compress(infer_json([1], id="fail to encode")),
                {"Content-Encoding": "gzip"},
            ),
        ):
            for _ in range(3):
                connection.send(wire)
                reply = connection.reply()
                assert reply is not None
                assert (reply.status, reply.error) == (
                    500,
                    "internal error; the server's log has the details",
                )
            connection.send(request("POST", "/v2/models/echo/infer", GOOD))
            reply = connection.reply()
            assert reply is not None and reply.status == 200, "the connection goes on"
    assert "ZeroDivisionError" in server.output()
    server.assert_three_ok()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("errors")
    write_python_model(root / "models", "echo", PLAIN)
    write_python_model(root / "models", "err", FAILING)
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running


INFER = "/v2/models/echo/infer"
WRONG = {
    "not JSON": request("POST", INFER, b"x" * 1000),
    "deep": request("POST", INFER, b"[" * 1000),
    "no inputs": request("POST", INFER, b'{"inputs":[]}'),
    "wrong shape": request("POST", INFER, infer_json([1.0] * 100, shape=[1, 7])),
    "unknown output": request("POST", INFER, infer_json([1], outputs=[{"name": "X"}])),
    "header length": request("POST", INFER, GOOD, {"Inference-Header-Content-Length": "9999"}),
    "header length no number": request("POST", INFER, GOOD, {"Inference-Header-Content-Length": "abc"}),
    "unknown model": request("POST", "/v2/models/nope/infer", GOOD),
    "unknown path": request("GET", "/v2/nope"),
    "wrong method": request("PUT", INFER, GOOD),
    "wrong coding": request("POST", INFER, GOOD, {"Content-Encoding": "gzip"}),
    "model error": request("POST", "/v2/models/err/infer", infer_json([-1])),
    "triton error": request("POST", "/v2/models/err/infer", infer_json([3])),
    "malformed": b"NOT HTTP\r\n\r\n",
    "too large": b"POST /v2 HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    "unique names": b"",
}


@pytest.mark.parametrize("name", WRONG)
def test_cve_2026_47482_errors_leave_no_memory_behind(server: ServerProcess, name: str) -> None:
    def send(count: int, first: int) -> None:
        connection = server.connect()
        try:
            for i in range(first, first + count):
                wire = WRONG[name] or request("GET", f"/v2/models/unknown{i}", headers={"X-Id": f"{i:0500}"})
                connection.send(wire)
                reply = connection.reply()
                assert reply is not None and reply.status >= 400
                if reply.headers.get("connection") == "close":
                    connection.socket.close()
                    connection = server.connect()
        finally:
            connection.socket.close()

    count = 300 if name in {"malformed", "too large"} else 1500
    send(count, 0)
    before, files = server.rss_bytes(), server.open_files()
    send(count, count)
    assert server.rss_bytes() - before < 1 << 20
    assert server.open_files() < files + 10
    server.assert_three_ok()
