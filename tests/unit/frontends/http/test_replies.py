from __future__ import annotations

import json
import logging

import pytest

from tests.unit.frontends.http.fakes import exchange, reply_of
from tritium.errors import (
    CancelledError,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    ModelNotFoundError,
    TritiumError,
    UnavailableError,
    UnsupportedError,
    WorkerDiedError,
)
from tritium.frontends.http.exchange import JSON, TEXT, HttpRefusal
from tritium.frontends.http.replies import respond_error


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (TritiumError("x"), 400, None),
        (InvalidArgumentError("x"), 400, None),
        (InternalError("x"), 500, None),
        (ModelNotFoundError("m"), 404, None),
        (UnsupportedError("x"), 501, None),
        (CancelledError("x"), 400, None),
        (DeadlineExceededError("x"), 504, None),
        (UnavailableError("x"), 503, "1"),
        (WorkerDiedError("x"), 503, "1"),
    ],
)
def test_errors_say_what_is_wrong_and_whether_to_come_again(
    error: TritiumError, status: int, retry: str | None
) -> None:
    one = exchange()
    respond_error(one, error, TEXT)
    reply = reply_of(one)
    assert (reply.status, reply.headers.get("Retry-After")) == (status, retry)
    assert json.loads(reply.body) == {"error": str(error)}
    assert reply.headers["Content-Type"] == "text/plain"


def test_a_refusal_of_http_has_its_own_status() -> None:
    one = exchange()
    respond_error(one, HttpRefusal(413, "too much"), TEXT)
    assert (reply_of(one).status, reply_of(one).body) == (413, b'{"error":"too much"}')


def test_a_fault_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    one = exchange()
    with caplog.at_level(logging.ERROR, "tritium.http"):
        respond_error(one, ZeroDivisionError("/secret/path"), JSON)
    assert reply_of(one).status == 500
    assert b"secret" not in reply_of(one).body
    assert "ZeroDivisionError" in caplog.text
