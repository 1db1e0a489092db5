"""Finds an interpreter of one version on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_ASK_LIMIT_S = 20.0
# Where version managers and distributions put interpreters that are not on PATH; below the home directory.
_HOME_PATTERNS = (
    ".pyenv/versions/{version}*/bin/python{version}",
    ".local/share/uv/python/cpython-{version}*/bin/python{version}",
    ".asdf/installs/python/{version}*/bin/python{version}",
    ".local/share/mise/installs/python/{version}*/bin/python{version}",
    "miniconda3/envs/*/bin/python{version}",
    "anaconda3/envs/*/bin/python{version}",
    "miniforge3/envs/*/bin/python{version}",
)
_DIRECTORIES = ("/usr/local/bin", "/usr/bin", "/opt/python/cp310-cp310/bin", "/opt/conda/bin")


class NoPythonError(Exception):
    """There is no such interpreter; the text says what was found."""


def find_python(version: str, *, environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """An interpreter of ``version`` ("3.10") that can make virtual environments.

    Raises:
        NoPythonError: there is none.
    """
    reasons = []
    for candidate in dict.fromkeys(_candidates(version, environ, home or Path.home())):
        problem = python_problem(candidate, version)
        if not problem:
            return candidate
        reasons.append(f"{candidate}: {problem}")
    raise NoPythonError("; ".join(reasons) or f"no python{version} was found")


def python_problem(python: Path, version: str) -> str:
    """Why ``python`` cannot make an environment of ``version``; empty if it can."""
    script = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        asked = subprocess.run(
            [python, "-c", script], capture_output=True, text=True, timeout=_ASK_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot be run ({type(error).__name__})"
    if asked.returncode != 0:
        modules = "ensurepip" in asked.stderr or "venv" in asked.stderr
        return f"cannot make environments: install python{version}-venv" if modules else "does not start"
    found = asked.stdout.strip()
    return "" if found == version else f"is Python {found}"


def _candidates(version: str, environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    on_path = shutil.which(f"python{version}", path=environ.get("PATH"))
    if on_path:
        yield Path(on_path)
    if root := environ.get("PYENV_ROOT"):
        yield from _newest(Path(root).glob(f"versions/{version}*/bin/python{version}"))
    for pattern in _HOME_PATTERNS:
        yield from _newest(home.glob(pattern.format(version=version)))
    for directory in _DIRECTORIES:
        path = Path(directory) / f"python{version}"
        if path.exists():
            yield path


def _newest(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, reverse=True)
