from __future__ import annotations

from typing import Any

import pytest

from tritium.errors import ErrorCode
from tritium_worker.errors import HostError, TritonError, not_available


def test_codes_are_those_of_the_server() -> None:
    for code in ErrorCode:
        if code is not ErrorCode.DEADLINE_EXCEEDED:
            assert getattr(TritonError, code.name) == code


def test_an_error_is_internal_unless_told_otherwise() -> None:
    assert (TritonError("bad").message(), TritonError("bad").code()) == ("bad", TritonError.INTERNAL)
    assert TritonError("gone", TritonError.NOT_FOUND).code() == 2


@pytest.mark.parametrize("code", [-1, 8, "INTERNAL", None])
def test_a_code_that_is_not_one_of_the_eight_is_refused(code: Any) -> None:
    with pytest.raises(
        TypeError, match=r"expected TritonError\.UNKNOWN \(0\) to TritonError\.CANCELLED \(7\), got"
    ):
        TritonError("bad", code)


def test_a_message_that_is_not_text_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a str, got ValueError"):
        TritonError(ValueError("x"))  # type: ignore[arg-type]


def test_a_host_error_is_its_text() -> None:
    error = HostError(1, "text", "traceback")
    assert (str(error), error.code, error.text, error.traceback) == ("text", 1, "text", "traceback")


def test_what_is_not_built_says_so() -> None:
    assert str(not_available("MetricFamily")) == "MetricFamily is not available in this version of tritium."
