"""Which engine runs a saved graph, and what its worker is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx holds the translation")
pytest.importorskip("onnxruntime", reason="onnxruntime runs it")

from tests.unit.environments.fakes import write_environment
from tests.unit.oneflow.texts import TEXT, write_graph
from tritium.backends.api import BackendChoice, Engine, WorkerBackend
from tritium.backends.oneflow import OneFlowBackend, engine_of
from tritium.backends.registry import backend_named
from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput, ModelParameter
from tritium.errors import ConfigError, TritiumError, UnsupportedError

UNCOVERED = TEXT.replace("relu", "fft")
WEIGHTS = np.array([1, 2, 3], np.float32)


@pytest.fixture
def environment(tmp_path: Path) -> str:
    return str(write_environment(tmp_path / "environment").directory)


def model(directory: Path, text: str = TEXT) -> Path:
    write_graph(directory / "m", text, WEIGHTS.tobytes())
    return directory / "m" / "1" / "model"


def config(engine: str | None = None, **parameters: str) -> ModelConfig:
    given = {**parameters, **({} if engine is None else {"engine": engine})}
    return ModelConfig(
        name="m",
        backend="oneflow",
        default_model_filename="model",
        max_batch_size=8,
        parameters={key: ModelParameter(value) for key, value in given.items()},
        input=(ModelInput(name="INPUT_0", data_type="TYPE_FP32", dims=(3,)),),
        output=(ModelOutput(name="OUTPUT_0", data_type="TYPE_FP32", dims=(3,)),),
    )


def chosen(wanted: ModelConfig, path: Path, environment: str) -> Engine:
    backend = backend_named("oneflow", {"environment": environment})
    assert isinstance(backend, BackendChoice)
    return backend.choose(wanted, path)


def refused(wanted: ModelConfig, path: Path, environment: str, kind: type[TritiumError]) -> str:
    with pytest.raises(kind) as caught:
        chosen(wanted, path, environment)
    assert str(path.parent.parent) not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("engine", "text", "runtime"),
    [
        (None, TEXT, False),
        ("auto", TEXT, False),
        ("onnxruntime", TEXT, False),
        ("oneflow", TEXT, True),
        ("auto", UNCOVERED, True),
        (None, UNCOVERED, True),
    ],
)
def test_a_graph_is_translated_where_that_is_possible_and_not_forbidden(
    engine: str | None, text: str, runtime: bool, tmp_path: Path, environment: str
) -> None:
    backend = chosen(config(engine), model(tmp_path, text), environment)
    assert isinstance(backend, WorkerBackend if runtime else OneFlowBackend)


def test_without_the_runtime_the_error_lists_what_is_not_covered_and_how_to_get_it(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    words = refused(config(), model(tmp_path, UNCOVERED), nowhere, UnsupportedError)
    assert "cannot translate the operations fft (1)" in words
    assert "or let OneFlow run it itself: the environment of OneFlow's own runtime" in words
    assert words.endswith("type: tritium env oneflow --dir DIR")
    asked = refused(config("oneflow"), tmp_path / "m" / "1" / "model", nowhere, UnsupportedError)
    assert asked.startswith("model 'm' asks for engine 'oneflow': the environment")


def test_an_engine_that_does_not_exist_is_refused(tmp_path: Path, environment: str) -> None:
    words = refused(config("gpu"), model(tmp_path), environment, ConfigError)
    assert "parameter 'engine' is 'gpu' but must be one of auto, onnxruntime, oneflow; write" in words
    assert engine_of(config("oneflow")) == "oneflow"


def test_the_worker_is_told_what_the_server_has_read(tmp_path: Path, environment: str) -> None:
    path = model(tmp_path)
    wanted = config("oneflow", TRITIUM_ONEFLOW_MEMORY_MB="64")
    backend = chosen(wanted, path, environment)
    assert isinstance(backend, WorkerBackend)
    assert backend.interpreter(wanted, path.parents[1]).command == (f"{environment}/bin/python",)
    assert backend.reader is not None
    assert [spec.dims for spec in backend.reader.describe(wanted, path).inputs] == [(-1, 3)]
    arguments = json.loads(backend.reader.worker_arguments(wanted, path)["oneflow"])
    assert arguments == {
        "site_packages": f"{environment}/lib/python3.10/site-packages",
        "memory_mb": 64,
        "max_batch_size": 8,
        "inputs": ["_G_0_input.0.0_2"],
        "outputs": ["_G_0_output.0.0_2"],
    }


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (
            {"TRITIUM_ONEFLOW_MEMORY_MB": "much"},
            "write the megabytes that the graphs",
        ),
        ({"TRITIUM_ONEFLOW_MEMORY_MB": "0"}, "is '0'"),
        ({"xrt": "openvino"}, "parameter 'xrt' is for translated graphs"),
    ],
)
def test_parameters_that_the_runtime_cannot_follow_are_refused(
    parameters: dict[str, str], words: str, tmp_path: Path, environment: str
) -> None:
    path = model(tmp_path)
    wanted = config("oneflow", **parameters)
    backend = chosen(wanted, path, environment)
    assert isinstance(backend, WorkerBackend) and backend.reader is not None
    with pytest.raises(ConfigError, match=words):
        backend.reader.describe(wanted, path)


def test_a_configuration_that_does_not_fit_the_graph_starts_no_worker(
    tmp_path: Path, environment: str
) -> None:
    path = model(tmp_path)
    backend = chosen(config("oneflow"), path, environment)
    assert isinstance(backend, WorkerBackend) and backend.reader is not None
    wrong = ModelConfig(
        name="m",
        max_batch_size=8,
        input=(ModelInput(name="INPUT_0", data_type="TYPE_FP32", dims=(4,)),),
        output=config().output,
    )
    with pytest.raises(ConfigError, match="expects the shape"):
        backend.reader.worker_arguments(wrong, path)
