"""benchmarks.reference: where things are kept, and why something is not to be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reference import cache_directory, reason_in


def test_keeps_its_cache_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITIUM_BENCH_CACHE", "~/elsewhere")
    assert cache_directory() == Path.home() / "elsewhere"


def test_keeps_its_cache_outside_the_checkout_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITIUM_BENCH_CACHE", raising=False)
    assert cache_directory() == Path.home() / ".cache" / "tritium-bench"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "  OSError: no README\n\nerror: metadata failed\nhint: see above\n",
            "OSError: no README / error: metadata failed",
        ),
        ("ERROR: No matching distribution\n", "ERROR: No matching distribution"),
        ("first\nlast\n\n", "last"),
        ("", "it said nothing"),
    ],
    ids=["cause and consequence", "one error", "no error", "nothing"],
)
def test_finds_the_reason_in_what_a_command_said(output: str, reason: str) -> None:
    assert reason_in(output) == reason
