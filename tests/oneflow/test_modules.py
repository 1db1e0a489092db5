"""Eager models run by OneFlow itself (backend ``oneflow_python``), against what eager OneFlow computed."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx reads the graphs of the other tests' models")
pytest.importorskip("onnxruntime", reason="the loader knows every backend")

from tests.harness.http import infer_binary, wait_until
from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import GOOD, ServerProcess
from tests.oneflow import environment
from tests.oneflow.references import assert_same, references
from tests.oneflow.test_runtime import answered, with_model
from tritium.core.model import Model

pytestmark = pytest.mark.slow

LIMIT_S = 60.0
ROWS = (1, 3)
ALLOW = ("--backend-config=oneflow_python,allow-pickle=true",)
TENSORS = """
input { name: "INPUT_1" data_type: TYPE_FP32 dims: [ 3 ] }
input { name: "INPUT_0" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "total" data_type: TYPE_FP32 dims: [ 3 ] }
output { name: "top" data_type: TYPE_INT64 dims: [ 1 ] reshape { shape: [ ] } }
"""


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make_modules.py`` writes."""
    if not environment.ENABLED:
        pytest.skip("the real OneFlow 0.9.0 is used where TRITIUM_ONEFLOW_TESTS=1 is set (downloads 1 GB)")
    try:
        python = environment.interpreter()
    except environment.MissingInterpreterError as missing:
        pytest.skip(f"NOT TESTED AGAINST THE REAL ONEFLOW: {missing}")
    directory = tmp_path_factory.mktemp("modules")
    command = [str(python), str(Path(__file__).parent / "make_modules.py"), str(directory)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return directory


def write_model(root: Path, modules: Path, kind: str, code: str, *, batch: int = 4) -> Path:
    """The model ``kind`` of the repository ``root``; ``code`` is the file that net.py becomes."""
    directory = root / kind
    shutil.copytree(modules / kind / "model", directory / "1" / "model")
    shutil.copy(modules / "net.py", directory / "1" / code)
    (directory / "config.pbtxt").write_text(f'backend: "oneflow_python"\nmax_batch_size: {batch}\n{TENSORS}')
    return directory


def asked(server: ServerProcess, model: str, reference: Any, rows: int) -> Any:
    tensors = [
        (name, "FP32", reference[key].shape, reference[key].tobytes())
        for name, key in (("INPUT_0", f"x{rows}"), ("INPUT_1", f"y{rows}"))
    ]
    return server.infer(model, *infer_binary(tensors))


def test_a_module_and_a_state_dict_answer_like_eager_oneflow(modules: Path, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    write_model(root, modules, "module", "net.py")
    write_model(root, modules, "state", "model.py")
    with (
        np.load(modules / "reference.npz") as reference,
        ServerProcess(root, *ALLOW, log=tmp_path / "log", known_good="state") as server,
    ):
        for model in ("module", "state"):
            for rows in ROWS:
                reply = asked(server, model, reference, rows)
                assert reply.status == 200, reply.body
                outputs = {output["name"]: output for output in reply.json["outputs"]}
                total = np.array(outputs["total"]["data"], np.float32).reshape(outputs["total"]["shape"])
                assert_same(total, reference[f"sum{rows}"], f"{model} at batch {rows}")
                assert outputs["top"]["data"] == reference[f"top{rows}"].tolist()
                assert outputs["top"]["shape"] == [rows, 1]


def test_what_oneflow_cannot_serve_is_a_load_error_that_says_why(modules: Path, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    write_python_model(root, "echo", PLAIN)
    write_model(root, modules, "runtime_state", "model.py")
    write_model(root, modules, "state", "net.py")
    write_model(root, modules, "module", "other.py")
    with ServerProcess(root, *ALLOW, "--no-exit-on-error", log=tmp_path / "log") as server:
        expected = {
            "runtime_state": "only nn.Graph.load_runtime_state_dict reads that, which OneFlow 0.9.0 does not",
            "state": "there is no 'state/1/model.py' to build its module",
            "module": "the class of the saved module is not found: No module named 'net'",
        }
        for text in expected.values():
            wait_until(lambda text=text: text in server.output(), LIMIT_S, f"the error '{text}' is shown")
        assert server.infer("echo", GOOD).status == 200
        assert not any(server.ready(model) for model in expected)


def test_without_the_flag_no_pickle_is_read(modules: Path, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    write_python_model(root, "echo", PLAIN)
    write_model(root, modules, "module", "net.py")
    with ServerProcess(root, "--no-exit-on-error", log=tmp_path / "log") as server:
        shown = "start the server with --backend-config=oneflow_python,allow-pickle=true"
        wait_until(lambda: shown in server.output(), LIMIT_S, "the error is shown")
        assert not server.ready("module")


def test_a_saved_graph_needs_no_flag(networks: Path, tmp_path: Path) -> None:
    saved = networks / "resnet"
    directory = tmp_path / "resnet"
    shutil.copytree(saved / "model", directory / "1" / "model")
    (directory / "config.pbtxt").write_text('backend: "oneflow_python"\nmax_batch_size: 8\n')

    async def compare(model: Model) -> None:
        for size, (inputs, expected) in references(saved).items():
            assert_same((await answered(model, inputs))["OUTPUT_0"], expected["OUTPUT_0"], f"batch {size}")

    asyncio.run(with_model(directory, compare))
