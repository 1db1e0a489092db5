"""When a pickle is read, what the configuration must say, and what the worker is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="the backend oneflow holds the translation")
pytest.importorskip("onnxruntime", reason="onnxruntime runs it")

from tests.unit.environments.fakes import write_environment
from tritium.backends.api import BackendChoice, Engine, WorkerBackend
from tritium.backends.registry import backend_named
from tritium.core.model_config import (
    ModelConfig,
    ModelInput,
    ModelOutput,
    ModelParameter,
    ModelTransactionPolicy,
    TensorReshape,
)
from tritium.errors import ConfigError, TritiumError, UnsupportedError

INPUT = ModelInput(name="INPUT_0", data_type="TYPE_FP32", dims=(4,))
OUTPUT = ModelOutput(name="OUTPUT_0", data_type="TYPE_FP32", dims=(3,))
CONFIG = ModelConfig(
    name="m",
    backend="oneflow_python",
    default_model_filename="model",
    max_batch_size=8,
    input=(INPUT,),
    output=(OUTPUT,),
)


@pytest.fixture
def environment(tmp_path: Path) -> str:
    return str(write_environment(tmp_path / "environment").directory)


def model(directory: Path, file: str = "pickled_data") -> Path:
    path = directory / "m" / "1" / "model"
    path.mkdir(parents=True)
    (path / file).write_bytes(b"")
    return path


def chosen(path: Path, config: ModelConfig = CONFIG, **settings: str) -> Engine:
    backend = backend_named("oneflow_python", {key.replace("_", "-"): v for key, v in settings.items()})
    assert isinstance(backend, BackendChoice)
    return backend.choose(config, path)


def refused(kind: type[TritiumError], path: Path, config: ModelConfig = CONFIG, **settings: str) -> str:
    with pytest.raises(kind) as caught:
        chosen(path, config, **settings)
    assert str(path.parents[2]) not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("settings", [{}, {"allow_pickle": "false"}])
def test_a_pickle_is_refused_and_the_error_says_why_and_names_the_flag(
    settings: dict[str, str], tmp_path: Path, environment: str
) -> None:
    words = refused(UnsupportedError, model(tmp_path), CONFIG, environment=environment, **settings)
    assert "1/model/pickled_data is a pickle, and reading a pickle runs whatever code is in it" in words
    assert "--backend-config=oneflow_python,allow-pickle=true" in words


def test_an_allowed_pickle_is_run_by_a_worker_that_hosts_modules(tmp_path: Path, environment: str) -> None:
    backend = chosen(model(tmp_path), allow_pickle="true", environment=environment)
    assert isinstance(backend, WorkerBackend)
    assert backend.host == "oneflow_python"
    assert backend.interpreter(CONFIG, tmp_path).command == (f"{environment}/bin/python",)


def test_a_graph_is_no_pickle_and_is_run_as_the_backend_oneflow_does(
    tmp_path: Path, environment: str
) -> None:
    path = model(tmp_path, "model.mlir")
    (path / "pickled_data").write_bytes(b"")
    backend = chosen(path, environment=environment)
    assert isinstance(backend, WorkerBackend)
    assert backend.host == "oneflow"


def test_a_directory_with_neither_says_what_belongs_there(tmp_path: Path, environment: str) -> None:
    words = refused(ConfigError, model(tmp_path, "other"), allow_pickle="true", environment=environment)
    assert "'1/model' holds neither pickled_data nor model.mlir; save the model into that" in words


def test_without_the_runtime_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    words = refused(UnsupportedError, model(tmp_path), allow_pickle="true", environment=nowhere)
    assert words.endswith("type: tritium env oneflow --dir DIR")


def test_another_engine_is_refused(tmp_path: Path, environment: str) -> None:
    config = replace(CONFIG, parameters={"engine": ModelParameter("onnxruntime")})
    words = refused(ConfigError, model(tmp_path), config, allow_pickle="true", environment=environment)
    assert "parameter 'engine' is 'onnxruntime', but backend 'oneflow_python' is always run by" in words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": ()}, "does not say what its inputs are, so config.pbtxt must; write for example input {"),
        ({"output": ()}, "does not say what its outputs are"),
        ({"input": (replace(INPUT, dims=()),)}, "config.pbtxt must give name, data_type and dims"),
        ({"output": (replace(OUTPUT, data_type="TYPE_INVALID"),)}, "output 'OUTPUT_0': a module does not"),
        ({"input": (replace(INPUT, data_type="TYPE_STRING"),)}, "OneFlow has no TYPE_STRING; its types are"),
        ({"input": (replace(INPUT, optional=True),)}, "input 'INPUT_0' is optional"),
        ({"parameters": {"xrt": ModelParameter("openvino")}}, "parameter 'xrt' is for saved graphs"),
        (
            {"parameters": {"TRITIUM_ONEFLOW_MEMORY_MB": ModelParameter("9")}},
            "parameter 'TRITIUM_ONEFLOW_MEMORY_MB' is for saved graphs",
        ),
        ({"model_transaction_policy": ModelTransactionPolicy(decoupled=True)}, "one response to a request"),
    ],
)
def test_a_configuration_that_a_module_cannot_follow_is_refused(
    changes: dict[str, Any], words: str, tmp_path: Path, environment: str
) -> None:
    path = model(tmp_path)
    backend = chosen(path, allow_pickle="true", environment=environment)
    assert isinstance(backend, WorkerBackend) and backend.reader is not None
    for ask in (backend.reader.describe, backend.reader.worker_arguments):
        with pytest.raises(ConfigError, match=words):
            ask(replace(CONFIG, **changes), path)


def test_the_worker_is_told_the_tensors_in_the_order_of_the_call(tmp_path: Path, environment: str) -> None:
    path = model(tmp_path)
    backend = chosen(path, allow_pickle="true", environment=environment)
    assert isinstance(backend, WorkerBackend) and backend.reader is not None
    config = replace(
        CONFIG,
        input=tuple(replace(INPUT, name=f"INPUT_{index}") for index in (10, 2, 0)),
        output=(replace(OUTPUT, name="z"), replace(OUTPUT, name="a", reshape=TensorReshape((3, 1)))),
    )
    told = json.loads(backend.reader.worker_arguments(config, path)["oneflow"])
    assert told["site_packages"] == f"{environment}/lib/python3.10/site-packages"
    assert told["max_batch_size"] == 8
    assert [tensor["name"] for tensor in told["inputs"]] == ["INPUT_0", "INPUT_2", "INPUT_10"]
    assert told["outputs"] == [
        {"name": "z", "data_type": "TYPE_FP32", "shape": [3]},
        {"name": "a", "data_type": "TYPE_FP32", "shape": [3, 1]},
    ]
    assert [spec.dims for spec in backend.reader.describe(config, path).inputs] == [(-1, 4)] * 3
