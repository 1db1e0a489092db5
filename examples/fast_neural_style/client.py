"""Send a photo to a style model and save the painting that comes back.

    python examples/fast_neural_style/client.py --image cat.jpg
    python examples/fast_neural_style/client.py --image cat.jpg --size 1024

Needs pillow, numpy and tritonclient[http]; nothing of the server's.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

MODEL = "fast_neural_style"  # paints 256 x 256 pixels
MODELS = {256: MODEL, 1024: "fast_neural_style_1024"}
ANY_SIZE_MODEL = "fast_neural_style_onnx"
ANY_SIZE = 1024  # pixels of the longer side, where the model leaves it open
CAT = Path(__file__).resolve().parent / "cat.jpg"
MINUTES = 5 * 60.0  # large pictures take their time on small machines

Pixels = npt.NDArray[np.float32]  # [1, 3, height, width] of 0..255: planes of red, green and blue


class UnfitSizeError(Exception):
    """A --size that the model does not take; the text says what to write."""


def main() -> int:
    """The command line; 0 if a painting was saved."""
    arguments = parse_arguments()
    model = arguments.model
    watch = Stopwatch()
    try:
        with triton.InferenceServerClient(
            arguments.url, connection_timeout=10.0, network_timeout=MINUTES
        ) as client:
            frame = frame_of(client, model)
            photo = read_pixels(arguments.image, longer_side(arguments.size, frame, model))
            height, width = photo.shape[2:]
            sent = mirrored(photo, frame)
            framed = f", mirrored up to {frame[1]} x {frame[0]}" if sent.shape != photo.shape else ""
            watch.lap(f"read {arguments.image.name}, {width} x {height} pixels{framed}")
            painted = paint(client, model, sent)[:, :, :height, :width]
    except UnfitSizeError as error:
        print(error, file=sys.stderr)
        return 1
    except (InferenceServerException, OSError) as error:
        print(f"{model} at {arguments.url} did not paint it: {error}", file=sys.stderr)
        return 1
    watch.lap(f"{model} at {arguments.url} painted it ({sent.nbytes / 1e6:.1f} MB each way)")
    write_pixels(arguments.output, painted)
    watch.lap(f"wrote {arguments.output}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """What the user asked for."""
    parser = argparse.ArgumentParser(description="Paint a photo with a style model.")
    parser.add_argument("--image", type=Path, default=CAT, help="the photo (default: the cat)")
    parser.add_argument("--url", default="localhost:8000", help="host:port of the server's HTTP endpoint")
    parser.add_argument("--model", help=f"(default: {MODEL}, or with --size the one that paints that size)")
    parser.add_argument(
        "--size", type=int, help="pixels of the painting's longer side (default: what the model takes)"
    )
    parser.add_argument("--output", type=Path, default=Path("result.jpg"), help="where the painting goes")
    arguments = parser.parse_args()
    if arguments.size is not None and not 16 <= arguments.size <= 4096:
        parser.error(f"--size is {arguments.size} but must be from 16 to 4096 pixels")
    if not arguments.image.is_file():
        parser.error(
            f"--image {arguments.image} is not a file; the cat is made by examples/build_repository.py"
        )
    if arguments.model is None:
        arguments.model = MODEL if arguments.size is None else MODELS.get(arguments.size, ANY_SIZE_MODEL)
    return arguments


def frame_of(client: triton.InferenceServerClient, model: str) -> Sequence[int]:
    """Height and width of the pictures that the model takes; -1 where it takes any."""
    metadata = client.get_model_metadata(model)
    shapes = {tensor["name"]: tensor["shape"] for tensor in metadata["inputs"]}
    sides: list[int] = shapes["INPUT_0"][-2:]
    return sides


def longer_side(size: int | None, frame: Sequence[int], model: str) -> int:
    """Pixels of the photo's longer side, so that it fits into the model's frame.

    Raises:
        UnfitSizeError: another ``size`` was asked for.
    """
    if -1 in frame:
        return size or ANY_SIZE
    if size not in (None, min(frame)):
        raise UnfitSizeError(
            f"--size {size}: {model} paints pictures of {frame[1]} x {frame[0]} pixels; leave --size out, or "
            f"leave --model out for {ANY_SIZE_MODEL}, which paints any size"
        )
    return min(frame)


def read_pixels(path: Path, size: int) -> Pixels:
    """The photo with its longer side at ``size`` pixels."""
    with Image.open(path) as file:
        photo = file.convert("RGB")
    scale = size / max(photo.size)
    width, height = (max(16, round(side * scale)) for side in photo.size)
    pixels = np.asarray(photo.resize((width, height), Image.Resampling.LANCZOS), dtype=np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])


def mirrored(photo: Pixels, frame: Sequence[int]) -> Pixels:
    """The photo with its mirror image below and at its right, up to the model's frame.

    So it keeps its proportions, and the painter finds nothing beside it that is not in the photo.
    """
    if -1 in frame:
        return photo
    missing = [(0, side - length) for side, length in zip(frame, photo.shape[2:], strict=True)]
    return np.pad(photo, [(0, 0), (0, 0), *missing], mode="symmetric")


def paint(client: triton.InferenceServerClient, model: str, pixels: Pixels) -> Pixels:
    """One inference: INPUT_0 in, OUTPUT_0 out."""
    photo = triton.InferInput("INPUT_0", list(pixels.shape), "FP32")
    photo.set_data_from_numpy(pixels)
    reply = client.infer(model, [photo], outputs=[triton.InferRequestedOutput("OUTPUT_0")])
    painted: Pixels = reply.as_numpy("OUTPUT_0")
    return painted


def write_pixels(path: Path, pixels: Pixels) -> None:
    """The inverse of ``read_pixels``."""
    levels = np.clip(np.rint(pixels[0]), 0, 255).astype(np.uint8)
    Image.fromarray(levels.transpose(1, 2, 0)).save(path, quality=90)


class Stopwatch:
    """Prints what was done and how long it took since the line before."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self, what: str) -> None:
        """Print ``what`` and the milliseconds it took."""
        now = time.perf_counter()
        print(f"{(now - self._last) * 1000:7.0f} ms  {what}", flush=True)
        self._last = now


if __name__ == "__main__":
    sys.exit(main())
