"""``tritium check --load``, as a person or a pipeline runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.models import write_chain, write_onnx_model, write_python_model

TIMEOUT_S = 120.0


def check(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tritium", "check", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def test_models_of_both_executions_load_and_unload(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    write_python_model(tmp_path, "echo", versions=(1, 3), extra="version_policy { all {} }")
    write_onnx_model(tmp_path, "double")
    done = check(str(tmp_path), "--load")
    assert done.stdout.splitlines() == [
        "ok   double  versions 1    backend onnxruntime",
        "ok   echo    versions 1,3  backend python",
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_an_ensemble_is_loaded_with_its_models_and_checked_against_them(tmp_path: Path) -> None:
    write_python_model(tmp_path, "echo")
    write_python_model(tmp_path, "numbers", inputs=[("IN", "INT32", [-1])])
    write_chain(tmp_path, "good", "echo", "echo")
    write_chain(tmp_path, "outer", "good", "echo")
    write_chain(tmp_path, "wrong", "echo", "numbers")
    write_chain(tmp_path, "lost", "nowhere")
    done = check(str(tmp_path), "--load", "--json")
    errors = {found["name"]: found["error"] for found in json.loads(done.stdout)["models"]}
    assert [name for name, error in errors.items() if error is None] == ["echo", "good", "numbers", "outer"]
    assert "inconsistent data type: TYPE_FP32 is inferred from model echo" in errors["wrong"]
    assert errors["lost"] == "ensemble lost contains models that are not available or ambiguous: nowhere"


def test_what_only_loading_shows_is_found_with_load(tmp_path: Path) -> None:
    write_python_model(
        tmp_path,
        "late",
        "class TritonPythonModel:\n    def initialize(self, args):\n        raise OSError('no disk')\n",
    )
    assert check(str(tmp_path)).returncode == 0
    done = check(str(tmp_path), "--load", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert "no disk" in document["models"][0]["error"]


def test_a_process_of_tritonserver_ends_with_tritons_status_and_last_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tritium.cli.tritonserver",
        "--model-repository",
        str(tmp_path / "nonexistent"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == f"error: creating server: Internal - failed to stat file {tmp_path / 'nonexistent'}"
