from __future__ import annotations

from pathlib import Path

import pytest

from tritium.config.platforms import complete_backend, fill_platform, version_entries
from tritium.core.model_config import EnsembleScheduling, ModelConfig
from tritium.errors import ConfigError

Filled = tuple[str, str, str]


def words(config: ModelConfig) -> Filled:
    return config.backend, config.platform, config.default_model_filename


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("model.onnx", ("onnxruntime", "onnxruntime_onnx", "model.onnx")),
        ("model.onnx/", ("onnxruntime", "onnxruntime_onnx", "model.onnx")),
        ("model.pt", ("pytorch", "pytorch_libtorch", "model.pt")),
        ("model.pt2", ("pytorch", "torch_aoti", "model.pt2")),
        ("model.plan", ("tensorrt", "tensorrt_plan", "model.plan")),
        ("model.savedmodel/", ("tensorflow", "tensorflow_savedmodel", "model.savedmodel")),
        ("model.graphdef", ("tensorflow", "tensorflow_graphdef", "model.graphdef")),
        ("model.xml", ("openvino", "", "model.xml")),
        ("model.py", ("python", "", "model.py")),
        ("model/model.mlir", ("oneflow", "", "model")),
    ],
)
def test_finds_the_backend_in_the_files(entry: str, expected: Filled) -> None:
    config = complete_backend(ModelConfig(name="m"), {entry, "README.md"})
    assert words(config) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (ModelConfig(platform="onnxruntime_onnx"), ("onnxruntime", "onnxruntime_onnx", "model.onnx")),
        (ModelConfig(platform="libtorch"), ("pytorch", "libtorch", "model.pt")),
        (ModelConfig(platform="torch_aoti"), ("pytorch", "torch_aoti", "model.pt2")),
        (ModelConfig(backend="onnxruntime"), ("onnxruntime", "onnxruntime_onnx", "model.onnx")),
        (ModelConfig(backend="pytorch"), ("pytorch", "pytorch_libtorch", "model.pt")),
        (
            ModelConfig(backend="pytorch", default_model_filename="model.pt2"),
            ("pytorch", "torch_aoti", "model.pt2"),
        ),
        (ModelConfig(backend="oneflow"), ("oneflow", "", "model")),
        (ModelConfig(backend="python", platform="foo"), ("python", "foo", "model.py")),
        (
            ModelConfig(backend="python", default_model_filename="main.py"),
            ("python", "", "main.py"),
        ),
        (ModelConfig(backend="mine"), ("mine", "", "")),
        (ModelConfig(platform="foo_bar"), ("", "foo_bar", "")),
        (ModelConfig(ensemble_scheduling=EnsembleScheduling()), ("", "ensemble", "")),
    ],
)
def test_words_of_the_configuration_name_one_another_and_files_do_not_count(
    given: ModelConfig, expected: Filled
) -> None:
    assert words(fill_platform(given)) == expected
    assert words(complete_backend(given, {"model.plan"})) == expected


def test_a_file_name_alone_names_the_backend() -> None:
    config = complete_backend(ModelConfig(name="m", default_model_filename="model.onnx"), ())
    assert words(config) == ("onnxruntime", "onnxruntime_onnx", "model.onnx")
    other = ModelConfig(name="m", default_model_filename="net.bin")
    assert complete_backend(other, {"model.py"}) == other


def test_a_suffix_of_the_name_is_the_last_resort() -> None:
    assert words(complete_backend(ModelConfig(name="m.python"), ())) == ("python", "", "model.python")


def test_says_what_to_write_when_nothing_tells_the_backend() -> None:
    with pytest.raises(ConfigError) as caught:
        complete_backend(ModelConfig(name="empty"), {"weights.bin"})
    assert str(caught.value).startswith(
        "Invalid model name: Could not determine backend for model 'empty' with no backend in model "
        "configuration. Expected model name of the form 'model.<backend_name>'."
    )
    assert "model.onnx" in str(caught.value)


def test_lists_files_directories_and_markers_of_a_version(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.mlir").touch()
    (tmp_path / "notes.txt").touch()
    assert version_entries(tmp_path) == {"model/", "model/model.mlir", "notes.txt"}
    assert complete_backend(ModelConfig(name="m"), version_entries(tmp_path)).backend == "oneflow"
