"""``--backend-config``: ``<backend>,<key>=<value>``, and ``<key>=<value>`` for all backends.

Only settings that do something, or need not do anything, are taken; others are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping

GLOBAL = ""  # the backend's name for settings of all backends, as in Triton

_MAX_BATCH = (GLOBAL, "default-max-batch-size")
_ENVIRONMENT = ("oneflow", "environment")
_WORKS = {
    _MAX_BATCH: "max_batch_size of models that batch and do not say how much",
    _ENVIRONMENT: "the directory with OneFlow's own runtime, as `tritium env oneflow --dir` made it",
}
_NO_EFFECT = {
    (GLOBAL, "min-compute-capability"): "the server drives no GPU itself",
    ("python", "shm-default-byte-size"): "memory shared with workers grows as tensors need it",
    ("python", "shm-growth-byte-size"): "memory shared with workers grows as tensors need it",
    ("python", "shm-region-prefix-name"): "memory shared with workers has no name",
}
_MAX_BATCH_SIZE = 2**31 - 1

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
    if (backend, key) == _MAX_BATCH:
        _check_batch_size(key, given)
    elif (backend, key) == _ENVIRONMENT:
        _check_directory(key, given)
    elif (backend, key) not in _NO_EFFECT:
        owner = f"backend '{backend}' of tritium has" if backend else "tritium has"
        raise ValueError(f"{owner} no setting '{key}'; remove --backend-config={value} ({_supported()})")
    return backend, key, given


def merged(settings: BackendSettings, backend: str, key: str, value: str) -> dict[str, dict[str, str]]:
    """``settings`` with one more; the last of a key counts."""
    result = {name: dict(values) for name, values in settings.items()}
    result.setdefault(backend, {})[key] = value
    return result


def _check_batch_size(key: str, value: str) -> None:
    if not (value.isascii() and value.isdigit()) or int(value) > _MAX_BATCH_SIZE:
        raise ValueError(f"expected an integer from 0 to {_MAX_BATCH_SIZE} for {key}, got {value!r}")


def _check_directory(key: str, value: str) -> None:
    if not value or "\0" in value:
        raise ValueError(f"expected a directory for {key}, got {value!r}")


def _supported() -> str:
    names = [f"{backend},{key}" if backend else key for backend, key in (*_WORKS, *_NO_EFFECT)]
    return f"supported: {', '.join(names)}"


def explain() -> list[tuple[str, str]]:
    """Every supported setting with what it does, for the documentation."""
    works = [(_shown(name), text) for name, text in _WORKS.items()]
    return works + [(_shown(name), f"accepted, no effect: {text}") for name, text in _NO_EFFECT.items()]


def _shown(name: tuple[str, str]) -> str:
    return f"{name[0]},{name[1]}=<value>" if name[0] else f"{name[1]}=<value>"
