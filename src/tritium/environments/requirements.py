"""A ``requirements.txt`` of a model: what it depends on, and the virtual environment that it asks for."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tritium.environments.cache import python_of
from tritium.environments.interpreter import Interpreter, PythonFacts, examine
from tritium.environments.steps import Job, clean_environ, run_step
from tritium.errors import ConfigError, InternalError

REQUIREMENTS = "requirements.txt"
_KEY_FORMAT = "1"  # changes when environments are made otherwise
_KEY_CHARS = 32
_MAX_BYTES = 1 << 20
_MAX_DEPTH = 8
_OPTION = re.compile(r"^(?:-r|-c|--requirement|--constraint)(?:\s+|=)?(?P<file>\S.*)$")
_EDITABLE = re.compile(r"^(?:-e|--editable)(?:\s|=|$)")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2")
_PIP = ("install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off")


@dataclass(frozen=True, slots=True)
class Installer:
    """What installs packages: ``uv`` where it is, else pip of the environment."""

    uv: str | None

    @property
    def name(self) -> str:
        """For people."""
        return "uv" if self.uv else "pip"


def find_installer(chosen: str) -> Installer:
    """The installer that ``chosen`` means: auto, uv or pip.

    Raises:
        ConfigError: uv is asked for and not there.
    """
    uv = shutil.which("uv") if chosen != "pip" else None
    if chosen == "uv" and uv is None:
        raise ConfigError(
            "--backend-config=python,installer=uv: there is no program uv on PATH; install it, or write pip"
        )
    return Installer(uv)


def key_of(requirements: Path, model: str, facts: PythonFacts) -> str:
    """What the environment is known by: the file, all files that it names, and the interpreter.

    Raises:
        ConfigError: a file cannot be read, or a line asks for what cannot be cached.
    """
    digest = sha256()
    base = os.path.realpath(facts.path)
    who = (_KEY_FORMAT, facts.build, base, platform.machine())
    for part in (*map(os.fsencode, who), *_contents(requirements, model, 0)):
        digest.update(b"%d:" % len(part) + part)
    return f"requirements-{digest.hexdigest()[:_KEY_CHARS]}"


def build(requirements: Path, python: Interpreter, installer: Installer, *, place: Path, job: Job) -> None:
    """Make a virtual environment in ``place`` and install ``requirements``, and numpy if they bring none.

    Raises:
        TritiumError: a step failed; the text ends in the installer's last lines.
    """
    directory = requirements.parent
    if installer.uv:
        venv = [installer.uv, "venv", "--python", python.command[0], str(place)]
    else:
        venv = [*python.command, "-m", "venv", str(place)]
    run_step(job, venv, directory=directory, environ=_uv_variables())
    made = python_of(place)
    if made is None:
        raise InternalError(f"{job.title}: {installer.name} made an environment without bin/python")
    install = [installer.uv, "pip", "install", "--python", str(made)] if installer.uv else [
        str(made), "-m", "pip", *_PIP]  # fmt: skip
    failure = f"{REQUIREMENTS} cannot be installed by {installer.name}"
    run_step(job, [*install, "-r", str(requirements)], directory=directory, environ=_uv_variables(),
             failure=failure)  # fmt: skip
    if not _has_numpy(made, job):
        failure = f"numpy, which a worker needs, cannot be installed by {installer.name}"
        run_step(job, [*install, "numpy"], directory=directory, environ=_uv_variables(), failure=failure)


def _has_numpy(python: Path, job: Job) -> bool:
    try:
        examine(
            Interpreter((str(python),), clean_environ()), f"{job.title}: its interpreter", needs_numpy=True,
            remedy="",
        )  # fmt: skip
    except InternalError:
        return False
    return True


def _uv_variables() -> dict[str, str]:
    """pip's own variables for the index, where uv is given none."""
    names = {"PIP_INDEX_URL": "UV_INDEX_URL", "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL"}
    given = {uv: os.environ[pip] for pip, uv in names.items() if pip in os.environ and uv not in os.environ}
    if "UV_DEFAULT_INDEX" in os.environ:
        given.pop("UV_INDEX_URL", None)
    return {**given, "UV_NO_PROGRESS": "1"}


def _contents(file: Path, model: str, depth: int) -> Iterator[bytes]:
    content = _read(file, model)
    yield content
    for line in _lines(content):
        if _EDITABLE.match(line):
            raise ConfigError(
                f"{REQUIREMENTS} of model '{model}': '{line}' installs a directory that may change; build a "
                "wheel of it and name that file"
            )
        option = _OPTION.match(line)
        if option is not None:
            if depth >= _MAX_DEPTH:
                raise ConfigError(f"{REQUIREMENTS} of model '{model}': files that name each other; '{line}'")
            if "://" not in line:
                yield from _contents(file.parent / option["file"].strip("\"'"), model, depth + 1)
        elif local := _local_file(line):
            # pip looks from the directory in which it runs, which is that of the first file
            yield sha256(_read(file.parent / local, model, limit=None)).digest()


def _local_file(line: str) -> str:
    """The path in a line that installs a file of this machine; empty for other lines."""
    if line.startswith("-"):
        return ""
    target = line.partition(" @ ")[2].strip() or line
    target = target.split(";")[0].split(" --")[0].strip()
    if target.startswith("file://"):
        return target.removeprefix("file://")
    if "://" in target:
        return ""
    return target if target.startswith((".", "/")) or target.lower().endswith(_ARCHIVES) else ""


def _lines(content: bytes) -> Iterator[str]:
    joined = re.sub(r"\\\r?\n", " ", content.decode("utf-8-sig", errors="replace"))
    for line in joined.splitlines():
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if bare:
            yield bare


def _read(file: Path, model: str, *, limit: int | None = _MAX_BYTES) -> bytes:
    where = f"'{file.name}', which {REQUIREMENTS} of model '{model}' names"
    if file.name == REQUIREMENTS:
        where = f"{REQUIREMENTS} of model '{model}'"
    try:
        if file.is_dir():
            raise ConfigError(f"{where}, is a directory; build a wheel of it and name that file")
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}") from error
    if limit is not None and len(content) > limit:
        raise ConfigError(f"{where}: has {len(content)} bytes; the most is {limit}")
    return content
