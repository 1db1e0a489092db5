"""What clients and the log are told when a model raises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json, wait_until
from tests.harness.models import write_python_model

RAISES = """
class TritonPythonModel:
    def execute(self, requests):
        raise ValueError("no such colour")
"""


@pytest.fixture
def broken(repository: Path) -> Path:
    write_python_model(repository, "bad", RAISES)
    return repository


def body(request_id: str) -> bytes:
    return json.dumps({"id": request_id, **json.loads(infer_json([1.0]))}).encode()


def test_the_log_says_which_request_failed_where(broken: Path, start_server: StartServer) -> None:
    server = start_server(broken)
    error = server.infer("bad", body("order-66")).json["error"]
    assert "ValueError: no such colour" in error
    assert "Traceback" not in error and str(broken) not in error
    pattern = (
        r"model 'bad' version 1, instance bad_0, request 'order-66', worker \d+: Traceback .*no such colour"
    )
    wait_until(lambda: re.search(pattern, server.output()) is not None, 10.0, "the traceback in the log")
    assert f"{broken}/bad/1/model.py" in server.output()


def test_debug_errors_gives_clients_the_traceback(broken: Path, start_server: StartServer) -> None:
    server = start_server(broken, "--debug-errors")
    error = server.infer("bad", body("x")).json["error"]
    server.error_bodies.clear()  # which tell what they were asked to tell
    assert "Traceback (most recent call last)" in error
    assert f'File "{broken}/bad/1/model.py"' in error
