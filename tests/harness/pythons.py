"""Interpreters of this machine with numpy, each in a virtual environment that outlives the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

VERSIONS = ("3.8", "3.10", "3.12", "3.13")
_INSTALL_LIMIT_S = 240.0


def cache_directory() -> Path:
    """Where tests keep what is slow to make, outside of the checkout."""
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "tritium-tests"


def base_python(version: str) -> Path | None:
    """An interpreter of ``version`` ("3.8") that runs."""
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")))
    for candidate in filter(None, candidates):
        asked = subprocess.run([candidate, "-c", "import venv, ensurepip"], capture_output=True, check=False)
        if asked.returncode == 0:
            return Path(candidate)
    return None


def python_with_numpy(version: str, *packages: str) -> Path:
    """An interpreter of ``version`` with numpy and ``packages``; the test is skipped, loudly, without one."""
    base = base_python(version)
    if base is None:
        pytest.skip(f"NOT TESTED ON PYTHON {version}: no python{version} on PATH or in ~/.pyenv/versions")
    place = cache_directory() / "-".join([f"python{version}", *packages])
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(f"{place.suffix}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            _make(base, place, packages)
    return place / "bin" / "python"


def _make(base: Path, place: Path, packages: tuple[str, ...]) -> None:
    subprocess.run([base, "-m", "venv", "--clear", place], check=True, capture_output=True)
    argv = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "numpy", *packages]
    done = subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, check=False, timeout=_INSTALL_LIMIT_S
    )
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED ON {place.name}: numpy cannot be installed: {done.stderr[-300:]}")
    (place / "complete").touch()
