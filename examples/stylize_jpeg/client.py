"""Have a photo painted in the style of any picture, by the ensemble stylize_jpeg: files in, file out.

    python examples/stylize_jpeg/client.py --content photo.jpg --style painting.jpg

Needs numpy and tritonclient[http]; the pictures are read and written by the server.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

MODEL = "stylize_jpeg"
MINUTES = 5 * 60.0
CAT = Path(__file__).resolve().parent.parent / "fast_neural_style" / "cat.jpg"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 if a painting was saved."""
    options = parse(arguments)
    try:
        with triton.InferenceServerClient(options.url, network_timeout=MINUTES) as client:
            painted = paint(client, options.content.read_bytes(), options.style.read_bytes())
            options.output.write_bytes(painted)
    except (InferenceServerException, OSError) as error:
        print(f"{MODEL} at {options.url} did not paint it: {error}", file=sys.stderr)
        return 1
    print(f"{options.output}: {len(painted) / 1000:.0f} kB")
    return 0


def paint(client: triton.InferenceServerClient, content: bytes, style: bytes) -> bytes:
    """The JPEG of ``content`` in the style of ``style``; both are whole picture files."""
    inputs = []
    for name, file in (("CONTENT", content), ("STYLE", style)):
        tensor = triton.InferInput(name, [1], "BYTES")
        tensor.set_data_from_numpy(np.array([file], object))
        inputs.append(tensor)
    painted: bytes = client.infer(MODEL, inputs).as_numpy("PAINTED")[0]
    return painted


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description="Paint a photo in the style of a picture.")
    parser.add_argument("--content", type=Path, default=CAT, help="the photo")
    parser.add_argument("--style", type=Path, required=True, help="the picture whose style is wanted")
    parser.add_argument("--output", type=Path, default=Path("painted.jpg"))
    parser.add_argument("--url", default="localhost:8000")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
