"""Graphs that the real OneFlow 0.9.0 saved, for the benchmarks; made where its environment is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.reference import UnavailableError, reason_in
from tests.oneflow import environment
from tritium.core.tensor import Array
from tritium.environments.oneflow import OneFlowEnvironment, default_directory
from tritium.environments.oneflow_installer import is_ready

STYLE_SIZE = (256, 384)

_CHECKOUT = Path(__file__).resolve().parent.parent
_LIMIT_S = 900.0


def runtime() -> OneFlowEnvironment:
    """OneFlow's own runtime.

    Raises:
        UnavailableError: it is not installed.
    """
    found = OneFlowEnvironment(default_directory())
    if not is_ready(found):
        raise UnavailableError("OneFlow's own runtime is not installed; type: tritium env oneflow")
    return found


def saved_network(name: str) -> Path:
    """A network of the tests: ``model``, and ``reference.npz`` beside it.

    Raises:
        UnavailableError: OneFlow is not installed.
    """
    runtime()
    return environment.saved_networks() / name


def saved_style(workspace: Path) -> Path:
    """The example's TransformerNet, with its real weights, saved for pictures of STYLE_SIZE.

    Raises:
        UnavailableError: OneFlow, or what the example needs, is not installed.
    """
    example = _CHECKOUT / "examples" / "fast_neural_style"
    python = str(runtime().python)
    size = "x".join(map(str, STYLE_SIZE))
    for argv in (
        ["port_weights.py", "--style", "5", "--output", "weights"],
        ["export.py", "weights", "--repository", "models", "--name", "style", "--size", size],
    ):
        done = subprocess.run(
            [python, str(example / argv[0]), *argv[1:]],
            cwd=workspace,
            env={**os.environ, "PYTHONPATH": str(environment.training_packages())},
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"{argv[0]} failed: {reason_in(done.stderr)}")
    return workspace / "models" / "style" / "1" / "model"


def write_resnet(repository: Path, name: str, instances: int) -> tuple[Array, Array]:
    """A small ResNet run by OneFlow itself; inputs of four rows, and what eager OneFlow makes of them.

    Raises:
        UnavailableError: OneFlow is not installed.
    """
    saved = saved_network("resnet")
    directory = repository / name
    shutil.copytree(saved / "model", directory / "1" / "model")
    (directory / "config.pbtxt").write_text(
        'backend: "oneflow"\nmax_batch_size: 4\n'
        'parameters { key: "engine" value { string_value: "oneflow" } }\n'
        f"instance_group {{ count: {instances} kind: KIND_CPU }}\n"
    )
    with np.load(saved / "reference.npz") as reference:
        return reference["4/input/0"], reference["4/output/0"]
