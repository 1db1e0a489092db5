"""``--backend-config``: ``<backend>,<key>=<value>``, and ``<key>=<value>`` for all backends.

Only settings that do something, or need not do anything, are taken; others are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

GLOBAL = ""  # the backend's name for settings of all backends, as in Triton

_MAX_BATCH_SIZE = 2**31 - 1
_MAX_INSTALL_SECS = 7 * 86400


@dataclass(frozen=True, slots=True)
class _Setting:
    """A setting that does something; ``check`` raises ValueError for a value that cannot be."""

    meaning: str
    check: Callable[[str, str], None]  # of the key and the value


def _batch_size(key: str, value: str) -> None:
    if not (value.isascii() and value.isdigit()) or int(value) > _MAX_BATCH_SIZE:
        raise ValueError(f"expected an integer from 0 to {_MAX_BATCH_SIZE} for {key}, got {value!r}")


def _path(key: str, value: str) -> None:
    if not value or "\0" in value:
        raise ValueError(f"expected a path for {key}, got {value!r}")


def _duration(key: str, value: str) -> None:
    if not (value.isascii() and value.isdigit()) or not 0 < int(value) <= _MAX_INSTALL_SECS:
        raise ValueError(f"expected seconds from 1 to {_MAX_INSTALL_SECS} for {key}, got {value!r}")


def _one_of(*words: str) -> Callable[[str, str], None]:
    def check(key: str, value: str) -> None:
        if value not in words:
            raise ValueError(f"expected one of {', '.join(words)} for {key}, got {value!r}")

    return check


_WORKS = {
    (GLOBAL, "default-max-batch-size"): _Setting(
        "max_batch_size of models that batch and do not say how much", _batch_size
    ),
    ("oneflow", "environment"): _Setting(
        "the directory with OneFlow's own runtime, as `tritium env oneflow --dir` made it", _path
    ),
    ("oneflow_python", "environment"): _Setting("the same for models of the backend oneflow_python", _path),
    ("oneflow_python", "allow-pickle"): _Setting(
        "true: read models that are pickles, which runs whatever code is in them; false (the default): "
        "refuse them",
        _one_of("true", "false"),
    ),
    ("python", "executable"): _Setting(
        "the interpreter of python models, a path or a name on PATH; without it, the server's", _path
    ),
    ("python", "environments"): _Setting(
        "the directory of the environments that models get; without it, tritium/environments in "
        "$XDG_CACHE_HOME or ~/.cache",
        _path,
    ),
    ("python", "requirements"): _Setting(
        "what a requirements.txt beside config.pbtxt does: install (the default) or ignore",
        _one_of("install", "ignore"),
    ),
    ("python", "installer"): _Setting(
        "what installs it: uv, pip, or auto (the default) for uv where it is on PATH",
        _one_of("auto", "uv", "pip"),
    ),
    ("python", "install-timeout-secs"): _Setting(
        "how long making one environment may take; 1800 without it", _duration
    ),
}
_NO_EFFECT = {
    (GLOBAL, "min-compute-capability"): "the server drives no GPU itself",
    ("python", "shm-default-byte-size"): "memory shared with workers grows as tensors need it",
    ("python", "shm-growth-byte-size"): "memory shared with workers grows as tensors need it",
    ("python", "shm-region-prefix-name"): "memory shared with workers has no name",
}

BackendSettings = Mapping[str, Mapping[str, str]]


def parse_backend_config(value: str) -> tuple[str, str, str]:
    """Backend (empty for all), key and value of one ``--backend-config``.

    Raises:
        ValueError: the form is another, or the key or its value is not one that is supported.
    """
    backend, comma, setting = value.partition(",")
    if not comma:
        backend, setting = GLOBAL, value
    key, equals, given = setting.partition("=")
    if not equals or not key or (comma and not backend):
        raise ValueError(f"--backend-config option format is '<backend name>,<setting>=<value>'. Got {value}")
    works = _WORKS.get((backend, key))
    if works is not None:
        works.check(key, given)
    elif (backend, key) not in _NO_EFFECT:
        owner = f"backend '{backend}' of tritium has" if backend else "tritium has"
        raise ValueError(f"{owner} no setting '{key}'; remove --backend-config={value} ({_supported()})")
    return backend, key, given


def merged(settings: BackendSettings, backend: str, key: str, value: str) -> dict[str, dict[str, str]]:
    """``settings`` with one more; the last of a key counts."""
    result = {name: dict(values) for name, values in settings.items()}
    result.setdefault(backend, {})[key] = value
    return result


def _supported() -> str:
    names = [f"{backend},{key}" if backend else key for backend, key in (*_WORKS, *_NO_EFFECT)]
    return f"supported: {', '.join(names)}"


def explain() -> list[tuple[str, str]]:
    """Every supported setting with what it does, for the documentation."""
    works = [(_shown(name), setting.meaning) for name, setting in _WORKS.items()]
    return works + [(_shown(name), f"accepted, no effect: {text}") for name, text in _NO_EFFECT.items()]


def _shown(name: tuple[str, str]) -> str:
    return f"{name[0]},{name[1]}=<value>" if name[0] else f"{name[1]}=<value>"
