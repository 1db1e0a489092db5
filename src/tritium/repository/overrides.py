"""What a load request brings along: a configuration, and files in place of the model's directory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tritium.config.names import check_file_name, shown
from tritium.errors import ConfigError, InvalidArgumentError
from tritium.repository.scan import ModelEntry, scan_model

FILE_PREFIX = "file:"
CONFIG_PARAMETER = "config"
_T = TypeVar("_T")
_MAX_FILES = 10_000  # a model has a handful; each is an entry of a directory


@dataclass(frozen=True, slots=True)
class LoadOverrides:
    """``config`` is a configuration as JSON; ``files`` are by path relative to the model's directory."""

    config: str
    files: Mapping[str, bytes] = field(default_factory=dict)


def read_overrides(parameters: Mapping[str, object]) -> LoadOverrides | None:
    """The overrides that the parameters of a load request ask for; None if there are none.

    Args:
        parameters: ``config`` is text, ``file:<path>`` are bytes.

    Raises:
        InvalidArgumentError: an unknown parameter, or a value of the wrong kind.
        ConfigError: files without a configuration, or a path that is none in the model's directory.
    """
    config: str | None = None
    files: dict[str, bytes] = {}
    for name, value in parameters.items():
        if name == CONFIG_PARAMETER:
            config = _typed(name, value, str, "string_param")
        elif name.startswith(FILE_PREFIX):
            files[name.removeprefix(FILE_PREFIX)] = _typed(name, value, bytes, "bytes_param")
        else:
            raise InvalidArgumentError(f"unrecognized load parameter '{name}'.")
    if config is None:
        if files:
            raise ConfigError("files are given without a configuration; add the parameter 'config'")
        return None
    _check_files(files)
    return LoadOverrides(config, files)


def _typed(name: str, value: object, kind: type[_T], wanted: str) -> _T:
    if not isinstance(value, kind):
        raise InvalidArgumentError(f"invalid value type for load parameter '{name}', expected {wanted}.")
    return value


def _check_files(files: Mapping[str, bytes]) -> None:
    if len(files) > _MAX_FILES:
        raise ConfigError(f"{len(files)} files are given, expected at most {_MAX_FILES}")
    for path in files:
        check_file_name(f"{FILE_PREFIX}{shown(path)}", path, "the load request")
        if not path.isprintable() or not all(part and part != "." for part in path.split("/")):
            raise ConfigError(
                f"'{shown(path)}' is no path of a file; write {FILE_PREFIX}<version>/<path in its directory>"
            )


def write_files(name: str, overrides: LoadOverrides) -> ModelEntry:
    """The overrides as a model directory of their own, private to this user. Blocking.

    ``entry.directory.parent`` is the caller's to remove, with ``remove_files``.

    Raises:
        ConfigError: the files cannot be written.
    """
    try:
        root = Path(tempfile.mkdtemp(prefix="tritium-model-"))
    except OSError as error:
        raise _unwritable(error) from error
    try:
        for path, content in overrides.files.items():
            target = root / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return with_config(scan_model(root / name), overrides)
    except BaseException as error:
        remove_files(root)
        raise _unwritable(error) if isinstance(error, OSError) else error from None


def _unwritable(error: OSError) -> ConfigError:
    return ConfigError(f"the files of the load request cannot be written: {error.strerror}")


def with_config(entry: ModelEntry, overrides: LoadOverrides) -> ModelEntry:
    """``entry`` with the configuration of ``overrides`` instead of its own."""
    return replace(entry, config_json=overrides.config)


def remove_files(root: Path) -> None:
    """Remove what ``write_files`` wrote. Blocking; what cannot be removed is left."""
    shutil.rmtree(root, ignore_errors=True)
