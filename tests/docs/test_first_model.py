"""docs/tutorial/first_model.md, typed in by a program: its files, its commands and its requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.pages import Page, typed
from tests.harness.server import ServerProcess

PAGE = Page("tutorial/first_model.md")
block, commands = PAGE.block, PAGE.commands


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the reader's directory holds when everything was typed."""
    here = tmp_path_factory.mktemp("tutorial")
    (here / "models/classifier/1").mkdir(parents=True)
    (here / "models/shout/1").mkdir(parents=True)
    (here / "make_classifier.py").write_text(block("# make_classifier.py"))
    (here / "ask.py").write_text(block("# ask.py"))
    model = block("import numpy as np\nimport triton_python_backend_utils")
    (here / "models/shout/1/model.py").write_text(model)
    (here / "models/shout/config.pbtxt").write_text(block('backend: "python"'))
    subprocess.run([sys.executable, "make_classifier.py"], cwd=here, check=True)
    return here


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[ServerProcess]:
    with ServerProcess(directory / "models", log=directory / "log", known_good="classifier") as running:
        yield running


def test_the_repository_passes_its_check(directory: Path) -> None:
    (command,) = commands("tritium check")
    argv = [sys.executable, "-m", *command.split()]
    done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "classifier" in done.stdout


def test_the_requests_for_the_onnx_model_are_answered(server: ServerProcess) -> None:
    described, inferred, *_ = [json.loads(typed(c, server)) for c in commands("v2/models/classifier")]
    assert described["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 4]}]
    assert inferred["outputs"][0]["shape"] == [1, 3]


def test_the_program_gets_a_row_for_each_of_its_rows(directory: Path, server: ServerProcess) -> None:
    program = (directory / "ask.py").read_text().replace("localhost:8000", f"localhost:{server.http_port}")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.count("[") == 3


def test_the_python_model_shouts(server: ServerProcess) -> None:
    (command,) = commands("v2/models/shout/infer")
    assert json.loads(typed(command, server))["outputs"][0]["data"] == ["HELLO!"]


def test_statistics_and_metrics_are_there(server: ServerProcess) -> None:
    (stats,) = commands("shout/stats")
    (metrics,) = commands("8002/metrics")
    assert json.loads(typed(stats, server))["model_stats"][0]["name"] == "shout"
    assert 'nv_inference_request_success{model="classifier",version="1"}' in typed(metrics, server)
