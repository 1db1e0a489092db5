"""Tests for ``tritium.cli.values``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritium.cli import values


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("8000", 8000), ("65535", 65535)])
def test_a_port_is_an_integer_up_to_65535(text: str, number: int) -> None:
    assert values.port(text) == number


@pytest.mark.parametrize("text", ["", "-1", "65536", "80x", " 80", "8_0", "٣", "1" * 30, "--1", "1.0"])
def test_anything_else_is_no_port(text: str) -> None:
    with pytest.raises(ValueError, match="expected an integer from 0 to 65535, got "):
        values.port(text)


def test_an_integer_without_an_upper_bound_names_the_lower_one() -> None:
    with pytest.raises(ValueError, match="expected an integer of at least 1, got '0'"):
        values.integer(1)("0")


@pytest.mark.parametrize(("text", "number"), [("0", 0.0), ("0.5", 0.5), ("1e3", 1000.0)])
def test_seconds_may_be_fractions(text: str, number: float) -> None:
    assert values.seconds()(text) == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "-1", "1s"])
def test_anything_else_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number of seconds of at least 0, got "):
        values.seconds()(text)


def test_a_word_must_be_one_of_those_listed() -> None:
    assert values.one_of("a", "b")("b") == "b"
    with pytest.raises(ValueError, match="expected one of a, b, got 'c'"):
        values.one_of("a", "b")("c")


def test_a_path_is_not_empty_and_holds_no_nul() -> None:
    assert values.path("models") == Path("models")
    for text in ("", "a\0b"):
        with pytest.raises(ValueError, match="expected a path"):
            values.path(text)


def test_some_texts_must_not_be_empty() -> None:
    assert values.text("") == ""
    assert values.some_text("a") == "a"
    with pytest.raises(ValueError, match="got nothing"):
        values.some_text("")
