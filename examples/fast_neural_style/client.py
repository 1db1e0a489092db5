"""Send a photo to the model fast_neural_style and save the painting that comes back.

    python examples/fast_neural_style/client.py --image cat.jpg

Needs pillow, numpy and tritonclient[http]; nothing of the server's.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

MODEL = "fast_neural_style"
CAT = Path(__file__).resolve().parent / "cat.jpg"
MINUTES = 5 * 60.0  # large pictures take their time on small machines


def main() -> int:
    """The command line; 0 if a painting was saved."""
    arguments = parse_arguments()
    watch = Stopwatch()
    pixels = read_pixels(arguments.image, arguments.size)
    height, width = pixels.shape[2:]
    watch.lap(f"read {arguments.image.name}, {width} x {height} pixels")
    try:
        painted = paint(arguments.url, pixels)
    except (InferenceServerException, OSError) as error:
        print(f"{arguments.url} did not paint it: {error}", file=sys.stderr)
        return 1
    watch.lap(f"{MODEL} at {arguments.url} painted it ({pixels.nbytes / 1e6:.1f} MB each way)")
    write_pixels(arguments.output, painted)
    watch.lap(f"wrote {arguments.output}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """What the user asked for."""
    parser = argparse.ArgumentParser(description="Paint a photo with the model fast_neural_style.")
    parser.add_argument("--image", type=Path, default=CAT, help="the photo (default: the cat)")
    parser.add_argument("--url", default="localhost:8000", help="host:port of the server's HTTP endpoint")
    parser.add_argument(
        "--size", type=int, default=1024, help="pixels of the longer side (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=Path("result.jpg"), help="where the painting goes")
    arguments = parser.parse_args()
    if not 16 <= arguments.size <= 4096:
        parser.error(f"--size is {arguments.size} but must be from 16 to 4096 pixels")
    if not arguments.image.is_file():
        parser.error(
            f"--image {arguments.image} is not a file; the cat is made by examples/build_repository.py"
        )
    return arguments


def read_pixels(path: Path, size: int) -> npt.NDArray[np.float32]:
    """The photo with its longer side at ``size`` pixels, as FP32 [1, 3, height, width] of 0..255."""
    with Image.open(path) as file:
        photo = file.convert("RGB")
    scale = size / max(photo.size)
    width, height = (max(16, round(side * scale)) for side in photo.size)
    pixels = np.asarray(photo.resize((width, height), Image.Resampling.LANCZOS), dtype=np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])


def paint(url: str, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """One inference: INPUT_0 in, OUTPUT_0 out."""
    with triton.InferenceServerClient(url, connection_timeout=10.0, network_timeout=MINUTES) as client:
        photo = triton.InferInput("INPUT_0", list(pixels.shape), "FP32")
        photo.set_data_from_numpy(pixels)
        reply = client.infer(MODEL, [photo], outputs=[triton.InferRequestedOutput("OUTPUT_0")])
        painted: npt.NDArray[np.float32] = reply.as_numpy("OUTPUT_0")
        return painted


def write_pixels(path: Path, pixels: npt.NDArray[np.float32]) -> None:
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
