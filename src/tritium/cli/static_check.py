"""What can be said about models without running them: configuration, model files, Python syntax."""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tritium.backends.api import WorkerBackend
from tritium.errors import ConfigError, TritiumError
from tritium.repository.prepare import Draft, PrepareOptions, choose_engine, complete, draft, finish
from tritium.repository.scan import ModelEntry

PYTHON_MODEL = "TritonPythonModel"
_PYTHON_FILE = "model.py"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one model: it can be served unless there is an ``error``."""

    name: str
    versions: tuple[int, ...] = ()
    backend: str = ""
    error: str | None = None
    warnings: tuple[str, ...] = ()


class _Warnings(logging.Handler):
    """Keeps the texts of warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning; what is worse comes back as an error too."""
        if record.levelno == logging.WARNING:
            self.texts.append(record.getMessage())


def check_models(entries: Iterable[ModelEntry], options: PrepareOptions) -> list[Finding]:
    """Check each model by itself, in the order given."""
    return [_check_model(entry, options) for entry in entries]


@contextmanager
def warnings_of(logger_name: str) -> Iterator[list[str]]:
    """The warnings that a logger and those below it get meanwhile; they go nowhere else."""
    logger = logging.getLogger(logger_name)
    handler = _Warnings()
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield handler.texts
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


def _check_model(entry: ModelEntry, options: PrepareOptions) -> Finding:
    with warnings_of("tritium") as texts:
        try:
            found = draft(entry, options)
        except TritiumError as error:
            return Finding(entry.name, entry.versions, error=str(error), warnings=tuple(texts))
        problem: str | None = None
        try:
            _check_draft(entry, found, options)
        except TritiumError as error:
            problem = str(error)
    return Finding(entry.name, found.versions, found.config.backend or "ensemble", problem, tuple(texts))


def _check_draft(entry: ModelEntry, found: Draft, options: PrepareOptions) -> None:
    if found.problem is not None:
        raise found.problem
    found = choose_engine(entry, found, found.versions[-1])
    backend = found.backend
    if isinstance(backend, WorkerBackend) and backend.reader is None:
        filename = found.config.default_model_filename or _PYTHON_FILE
        files = (
            [backend.script]
            if backend.script
            else [_model_file(entry, version, filename) for version in found.versions]
        )
        completes = [_check_python(file) for file in files]
        if any(completes):
            return  # the configuration is the model's own to complete, when it is loaded
        finish(entry, found.config, options)
        return
    config = complete(entry, found, options)
    finish(entry, config, options)
    if backend is not None:
        for version in found.versions:
            _model_file(entry, version, config.default_model_filename)


def _model_file(entry: ModelEntry, version: int, filename: str) -> Path:
    path = entry.directory / str(version) / filename
    if not path.exists():
        raise ConfigError(
            f"version {version} has no '{filename}'; put the model there, or set default_model_filename"
        )
    return path


def _check_python(path: Path) -> bool:
    """Whether the model may complete its own configuration; its file is Python with a model in it.

    Raises:
        ConfigError: it is not.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        with warnings.catch_warnings(action="ignore"):  # the compiler's opinion of the model's style
            tree = ast.parse(path.read_bytes(), filename=where)
    except SyntaxError as error:
        raise ConfigError(f"{where}, line {error.lineno}: {error.msg}") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{where} cannot be read as Python: {error}") from error
    names = set(_bound_names(tree))
    if PYTHON_MODEL not in names and "*" not in names:
        raise ConfigError(
            f"{where} has no class {PYTHON_MODEL}; expected 'class {PYTHON_MODEL}:' with an execute method"
        )
    return any(
        isinstance(node, ast.FunctionDef) and node.name == "auto_complete_config" for node in ast.walk(tree)
    ) or not _defines_class(tree)


def _defines_class(tree: ast.Module) -> bool:
    """Whether the model is a class of this very file without a base that could add to it."""
    return any(
        isinstance(node, ast.ClassDef) and node.name == PYTHON_MODEL and not node.bases
        for node in ast.walk(tree)
    )


def _bound_names(tree: ast.Module) -> Iterator[str]:
    """Names that running the file may bind, anywhere in it; ``*`` for a star import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
