"""Interpreters for workers: what one is, and whether it can run a model."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tritium.environments.redaction import without_directories
from tritium.environments.steps import clean_environ
from tritium.errors import InternalError, UnavailableError

OLDEST_PYTHON = (3, 8)
_LIMIT_S = 60.0  # the first import of numpy, on a slow disk
_SHOWN_LINES = 5
# Runs under any Python 3.
_PROBE = """\
import json, sys
answer = {"version": list(sys.version_info[:3]), "build": sys.version, "path": sys.executable}
if len(sys.argv) > 1 and sys.version_info >= (3, 8):
    try:
        import numpy
        answer["numpy"] = numpy.__version__
    except ImportError as error:
        answer["missing"] = "%s" % (error.name or error)
        if error.name != "numpy":
            raise
print(json.dumps(answer))
"""
_MACHINES = {0x03: "x86", 0x28: "arm", 0x3E: "x86_64", 0xB7: "aarch64", 0xF3: "riscv64", 0x15: "ppc64le"}


@dataclass(frozen=True, slots=True)
class Interpreter:
    """How a worker is started."""

    command: tuple[str, ...]  # the program with its options
    environ: Mapping[str, str] | None = None  # None: the server's
    terminal: bool = False  # standard input is the server's, and else nothing


@dataclass(frozen=True, slots=True)
class PythonFacts:
    """What an interpreter says of itself."""

    version: tuple[int, int, int]
    build: str
    path: str
    numpy: str | None


def examine(interpreter: Interpreter, who: str, *, needs_numpy: bool, remedy: str = "") -> PythonFacts:
    """Run the interpreter once. Blocks.

    Args:
        who: begins the error, as in "model 'm': the interpreter of PYTHON_EXECUTABLE".
        remedy: how to add numpy, where that is needed.

    Raises:
        UnavailableError: it cannot be run, or gives no answer.
        InternalError: it is too old, broken, or has no numpy.
    """
    probe = ["-c", _PROBE, *(["numpy"] if needs_numpy else [])]
    environ = interpreter.environ if interpreter.environ is not None else os.environ
    try:
        asked = subprocess.run(
            [*interpreter.command, *probe],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
            env=environ,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{who} gives no answer within {_LIMIT_S:g} s") from None
    except OSError as error:
        raise UnavailableError(f"{who} {_why_not(interpreter.command[0], error)}") from error
    facts = _facts(asked.stdout)
    if facts is not None and facts.version[:2] < OLDEST_PYTHON:
        found = ".".join(map(str, facts.version))
        raise InternalError(f"{who} is Python {found}; a worker needs CPython 3.8 or newer")
    if asked.returncode != 0 or facts is None:
        raise InternalError(f"{who} does not work{_last_lines(asked.stderr)}")
    if needs_numpy and facts.numpy is None:
        raise InternalError(f"{who} has no numpy, which a worker needs; {remedy}")
    return facts


def _facts(answer: str) -> PythonFacts | None:
    try:
        document = json.loads(answer.strip().splitlines()[-1])
        major, minor, micro = document["version"]
        return PythonFacts((major, minor, micro), document["build"], document["path"], document.get("numpy"))
    except (ValueError, IndexError, KeyError, TypeError):
        return None


def _why_not(program: str, error: OSError) -> str:
    """Why a program cannot be started, as precisely as its file says."""
    path = Path(program)
    machine = _machine(path)
    if machine and machine != platform.machine():
        return f"is a program for {machine}, and this machine is {platform.machine()}"
    if path.is_symlink() and not path.exists():
        return f"is a link to '{os.readlink(path)}', which this machine does not have"
    if not path.exists():
        return "does not exist"
    if path.is_dir():
        return "is a directory; expected a program"
    if isinstance(error, FileNotFoundError):
        return "cannot be run: its program loader (another C library?) is not on this machine"
    return f"cannot be run: {error.strerror or type(error).__name__}"


def _machine(path: Path) -> str:
    """The architecture in an ELF file's header; empty for other files."""
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:
        return ""
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return ""
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return _MACHINES.get(number, f"machine {number}")


def _last_lines(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()][-_SHOWN_LINES:]
    return ":\n" + "\n".join(f"  {without_directories(line)}" for line in lines) if lines else ""


def inside(environment: Path, python: Path, *, libraries: bool) -> Interpreter:
    """The interpreter of an environment, with the variables that its ``activate`` would set.

    Args:
        libraries: its ``lib`` directory goes before others in LD_LIBRARY_PATH, as Triton does it.
    """
    changes = {
        "VIRTUAL_ENV": str(environment),
        "PATH": _before(environment / "bin", "PATH", os.defpath),
    }
    if (environment / "conda-meta").is_dir():
        changes["CONDA_PREFIX"] = str(environment)
    if libraries:
        changes["LD_LIBRARY_PATH"] = _before(environment / "lib", "LD_LIBRARY_PATH", "")
    if "PYTHONPATH" in os.environ:
        changes["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return Interpreter((str(python),), clean_environ(changes))


def _before(directory: Path, variable: str, otherwise: str) -> str:
    rest = os.environ.get(variable, otherwise)
    return f"{directory}{os.pathsep}{rest}" if rest else str(directory)
