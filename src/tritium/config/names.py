"""Names: how errors show them, and those that become paths (models, and files of a configuration)."""

from __future__ import annotations

import re
from pathlib import PureWindowsPath

from tritium.errors import ConfigError

_MAX_NAME_BYTES = 255  # what file systems take for one name
_MAX_SHOWN = 200
_SEPARATORS = re.compile(r"[/\\]")


def shown(text: str) -> str:
    """``text`` as an error may hold it: short, on one line, printable and encodable."""
    cut = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)


def check_model_name(name: str) -> None:
    """Refuse a name that is no plain directory name.

    Raises:
        ConfigError: it is empty, too long, a path, or holds characters that cannot be printed.
    """
    if not name:
        # Triton 2.73's words; 2.51 takes any name.
        raise ConfigError("Model name cannot be empty. Please enter a valid name to deploy.")
    if name in (".", "..") or _SEPARATORS.search(name):
        raise ConfigError(
            f"invalid model name '{shown(name)}', model name must not contain path traversal characters"
        )
    if not name.isprintable():
        raise ConfigError(f"invalid model name '{shown(name)}', it holds characters that cannot be printed")
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise ConfigError(f"invalid model name '{name[:40]}...', it is longer than {_MAX_NAME_BYTES} bytes")


def check_file_name(field: str, value: str, model: str) -> None:
    """Refuse a file that lies outside the directory to which it is relative (CVE-2026-24147).

    Args:
        field: what the error calls the value.

    Raises:
        ConfigError: the path is absolute, climbs with ``..``, or holds NUL.
    """
    if "\0" in value:
        raise ConfigError(
            f"'{shown(field)}' of {model} holds a NUL character: '{shown(value)}'; write a plain file name"
        )
    windows = PureWindowsPath(value)  # knows drives, and both separators
    if windows.drive or windows.root:
        raise ConfigError(
            f"'{shown(field)}' of {model} is the absolute path '{shown(value)}', expected a path relative "
            "to the model's directory; put the file there and write its relative path"
        )
    if ".." in _SEPARATORS.split(value):
        raise ConfigError(
            f"'{shown(field)}' of {model} is '{shown(value)}', which leaves the model's directory by '..'; "
            "put the file there and write its relative path"
        )
