"""EXECUTION_ENV_PATH: an environment that is a directory, or packed by conda-pack or venv-pack."""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path

from tritium.environments import archive
from tritium.environments.cache import EnvironmentCache, python_of
from tritium.environments.steps import Job, run_step
from tritium.errors import InternalError

ENV_PATH_PARAMETER = "EXECUTION_ENV_PATH"
MODEL_DIRECTORY = "$$TRITON_MODEL_DIRECTORY"
_KEY_CHARS = 32


def expanded(path: str, model_dir: Path) -> Path:
    """``path`` with the model's directory for the word that Triton has for it."""
    if path.startswith(MODEL_DIRECTORY):
        return model_dir / path.removeprefix(MODEL_DIRECTORY).lstrip("/")
    return Path(path).absolute()


def environment_at(path: str, model: str, model_dir: Path, cache: EnvironmentCache, limit_s: float) -> Path:
    """The directory of the environment that ``path`` names, unpacked if it has to be. Blocks.

    Raises:
        TritiumError: there is none, or it must not be unpacked; or it has no interpreter.
    """
    place = expanded(path, model_dir)
    if place.is_dir():
        environment = place
    elif place.is_file():
        environment = _unpacked(place, path, model, cache, limit_s)
    else:
        # Triton's words up to the full stop
        raise InternalError(
            f"Failed to get the canonical path for {path}. Parameter {ENV_PATH_PARAMETER} of model '{model}' "
            f"must name a directory, or an archive by conda-pack or venv-pack; {MODEL_DIRECTORY} stands for "
            "the model's own directory"
        )
    if python_of(environment) is None:
        raise _without_python(environment, path, model)
    return environment


def _unpacked(file: Path, path: str, model: str, cache: EnvironmentCache, limit_s: float) -> Path:
    def build(place: Path, job: Job) -> None:
        run_step(
            job,
            [sys.executable, "-I", archive.__file__, str(file), str(place)],
            directory=place,
            failure=f"the archive '{file.name}' cannot be used",
        )
        python = python_of(place)
        if python is None:
            raise _without_python(place, path, model)
        unpack = place / "bin" / "conda-unpack"
        if unpack.is_file():
            run_step(job, [str(python), str(unpack)], directory=place)

    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise InternalError(
            f"model '{model}': the archive '{file.name}' of {ENV_PATH_PARAMETER} cannot be read: "
            f"{error.strerror}"
        ) from error
    title = f"environment '{file.name}' of model '{model}'"
    return cache.obtain(f"packed-{digest[:_KEY_CHARS]}", title, limit_s, build)


def _without_python(environment: Path, path: str, model: str) -> InternalError:
    text = f"model '{model}': the environment '{path}' of {ENV_PATH_PARAMETER} has no bin/python"
    for name in ("python", "python3"):
        link = environment / "bin" / name
        if link.is_symlink():
            return InternalError(
                f"{text} that works here: it is a link to '{link.readlink()}', which this machine "
                f"({platform.machine()}) does not have; install that Python, or pack with conda-pack"
            )
    top = sorted(entry.name for entry in environment.iterdir())[:5]
    found = f"found {', '.join(top)}" if top else "it is empty"
    return InternalError(f"{text}: {found}; pack the environment itself, as conda-pack and venv-pack do")
