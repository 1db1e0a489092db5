"""docs/oneflow.md, typed in by a program: its files, its commands and its requests.

The graph that ``save.py`` of the page saves is kept in ``saved/``. Where TRITIUM_ONEFLOW_TESTS=1 is set, the
real OneFlow 0.9.0 saves it anew.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.harness.http import wait_until
from tests.harness.pages import Page, typed
from tests.harness.server import ServerProcess
from tests.oneflow import environment
from tritium.backends import openvino
from tritium.cli.backend_settings import parse_backend_config
from tritium.environments.oneflow import VARIABLE

pytest.importorskip("onnx", reason="onnx holds the translation")
pytest.importorskip("onnxruntime", reason="onnxruntime runs it")

PAGE = Page("oneflow.md")
block, command = PAGE.block, PAGE.command
SAVED = Path(__file__).parent / "saved"
MODEL = "models/classifier/1/model"
START_LIMIT_S = 60.0


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the reader's directory holds when the graph was saved."""
    here = tmp_path_factory.mktemp("oneflow")
    subprocess.run(["sh", "-c", command("mkdir")], cwd=here, check=True)
    (here / "save.py").write_text(block("# save.py"))
    (here / "ask.py").write_text(block("# ask.py"))
    (here / "to_onnx.py").write_text(block("# to_onnx.py"))
    shutil.copytree(SAVED / "classifier" / "model", here / MODEL)
    return here


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[ServerProcess]:
    with ServerProcess(directory / "models", log=directory / "log", known_good="classifier") as running:
        yield running


def check(directory: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", *command("tritium check models\n").split(), *flags]
    return subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)


def test_both_languages_type_the_same() -> None:
    assert PAGE.blocks == Page("oneflow.zh.md").blocks
    first, pickles, fallback = PAGE.commands("tritium serve ")
    assert first == "tritium serve --model-repository models"
    assert pickles == f"{first} --backend-config=oneflow_python,allow-pickle=true"
    assert parse_backend_config(pickles.partition("--backend-config=")[2])[2] == "true"
    assert fallback == f"{first} --cpu-fallback"


@pytest.mark.slow
def test_the_real_oneflow_saves_what_the_page_says(directory: Path, tmp_path: Path) -> None:
    if not environment.ENABLED:
        pytest.skip("the real OneFlow 0.9.0 is used where TRITIUM_ONEFLOW_TESTS=1 is set (downloads 1 GB)")
    try:
        python = environment.interpreter()
    except environment.MissingInterpreterError as missing:
        pytest.skip(f"NOT TESTED AGAINST THE REAL ONEFLOW: {missing}")
    subprocess.run(["sh", "-c", command("mkdir")], cwd=tmp_path, check=True)
    shutil.copy(directory / "save.py", tmp_path)
    argv = [str(python), "save.py"]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert files_of(tmp_path / MODEL) == files_of(SAVED / "classifier" / "model")


def files_of(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_the_repository_passes_its_check(directory: Path) -> None:
    done = check(directory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok   classifier" in done.stdout


def test_the_configuration_of_the_page_fits_the_graph(directory: Path, tmp_path: Path) -> None:
    shutil.copytree(directory / "models", tmp_path / "models")
    (tmp_path / "models/classifier/config.pbtxt").write_text(block('name: "classifier"'))
    done = check(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn" not in done.stdout


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("instance_group { kind: KIND_GPU }", "Change kind to KIND_CPU"),
        (command('key: "engine"'), "there is no such environment; type: tritium env oneflow"),
        ('backend: "oneflow_python"', "there is no such environment; type: tritium env oneflow"),
    ],
)
def test_what_the_page_calls_refused_is_refused_with_that_advice(
    line: str, told: str, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    shutil.copytree(directory / "models", tmp_path / "models")
    backend = "" if line.startswith("backend") else 'backend: "oneflow"\n'
    (tmp_path / "models/classifier/config.pbtxt").write_text(f"{backend}{line}\n")
    done = check(tmp_path)
    assert done.returncode == 1
    assert told in done.stdout


def test_a_pickle_is_refused_and_the_command_of_the_page_named(tmp_path: Path) -> None:
    model = tmp_path / "models" / "eager"
    (model / "1" / "model").mkdir(parents=True)
    (model / "1" / "model" / "pickled_data").write_bytes(b"")
    (model / "config.pbtxt").write_text('backend: "oneflow_python"\n')
    done = check(tmp_path)
    assert done.returncode == 1
    assert command("allow-pickle").partition(" models ")[2].strip() in done.stdout


def test_the_accelerator_of_the_page_is_taken(directory: Path, tmp_path: Path) -> None:
    if not openvino.is_installed():
        pytest.skip('OpenVINO is in the extra "openvino"')
    shutil.copytree(directory / "models", tmp_path / "models")
    line = command('key: "xrt"')
    (tmp_path / "models/classifier/config.pbtxt").write_text(f'backend: "oneflow"\n{line}\n')
    done = check(tmp_path, "--load")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_both_engines_of_the_page_compute_the_same(directory: Path) -> None:
    if not environment.ENABLED:
        pytest.skip("the real OneFlow 0.9.0 is used where TRITIUM_ONEFLOW_TESTS=1 is set (downloads 1 GB)")
    try:
        environment.interpreter()
    except environment.MissingInterpreterError as missing:
        pytest.skip(f"NOT TESTED AGAINST THE REAL ONEFLOW: {missing}")
    for typed_in in ("tritium env", "tritium check models --verify"):
        argv = [sys.executable, "-m", *command(typed_in).split()]
        done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "same classifier version 1" in done.stdout


def test_a_model_that_wants_a_gpu_passes_with_the_flag_of_the_page(directory: Path, tmp_path: Path) -> None:
    shutil.copytree(directory / "models", tmp_path / "models")
    text = 'backend: "oneflow"\ninstance_group { kind: KIND_GPU }\n'
    (tmp_path / "models/classifier/config.pbtxt").write_text(text)
    done = check(tmp_path, "--cpu-fallback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warn classifier: model 'classifier', instance group 0: it has kind KIND_GPU" in done.stdout


def test_the_requests_of_the_page_are_answered(server: ServerProcess) -> None:
    described = json.loads(typed(command("v2/models/classifier\n"), server))
    assert described["inputs"] == [{"name": "INPUT_0", "datatype": "FP32", "shape": [-1, 4]}]
    inferred = json.loads(typed(command("classifier/infer"), server))
    assert inferred["outputs"][0]["shape"] == [1, 3]
    assert sum(inferred["outputs"][0]["data"]) == pytest.approx(1.0, abs=1e-5)


def test_the_program_gets_a_row_for_each_of_its_rows(directory: Path, server: ServerProcess) -> None:
    program = (directory / "ask.py").read_text().replace("localhost:8000", f"localhost:{server.http_port}")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.count("[") == 3


def test_the_onnx_model_scores_rows_like_the_server(directory: Path) -> None:
    from onnxruntime import InferenceSession

    subprocess.run([sys.executable, "to_onnx.py"], cwd=directory, check=True)
    exporting = [sys.executable, "-m", *command("tritium export").split()]
    subprocess.run(exporting, cwd=directory, check=True, capture_output=True)
    assert (directory / "classifier.onnx").read_bytes() == (directory / "by_program.onnx").read_bytes()
    session = InferenceSession(directory / "classifier.onnx", providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"INPUT_0": np.ones((5, 4), np.float32)})
    np.testing.assert_allclose(scores.sum(axis=1), np.ones(5), rtol=1e-5)


def test_the_containers_command_serves_the_containers_repository(directory: Path) -> None:
    if not openvino.is_installed():
        pytest.skip('OpenVINO is in the extra "openvino"')
    program, *arguments = command("oneflow-serving --model-store").split()
    assert program == "oneflow-serving"
    with socket.socket() as http, socket.socket() as metrics:
        http.bind(("127.0.0.1", 0))
        metrics.bind(("127.0.0.1", 0))
        ports = [f"--http-port={http.getsockname()[1]}", f"--metrics-port={metrics.getsockname()[1]}"]
        ports.append("--allow-grpc=false")
        address = f"http://127.0.0.1:{http.getsockname()[1]}"
    start = "import sys; from tritium.cli.oneflow_serving import main; sys.exit(main())"
    log = directory / "oneflow-serving.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", start, *arguments, *ports], cwd=directory, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: "Started HTTPService" in log.read_text(), START_LIMIT_S, "it listens")
        with urllib.request.urlopen(f"{address}/v2/models/classifier/config", timeout=START_LIMIT_S) as reply:
            assert json.load(reply)["parameters"] == {"xrt": {"string_value": "openvino"}}
    finally:
        process.terminate()
        code = process.wait(START_LIMIT_S)
    assert code == 0
    assert "classifier" in log.read_text()
