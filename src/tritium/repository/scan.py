"""What the model repositories hold: a snapshot, and the difference of two.

Reads directories and config.pbtxt files, and nothing else: whether a model can be served is for the loader.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from tritium.config.names import check_model_name, shown
from tritium.config.pbtxt import MAX_CONFIG_BYTES, decode_config
from tritium.errors import ConfigError, UnavailableError

CONFIG_FILE = "config.pbtxt"
DUPLICATE = "model appears in two or more repositories"  # Triton's words in the index
_MAX_VERSION = 2**63 - 1
_IGNORED = frozenset({"__pycache__"})  # written by running a model
_NO_VERSIONS = frozenset({"configs", "warmup", "initial_state", *_IGNORED})  # directories with other uses


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model directory as it was when it was scanned.

    ``versions`` ascend. ``config_text`` is None without a configuration file, which is legal. ``fingerprint``
    changes when any file of the model does. With a ``problem`` the model cannot be loaded and the rest may be
    empty; what was loaded before stays. ``warnings`` are for the log. ``config_json`` is a configuration that
    a load request brought, which goes before the text.
    """

    name: str
    directory: Path
    versions: tuple[int, ...] = ()
    config_file: str = CONFIG_FILE
    config_text: str | None = None
    config_json: str | None = None
    fingerprint: str = ""
    problem: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All models by name, in the order of names; ``warnings`` belong to no model."""

    models: Mapping[str, ModelEntry]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """What a newer snapshot has that an older one has not; ``removed`` holds the older entries."""

    added: tuple[ModelEntry, ...]
    removed: tuple[ModelEntry, ...]
    changed: tuple[ModelEntry, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def scan(roots: Sequence[Path], *, config_name: str | None = None) -> Snapshot:
    """Read the repositories. Names that begin with a dot, and plain files, are no models.

    Args:
        config_name: a model's ``configs/<config_name>.pbtxt`` goes before its config.pbtxt.

    Raises:
        UnavailableError: a repository itself cannot be read; what is loaded should stay as it is.
        ConfigError: ``config_name`` is no plain name.
    """
    if config_name is not None:
        check_model_name(config_name)
    models: dict[str, ModelEntry] = {}
    warnings: list[str] = []
    for directory in (d for root in roots for d in _model_directories(root)):
        name = directory.name
        try:
            check_model_name(name)
        except ConfigError as error:
            warnings.append(f"ignore model directory: {error}")
            continue
        if name in models:
            warning = f"failed to poll model '{name}': not unique across all model repositories"
            models[name] = ModelEntry(name, models[name].directory, problem=DUPLICATE, warnings=(warning,))
            continue
        models[name] = scan_model(directory, config_name=config_name)
    return Snapshot({name: models[name] for name in sorted(models)}, tuple(warnings))


def find_model(roots: Sequence[Path], name: str, *, config_name: str | None = None) -> ModelEntry | None:
    """Read the directory of one model; None if no repository has it.

    Raises:
        ConfigError: ``name`` is no plain name.
    """
    check_model_name(name)
    found = [root / name for root in roots if not name.startswith(".") and (root / name).is_dir()]
    if len(found) > 1:
        return ModelEntry(name, found[0], problem=DUPLICATE)
    return scan_model(found[0], config_name=config_name) if found else None


def model_names(roots: Sequence[Path]) -> Mapping[str, int]:
    """The names of the models in the repositories, in order, and how many repositories have each.

    Raises:
        UnavailableError: a repository cannot be read.
    """
    names = Counter(directory.name for root in roots for directory in _model_directories(root))
    return {name: names[name] for name in sorted(names) if name.isprintable()}


def scan_model(directory: Path, *, config_name: str | None = None) -> ModelEntry:
    """Read one model directory, whose name is the model's; what cannot be read is its ``problem``."""
    entry = ModelEntry(directory.name, directory)
    try:
        versions, warnings = _versions(directory)
        entry = replace(entry, versions=versions, warnings=warnings, fingerprint=_fingerprint(directory))
        config_file, text = _config(directory, config_name)
        return replace(entry, config_file=config_file, config_text=text)
    except ConfigError as error:
        return replace(entry, problem=str(error))
    except OSError as error:
        where = Path(error.filename).name if error.filename else entry.name
        return replace(entry, problem=f"failed to read '{where}' of model '{entry.name}': {error.strerror}")


def diff(old: Snapshot, new: Snapshot) -> Diff:
    """What has to be loaded, unloaded and loaded again to go from ``old`` to ``new``."""
    return Diff(
        added=tuple(entry for name, entry in new.models.items() if name not in old.models),
        removed=tuple(entry for name, entry in old.models.items() if name not in new.models),
        changed=tuple(
            entry
            for name, entry in new.models.items()
            if name in old.models and not same(old.models[name], entry)
        ),
    )


def same(one: ModelEntry, other: ModelEntry) -> bool:
    """Whether two entries were read from the same directory in the same state."""
    return _identity(one) == _identity(other)


def _identity(entry: ModelEntry) -> tuple[object, ...]:
    return entry.directory, entry.fingerprint, entry.config_file, entry.config_text, entry.problem


def _model_directories(root: Path) -> Iterator[Path]:
    try:
        children = sorted(root.iterdir())
    except OSError as error:
        raise UnavailableError(
            f"model repository '{root.name}' cannot be read: {error.strerror}; check --model-repository"
        ) from error
    return (child for child in children if not child.name.startswith(".") and child.is_dir())


def _versions(directory: Path) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The versions that exist, ascending, and Triton's warnings about directories that are none."""
    versions: list[int] = []
    warnings: list[str] = []
    for child in sorted(directory.iterdir()):
        name = child.name
        if name.startswith(".") or name in _NO_VERSIONS or not child.is_dir():
            continue
        if not (name.isascii() and name.isdigit() and len(name) <= 19 and int(name) <= _MAX_VERSION):
            warnings.append(
                f"ignore version directory '{shown(name)}' which fails to convert to integral number"
            )
        elif name.startswith("0") and name != "0":
            warnings.append(
                f"ignore version directory '{name}' which contains leading zeros in its directory name"
            )
        else:
            versions.append(int(name))
    return tuple(sorted(versions)), tuple(warnings)


def _config(directory: Path, config_name: str | None) -> tuple[str, str | None]:
    """The name and the text of the configuration file."""
    names = [CONFIG_FILE] if config_name is None else [f"configs/{config_name}.pbtxt", CONFIG_FILE]
    for name in names:
        try:
            with (directory / name).open("rb") as file:
                return name, decode_config(file.read(MAX_CONFIG_BYTES + 1), name)
        except FileNotFoundError:
            continue
    return CONFIG_FILE, None


def _fingerprint(directory: Path) -> str:
    """A digest of the paths, sizes and times of all files below, without what a running model writes."""
    digest = blake2b(digest_size=16)
    for path, stat in _walk(directory, "", frozenset()):
        digest.update(f"{path}\0{stat}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _walk(directory: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, str]]:
    """Relative path and size:time of every file below, in order; directories end with a slash.

    Links are followed, as models are often linked into a repository; ``above`` (device and inode of the
    directories that hold this one) ends a loop of them.
    """
    own = directory.stat()
    if (own.st_dev, own.st_ino) in above:
        return
    above |= {(own.st_dev, own.st_ino)}
    for child in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if child.name in _IGNORED or child.name.startswith("."):
            continue
        path = f"{prefix}{child.name}"
        if child.is_dir():
            yield f"{path}/", ""
            yield from _walk(directory / child.name, f"{path}/", above)
            continue
        try:
            stat = child.stat()
        except FileNotFoundError:  # a dangling link, or gone since the directory was listed
            yield path, "gone"
            continue
        yield path, f"{stat.st_size}:{stat.st_mtime_ns}"
