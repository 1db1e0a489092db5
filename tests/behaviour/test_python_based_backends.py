"""Backends that are a model.py under ``--backend-directory``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.http import infer_json
from tests.harness.models import PLAIN, write_python_model
from tests.harness.python_backends import write_backend, write_backend_model
from tests.harness.server import ServerProcess

BROKEN = (
    "class TritonPythonModel:\n    def initialize(self, args):\n        raise ValueError('in initialize')\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("backends")
    models = root / "models"
    write_backend(root / "backends", "mine")
    write_backend(root / "backends", "broken", BROKEN)
    write_python_model(models, "echo", PLAIN)
    write_backend_model(models, "chosen", 'backend: "mine"')
    write_backend_model(models, "by_runtime", 'backend: "mine" runtime: "model.py"', weights="other")
    write_backend_model(models, "broken", 'backend: "broken"')
    write_backend_model(models, "escaping", 'backend: "../backends/mine"')
    write_python_model(models, "plain_with_runtime", PLAIN, extra='runtime: "model.py"')
    flags = ["--backend-directory", str(root / "backends"), "--load-model", "echo"]
    flags += ["--load-model", "chosen", "--load-model", "by_runtime"]
    with ServerProcess(models, *flags, log=root / "log") as running:
        yield running
        running.assert_three_ok()


def told(server: ServerProcess, model: str) -> Any:
    reply = server.infer(model, infer_json([1], shape=[1]))
    assert reply.status == 200, reply.body
    return json.loads(reply.json["outputs"][0]["data"][0])


@pytest.mark.parametrize(("model", "weights"), [("chosen", "0 1 2"), ("by_runtime", "other")])
def test_a_backend_runs_models_that_have_files_of_their_own(
    server: ServerProcess, model: str, weights: str
) -> None:
    assert told(server, model) == {
        "greeting": "from beside model.py",
        "model_config": {"backend": "mine", "runtime": "model.py", "default_model_filename": ""},
        "model_instance_device_id": "0",
        "model_instance_kind": "CPU",
        "model_instance_name": f"{model}_0",
        "model_name": model,
        "model_repository": model,
        "model_version": "1",
        "module": "model",
        "weights": weights,
    }


def test_the_backend_is_what_the_model_says_it_is(server: ServerProcess) -> None:
    assert server.get("/v2/models/chosen").json["platform"] == "mine"
    (row,) = [line for line in server.output().splitlines() if line.startswith("| mine ")]
    assert str(Path("backends") / "mine" / "model.py") in row


def test_an_error_names_the_backends_file_and_no_path(server: ServerProcess) -> None:
    reply = server.infer("chosen", infer_json([-1], shape=[1]))
    assert (reply.status, "ValueError: raised in the backend" in reply.error) == (500, True)
    assert "\n  mine/model.py(" in reply.error


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("broken", "ValueError: in initialize\n\nAt:\n  broken/model.py(3): initialize\n"),
        ("escaping", "unable to find backend library for backend '../backends/mine'"),
        (
            "plain_with_runtime",
            "library 'model.py' for model 'plain_with_runtime', searched: 'python/model.py'",
        ),
    ],
)
def test_models_without_a_backend_that_works_are_load_errors(
    server: ServerProcess, model: str, text: str
) -> None:
    reply = server.ask("POST", f"/v2/repository/models/{model}/load", b"{}")
    assert (reply.status, text in reply.error) == (400, True), reply.error
    assert server.ask("POST", f"/v2/repository/models/{model}/unload", b"{}").status == 200
