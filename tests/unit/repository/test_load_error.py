from __future__ import annotations

import pytest

from tritium.errors import ConfigError, ErrorCode, InternalError
from tritium.repository.load_error import LoadRefusedError, load_failed, poll_failed, versions_failed

TWO_FAILED = (
    "load failed for model 'm': version 1 is at UNAVAILABLE state: Invalid argument: odd;\n"
    "version 3 is at UNAVAILABLE state: Internal: bad;\n"
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (poll_failed("m"), "failed to load 'm', failed to poll from model repository"),
        (poll_failed("m", "odd"), "failed to load 'm', failed to poll from model repository: odd"),
        (load_failed("m", "no version"), "load failed for model 'm': no version\n"),
        (
            versions_failed("m", {1: ConfigError("odd"), 3: InternalError("bad")}),
            TWO_FAILED,
        ),
    ],
)
def test_failures_are_told_in_tritons_words_and_are_the_callers_to_mend(error: Exception, text: str) -> None:
    assert str(error) == text
    assert getattr(error, "code") is ErrorCode.INVALID_ARG  # noqa: B009


def test_without_explicit_control_the_refusal_is_tritons() -> None:
    error = LoadRefusedError()
    assert str(error) == "explicit model load / unload is not allowed if polling is enabled"
    assert error.code is ErrorCode.UNAVAILABLE
