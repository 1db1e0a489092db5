from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.repository.doubling import CONFIG, install_backend, write_model
from tritium.backends.api import WorkerBackend
from tritium.core.model_config import ModelConfig, ModelParameter
from tritium.errors import ConfigError, InvalidArgumentError
from tritium.repository.prepare import Draft, PrepareOptions, choose_engine, complete, draft, finish
from tritium.repository.scan import ModelEntry, scan_model

PYTHON = 'backend: "python"'
TENSORS = """
input { name: "A" data_type: TYPE_FP32 dims: 1 }
output { name: "B" data_type: TYPE_FP32 dims: 1 }
"""
OPTIONS = PrepareOptions()


@pytest.fixture(autouse=True)
def _doubling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_backend(tmp_path / "site", monkeypatch)


def entry(root: Path, config: str = CONFIG, versions: tuple[int, ...] = (1,), name: str = "m") -> ModelEntry:
    for version in versions:
        (root / name / str(version)).mkdir(parents=True)
    (root / name).mkdir(exist_ok=True)
    (root / name / "config.pbtxt").write_text(config)
    return scan_model(root / name)


def completed(found: ModelEntry, options: PrepareOptions = OPTIONS) -> ModelConfig:
    return complete(found, draft(found, options), options)


def test_a_draft_knows_the_backend_and_the_versions(tmp_path: Path) -> None:
    found = draft(entry(tmp_path, versions=(1, 3)), OPTIONS)
    assert found.config.name == "m"
    assert found.backend is not None and found.backend.name == "doubling"
    assert found.versions == (3,)


def test_a_directory_with_just_a_model_file_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.py").touch()
    found = draft(scan_model(tmp_path / "m"), OPTIONS)
    assert isinstance(found.backend, WorkerBackend)
    assert found.config.backend == "python"


def test_without_auto_completion_a_directory_with_just_a_model_file_has_no_backend(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.py").touch()
    found = draft(scan_model(tmp_path / "m"), replace(OPTIONS, auto_complete=False))
    assert found.backend is None
    assert isinstance(found.problem, InvalidArgumentError)


def test_a_configuration_as_json_goes_before_the_file(tmp_path: Path) -> None:
    given = replace(
        entry(tmp_path, "no such field: 1"), config_json='{"backend": "doubling", "max_batch_size": 3}'
    )
    assert draft(given, OPTIONS).config.max_batch_size == 3


@pytest.mark.parametrize("text", ["x", "[]", "1", '{"foo": 1}', '{"name": "other"}', "[" * 10_000])
def test_json_that_is_no_configuration_of_this_model_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        draft(replace(entry(tmp_path), config_json=text), OPTIONS)


def test_a_problem_that_the_scan_found_is_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the file is odd"):
        draft(ModelEntry("m", tmp_path, problem="the file is odd"), OPTIONS)


def test_a_model_without_versions_is_refused_in_tritons_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        draft(entry(tmp_path, versions=()), OPTIONS)
    assert str(caught.value) == "at least one version must be available under the version policy of model 'm'"


def test_versions_that_are_missing_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = CONFIG + "version_policy { specific { versions: [1, 9] } }"
    with caplog.at_level(logging.WARNING, "tritium.repository"):
        assert draft(entry(tmp_path, config), OPTIONS).versions == (1,)
    assert "version 9 is specified for model 'm'" in caplog.text


def test_an_unknown_backend_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    found = draft(entry(tmp_path, 'backend: "nope"' + TENSORS), OPTIONS)
    assert found.versions == (1,)
    assert "unable to find backend library for backend 'nope'" in str(found.problem)
    assert "onnxruntime, python" in str(found.problem)


def test_an_ensemble_has_no_backend(tmp_path: Path) -> None:
    assert draft(entry(tmp_path, 'platform: "ensemble"' + TENSORS), OPTIONS).backend is None


def test_what_the_configuration_leaves_out_is_read_from_the_model(tmp_path: Path) -> None:
    config = completed(entry(tmp_path, 'backend: "doubling"'))
    assert [(i.name, i.data_type, i.dims) for i in config.input] == [("IN", "TYPE_FP32", (1,))]
    assert config.max_batch_size == 4


def test_the_default_batch_size_is_an_option(tmp_path: Path) -> None:
    assert (
        completed(
            entry(tmp_path, 'backend: "doubling"'), PrepareOptions(default_max_batch_size=7)
        ).max_batch_size
        == 7
    )


def test_completion_says_what_it_makes_of_doubtful_configurations(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "tritium.repository"):
        completed(entry(tmp_path, 'backend: "doubling"'), PrepareOptions(default_max_batch_size=0))
    assert all(record.name == "tritium.repository" for record in caplog.records)


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (CONFIG, PrepareOptions(auto_complete=False)),
        (PYTHON, OPTIONS),
        ('platform: "ensemble"' + TENSORS, OPTIONS),
    ],
    ids=["switched off", "worker", "ensemble"],
)
def test_some_configurations_stay_as_they_were_written(
    tmp_path: Path, config: str, options: PrepareOptions
) -> None:
    found = entry(tmp_path, config)
    drafted = draft(found, options)
    assert complete(found, drafted, options) is drafted.config


def test_a_finished_configuration_is_normalised_and_has_its_labels(tmp_path: Path) -> None:
    found = entry(tmp_path, CONFIG.replace('"OUT"', '"OUT" label_filename: "labels.txt"'))
    (tmp_path / "m" / "labels.txt").write_text("cat\ndog\n")
    prepared = finish(found, completed(found), OPTIONS)
    assert prepared.labels == {"OUT": ("cat", "dog")}
    assert [(group.name, group.count) for group in prepared.config.instance_group] == [("m", 1)]


def test_onnxruntime_gets_two_instances_as_tritons(tmp_path: Path) -> None:
    found = entry(tmp_path, 'backend: "onnxruntime" default_model_filename: "model.onnx"' + TENSORS)
    config = draft(found, replace(OPTIONS, auto_complete=False)).config
    assert finish(found, config, OPTIONS).config.instance_group[0].count == 2


def test_a_group_that_asks_for_a_gpu_falls_back_to_the_cpu_if_told_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = entry(tmp_path, CONFIG + "instance_group { kind: KIND_GPU }")
    with pytest.raises(ConfigError, match="KIND_GPU but no GPUs are available"):
        finish(found, completed(found), OPTIONS)
    with caplog.at_level(logging.WARNING):
        prepared = finish(found, completed(found), replace(OPTIONS, cpu_fallback=True))
    assert [group.kind for group in prepared.config.instance_group] == ["KIND_CPU"]
    assert "served on the CPU, as --cpu-fallback says" in caplog.text


def test_a_model_without_a_configuration_runs_by_what_the_command_line_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = replace(OPTIONS, xrt={"m": "openvino", "other": "tensorrt"})
    (tmp_path / "m" / "1" / "model").mkdir(parents=True)
    config = draft(scan_model(tmp_path / "m"), options).config
    assert config.backend == "oneflow"
    assert config.parameters == {"xrt": ModelParameter("openvino")}
    with caplog.at_level(logging.WARNING):
        config = draft(entry(tmp_path, 'backend: "oneflow"', versions=()), options).config
    assert config.parameters == {}
    assert "--enable-openvino m has no effect, because the model has a configuration" in caplog.text


def test_a_configuration_that_breaks_a_rule_is_refused(tmp_path: Path) -> None:
    found = entry(tmp_path, PYTHON + 'input { name: "A" dims: 1 }')
    with pytest.raises(ConfigError):
        finish(found, draft(found, OPTIONS).config, OPTIONS)


@pytest.mark.parametrize(
    ("backend", "wanted", "other"), [("python", "process", "thread"), ("doubling", "thread", "process")]
)
def test_an_execution_that_the_backend_does_not_have_is_refused(
    tmp_path: Path, backend: str, wanted: str, other: str
) -> None:
    found = entry(tmp_path, f'backend: "{backend}"' + TENSORS)
    drafted: Draft = draft(found, OPTIONS)

    def with_execution(value: str) -> ModelConfig:
        return replace(drafted.config, parameters={"TRITIUM_EXECUTION": ModelParameter(value)})

    def chosen(value: str) -> Draft:
        return choose_engine(found, replace(drafted, config=with_execution(value)), 1)

    assert chosen(wanted).config.backend == backend
    with pytest.raises(ConfigError, match=f"runs by '{wanted}' only; remove the parameter"):
        chosen(other)


def test_write_model_makes_what_these_tests_read(tmp_path: Path) -> None:
    assert scan_model(write_model(tmp_path, "w")).versions == (1,)


@pytest.fixture
def backends(tmp_path: Path) -> PrepareOptions:
    script = tmp_path / "backends" / "mine" / "model.py"
    script.parent.mkdir(parents=True)
    script.write_text("class TritonPythonModel: ...")
    return PrepareOptions(backend_directory=tmp_path / "backends")


@pytest.mark.parametrize("runtime", ["", 'runtime: "model.py"'])
def test_a_python_based_backend_brings_the_file(
    tmp_path: Path, backends: PrepareOptions, runtime: str
) -> None:
    found = draft(entry(tmp_path, f'backend: "mine" {runtime}'), backends)
    assert isinstance(found.backend, WorkerBackend)
    assert found.backend.script == tmp_path / "backends" / "mine" / "model.py"
    assert (found.config.backend, found.config.runtime) == ("mine", "model.py")


@pytest.mark.parametrize("name", ["other", "../backends/mine", ".", "mine/", "/etc"])
def test_a_name_that_is_no_directory_there_is_no_python_based_backend(
    tmp_path: Path, backends: PrepareOptions, name: str
) -> None:
    found = draft(entry(tmp_path, f'backend: "{name}"'), backends)
    assert f"unable to find backend library for backend '{name}'" in str(found.problem)


def test_a_runtime_that_no_backend_has_is_refused_in_tritons_words(
    tmp_path: Path, backends: PrepareOptions
) -> None:
    found = draft(entry(tmp_path, 'backend: "python" runtime: "model.py"'), backends)
    text = "unable to find Python backend based backend library 'model.py' for model 'm', searched: 'python/"
    assert str(found.problem).startswith(text)
