"""Strings as models give them: a string tensor has bytes, and Triton takes those for a string as well."""

from __future__ import annotations

from typing import Any


def text(value: Any, what: str) -> str:
    """``value`` as a string.

    Args:
        what: names the argument in the error.

    Raises:
        TypeError: neither str nor bytes.
        UnicodeDecodeError: bytes that are no UTF-8.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"{what}: expected a str, got {type(value).__name__}")
