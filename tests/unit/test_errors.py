from __future__ import annotations

import pytest

from tritium.errors import (
    ConfigError,
    DeadlineExceededError,
    ErrorCode,
    InternalError,
    ModelExecutionError,
    ModelNotFoundError,
    TritiumError,
    UnavailableError,
    WorkerDiedError,
    error_of,
)


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_crosses_a_process_boundary_as_code_and_text(code: ErrorCode) -> None:
    error = error_of(int(code), "what happened")
    assert error.code is code
    assert str(error) == "what happened" or isinstance(error, ModelNotFoundError)


@pytest.mark.parametrize("code", [-1, 9, 99])
def test_a_code_that_nobody_knows_is_internal(code: int) -> None:
    assert type(error_of(code, "x")) is InternalError


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (ErrorCode.UNKNOWN, "Unknown"),
        (ErrorCode.INTERNAL, "Internal"),
        (ErrorCode.NOT_FOUND, "Not found"),
        (ErrorCode.INVALID_ARG, "Invalid argument"),
        (ErrorCode.UNAVAILABLE, "Unavailable"),
        (ErrorCode.UNSUPPORTED, "Unsupported"),
        (ErrorCode.ALREADY_EXISTS, "Already exists"),
    ],
)
def test_codes_have_tritons_words(code: ErrorCode, text: str) -> None:
    assert code.text == text


def test_every_code_has_a_word() -> None:
    assert all(code.text for code in ErrorCode)


def test_the_numbers_are_tritons() -> None:
    assert [code.value for code in ErrorCode][:8] == list(range(8))


def test_a_model_that_is_unknown_a_version_that_is_and_one_that_failed_are_told_apart() -> None:
    assert str(ModelNotFoundError("m")) == "Request for unknown model: 'm' is not found"
    assert str(ModelNotFoundError("m", 9)) == "Request for unknown model: 'm' version 9 is not found"
    assert (
        str(ModelNotFoundError("m", known=True)) == "Request for unknown model: 'm' has no available versions"
    )


def test_narrower_errors_keep_the_code_of_their_family() -> None:
    assert ModelExecutionError.code is ErrorCode.INTERNAL
    assert ConfigError.code is ErrorCode.INVALID_ARG
    assert WorkerDiedError.code is UnavailableError.code
    assert DeadlineExceededError.code is ErrorCode.DEADLINE_EXCEEDED
    assert TritiumError.code is ErrorCode.UNKNOWN
