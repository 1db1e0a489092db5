from __future__ import annotations

import pytest

from tritium.errors import ErrorCode, error_of
from tritium.protocol.status import STATUS, status_of


def test_every_code_has_its_statuses() -> None:
    assert set(STATUS) == set(ErrorCode)


@pytest.mark.parametrize(
    ("code", "http", "grpc"),
    [
        (ErrorCode.UNKNOWN, 400, "UNKNOWN"),
        (ErrorCode.INTERNAL, 500, "INTERNAL"),
        (ErrorCode.NOT_FOUND, 404, "NOT_FOUND"),
        (ErrorCode.INVALID_ARG, 400, "INVALID_ARGUMENT"),
        (ErrorCode.UNAVAILABLE, 503, "UNAVAILABLE"),
        (ErrorCode.UNSUPPORTED, 501, "UNIMPLEMENTED"),
        (ErrorCode.ALREADY_EXISTS, 400, "ALREADY_EXISTS"),
        (ErrorCode.CANCELLED, 400, "CANCELLED"),
        (ErrorCode.DEADLINE_EXCEEDED, 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_errors_have_tritons_statuses(code: ErrorCode, http: int, grpc: str) -> None:
    assert status_of(error_of(code, "x")) == (http, grpc)
