"""Flags write to settings; settings become ``ServerOptions``.

A setting is named by the path of its field, as in ``http.port`` or ``exit_timeout_s``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from tritium.options import ServerOptions

Settings = Mapping[str, object]

_PARTS = ("http", "grpc", "metrics")


def options_from(settings: Settings) -> ServerOptions:
    """The defaults with ``settings`` in their places.

    Raises:
        TypeError: there is no such field.
    """
    options = ServerOptions()
    changes: dict[str, Any] = {name: value for name, value in settings.items() if "." not in name}
    for part in _PARTS:
        inner: dict[str, Any] = {
            name.partition(".")[2]: value for name, value in settings.items() if name.startswith(f"{part}.")
        }
        changes[part] = replace(getattr(options, part), **inner)
    return replace(options, **changes)


def default_of(name: str) -> object:
    """The default of the setting ``name``."""
    return dict(_settings(ServerOptions()))[name]


def setting_names() -> list[str]:
    """All settings, in the order of their fields."""
    return [name for name, _ in _settings(ServerOptions())]


def _settings(options: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    assert is_dataclass(options)
    for item in fields(options):
        value = getattr(options, item.name)
        if is_dataclass(value):
            yield from _settings(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", value
