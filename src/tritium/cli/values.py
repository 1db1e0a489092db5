"""What the value of a flag may be: text to value, or ValueError that says what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Parse = Callable[[str], object]

MAX_PORT = 65535
_MAX_SECONDS = 1e9


def text(value: str) -> str:
    """Any text."""
    return value


def some_text(value: str) -> str:
    """Any text but the empty one."""
    if not value:
        raise ValueError("expected a text, got nothing")
    return value


def path(value: str) -> Path:
    """A path; whether it exists is for its user."""
    if not value or "\0" in value:
        raise ValueError(f"expected a path, got {value!r}")
    return Path(value)


def integer(minimum: int, maximum: int = 2**63 - 1) -> Parse:
    """Decimal integers between two bounds, both included."""
    expected = (
        f"an integer of at least {minimum}" if maximum > 2**31 else f"an integer from {minimum} to {maximum}"
    )

    def parse(value: str) -> int:
        digits = value.removeprefix("-")
        if (
            not (digits.isascii() and digits.isdigit())
            or len(digits) > 19
            or not minimum <= int(value) <= maximum
        ):
            raise ValueError(f"expected {expected}, got {value!r}")
        return int(value)

    return parse


def seconds(minimum: float = 0.0) -> Parse:
    """Numbers of seconds greater than or equal to ``minimum``."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not minimum <= number <= _MAX_SECONDS:  # false for nan
            raise ValueError(f"expected a number of seconds of at least {minimum:g}, got {value!r}")
        return number

    return parse


def one_of(*words: str) -> Parse:
    """One of these words."""

    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"expected one of {', '.join(words)}, got {value!r}")
        return value

    return parse


port = integer(0, MAX_PORT)
