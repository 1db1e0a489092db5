"""The scripts of examples/fast_neural_style under the real OneFlow 0.9.0: ported, trained, saved."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.oneflow import environment
from tritium.oneflow.batch import find_batch
from tritium.oneflow.reader import read_graph
from tritium.oneflow.translate import check_coverage

EXAMPLES = Path(__file__).parents[2] / "examples"
LIMIT_S = 300

Script = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.slow


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs a script of the example in a directory of its own."""
    if not environment.ENABLED:
        pytest.skip("the real OneFlow 0.9.0 is used where TRITIUM_ONEFLOW_TESTS=1 is set (downloads 1 GB)")
    try:
        python, packages = environment.interpreter(), environment.training_packages()
    except environment.MissingInterpreterError as missing:
        pytest.skip(f"NOT TESTED AGAINST THE REAL ONEFLOW: {missing}")

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(python), str(EXAMPLES / "fast_neural_style" / name), *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(packages)},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def test_the_saved_graph_of_the_repository_is_made_again_to_the_byte(script: Script, tmp_path: Path) -> None:
    ported = script("port_weights.py", "--style", "5", "--output", "weights")
    assert "differs from multistyle26.onnx under onnxruntime by" in ported.stdout
    script("export.py", "weights", "--repository", "models", "--size", "256x256")
    kept = EXAMPLES / "model_repository" / "fast_neural_style" / "1" / "model"
    made = tmp_path / "models" / "fast_neural_style" / "1" / "model"
    assert files_of(made) == files_of(kept)


def files_of(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_a_student_of_a_few_seconds_is_saved_and_can_be_served(script: Script, tmp_path: Path) -> None:
    trained = script("train.py", "--minutes", "0.05", "--output", "weights", "--picture", "shown.jpg")
    assert "training: 100%" in trained.stderr
    assert (tmp_path / "shown.jpg").stat().st_size > 1000
    script("export.py", "weights", "--repository", "models", "--name", "student", "--size", "64x96")
    graph = read_graph(tmp_path / "models" / "student" / "1" / "model")
    check_coverage(graph)
    assert [port.type.shape for port in (*graph.inputs, *graph.outputs)] == [(1, 3, 64, 96)] * 2
    assert find_batch(graph).variable
