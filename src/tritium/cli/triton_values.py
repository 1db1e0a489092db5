"""Values of tritonserver's flags: text to value, or ValueError with tritonserver's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tritium.cli.backend_settings import parse_backend_config
from tritium.options import Restriction

TritonParse = Callable[[str], object]

_INTEGER = re.compile(r"\s*[+-]?[0-9]+")
_TRUE = frozenset({"true", "on", "1"})
_FALSE = frozenset({"false", "off", "0"})
_INT32_MAX = 2**31 - 1


def text(value: str) -> str:
    """Any text."""
    return value


def path(value: str) -> Path:
    """A path; whether it exists is for its user."""
    if not value or "\0" in value:
        raise ValueError(f"Invalid option value. Got {value}")
    return Path(value)


def boolean(value: str) -> bool:
    """true, on, 1, false, off or 0, in any case."""
    lowered = value.lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError(f"invalid value for bool option: {value}")
    return lowered in _TRUE


def integer(minimum: int = -_INT32_MAX - 1, maximum: int = _INT32_MAX) -> TritonParse:
    """Decimal integers between two bounds, both included; what follows the number is no part of one."""

    def parse(value: str) -> int:
        if not _INTEGER.fullmatch(value):
            raise ValueError(f"Invalid option value. Got {value}")
        if len(value) > 30 or not minimum <= int(value) <= maximum:
            raise ValueError(
                f"Provided option value is out of bound. Got {value} (expected {minimum} to {maximum})"
            )
        return int(value)

    return parse


port = integer(0, 65535)
size = integer(0, 2**64 - 1)


def thread_count(value: str) -> int:
    """A number of threads; tritonserver takes 0 for 1."""
    count = integer(0)(value)
    assert isinstance(count, int)
    return max(1, count)


def number(value: str) -> float:
    """A floating-point number."""
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"Invalid option value. Got {value}") from None


def log_level(value: str) -> str:
    """The level that a verbosity stands for; true and false are taken as 1 and 0."""
    if value.lower() in _TRUE | _FALSE:
        return "verbose" if boolean(value) else "info"
    verbosity = integer()(value)
    assert isinstance(verbosity, int)
    return "verbose" if verbosity >= 1 else "info"


def one_of(flag: str, *words: str) -> TritonParse:
    """One of these words; ``flag`` is what the error calls the flag."""

    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"invalid argument for {flag}")
        return value

    return parse


def trace_level(value: str) -> str:
    """A trace level."""
    if value not in ("OFF", "TIMESTAMPS", "TENSORS", "MIN", "MAX"):
        raise ValueError(f"invalid value for trace level option: {value}")
    return value


def pair(separator: str, first: TritonParse, second: TritonParse) -> TritonParse:
    """Two values with ``separator`` between them."""

    def parse(value: str) -> tuple[object, object]:
        left, found, right = value.partition(separator)
        if not found:
            raise ValueError(
                "Cannot parse pair option due to incorrect number of inputs.--<pair option> argument "
                f"requires format <first>{separator}<second>. Found: {value}"
            )
        return first(left), second(right)

    return parse


def setting(message: str, pattern: str) -> TritonParse:
    """A text of this form; ``message`` is followed by what was found."""
    form = re.compile(pattern, re.DOTALL)

    def parse(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError(f"{message}. Got {value}")
        return value

    return parse


backend_config = parse_backend_config
_cache_setting = setting(
    "No cache specified. --cache-config option format is <cache name>,<setting>=<value>", "[^,]+,[^=]+=.*"
)


def cache_config(value: str) -> tuple[str, str, str]:
    """A cache's name, a setting of it, and the setting's value."""
    _cache_setting(value)
    cache, _, rest = value.partition(",")
    name, _, given = rest.partition("=")
    return cache, name, given


def cache_bytes(value: str) -> tuple[str, str, str] | None:
    """The size of a local cache as ``cache_config`` gives it; None for 0."""
    count = size(value)
    return ("local", "size", str(count)) if count else None


host_policy = setting("--host-policy option format is '<policy name>,<setting>=<value>'", "[^,]+,[^=]+=.*")
metrics_config = setting("--metrics-config option format is <setting>=<value>", "[^=]+=.*")
_resource_form = setting(
    "--rate-limit-resource option format is '<resource_name>:<count>:<device>' or '<resource_name>:<count>'",
    "[^:]+:[0-9]+(:[0-9]+)?",
)


def rate_limit_resource(value: str) -> tuple[str, int]:
    """The name of a resource, in lower case, and how much there is; CPUs together are device 0."""
    _resource_form(value)
    name, count, *device = value.split(":")
    if device and int(device[0]) != 0:
        raise ValueError(
            f"--rate-limit-resource: there is no device {device[0]}, instances run on device 0. Got {value}"
        )
    found = integer(0)(count)
    assert isinstance(found, int)
    return name.lower(), found


def restricted(flag: str) -> TritonParse:
    """Restricted protocols, ``<category>,...:<key>=<value>``."""
    form = setting(f"{flag} option format is '<config name>:<setting>=<value>'", "[^:]+:[^=]+=.*")

    def parse(value: str) -> Restriction:
        categories, _, secret = str(form(value)).partition(":")
        key, _, expected = secret.partition("=")
        return Restriction(tuple(categories.split(",")), key, expected)

    return parse
