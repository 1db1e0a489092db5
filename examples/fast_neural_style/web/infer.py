"""Paint a picture in one of the 26 styles of the served model ``multi_style``, by Triton's HTTP protocol.

stylize("cat.jpg", "painting.jpg", style=5)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tritonclient.http as triton
from fast_neural_style.web.pictures import painting_size, read_picture
from PIL import Image
from tritonclient.utils import InferenceServerException

MODEL = "multi_style"
NUM_STYLES = 26
DEFAULT_STYLE = 5
STRIDE = 4  # the network halves the image twice, so it wants sides that are multiples of this
LONGER_SIDE = 1024  # pixels: 0.9 GB of memory while such a square is painted
CONNECT_S, ANSWER_S = 5.0, 60.0

Pixels = npt.NDArray[np.float32]


class PainterError(Exception):
    """The model did not paint; the text says why, without addresses or paths.

    Attributes:
        kind: a word for programs: "painter_away", "painter_busy" or "painter_failed".
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def stylize(
    content_path: str | Path,
    output_path: str | Path,
    *,
    style: int = DEFAULT_STYLE,
    url: str = "localhost:8000",
    longer_side: int = LONGER_SIDE,
    timeout_s: float = ANSWER_S,
) -> None:
    """Paint the picture at ``content_path`` into ``output_path``; its suffix names the format.

    Args:
        style: 0 to 25.
        url: host:port of the server's HTTP endpoint, without a scheme.
        longer_side: pixels of the painting; pictures are made smaller or enlarged first, at most threefold.
        timeout_s: how long the server may take.

    Raises:
        ValueError: there is no such style.
        PictureError: the content is not a picture that can be painted.
        PainterError: the server is away, busy or could not paint it.
    """
    if not 0 <= style < NUM_STYLES:
        raise ValueError(f"style is {style} but must be from 0 to {NUM_STYLES - 1}")
    photo = read_picture(Path(content_path).read_bytes(), longer_side)
    width, height = painting_size(photo.size, longer_side)
    photo = photo.resize((width, height), Image.Resampling.LANCZOS)
    painted = _infer(url, _to_pixels(photo), style, timeout_s)
    _to_picture(painted, width, height).save(output_path, quality=92)


def is_ready(url: str) -> bool:
    """Whether the server answers and has the model ready."""
    try:
        with triton.InferenceServerClient(url, connection_timeout=2.0, network_timeout=5.0) as client:
            return bool(client.is_model_ready(MODEL))
    except (InferenceServerException, OSError, ValueError):
        return False


def _infer(url: str, image: Pixels, style: int, timeout_s: float) -> Pixels:
    weights = np.zeros(NUM_STYLES, dtype=np.float32)
    weights[style] = 1
    inputs = [_tensor("image", image), _tensor("style_weights", weights)]
    outputs = [triton.InferRequestedOutput("stylized")]
    try:
        with triton.InferenceServerClient(
            url, connection_timeout=CONNECT_S, network_timeout=timeout_s
        ) as client:
            painted: Pixels | None = client.infer(MODEL, inputs, outputs=outputs).as_numpy("stylized")
    except InferenceServerException as error:
        raise _refused(error) from error
    except (OSError, ValueError) as error:  # ValueError: what answers there does not speak HTTP
        raise PainterError(
            "painter_away", "The painting server does not answer. Is tritium running?"
        ) from error
    if painted is None or painted.shape != image.shape:
        raise PainterError("painter_failed", "The painting server sent something that is not the painting.")
    return painted


def _refused(error: InferenceServerException) -> PainterError:
    status = str(error.status())
    if status in ("404", "400") and "not found" in str(error):
        return PainterError("painter_failed", f"The server that answers has no model '{MODEL}'.")
    if status in ("429", "503"):
        return PainterError("painter_busy", "The painting server is busy or starting. Try again in a moment.")
    if status == "499" or "timed out" in str(error).lower():
        return PainterError("painter_busy", "The painting server took too long. Try again in a moment.")
    return PainterError("painter_failed", "The painting server could not paint this picture.")


def _tensor(name: str, array: Pixels) -> triton.InferInput:
    tensor = triton.InferInput(name, list(array.shape), "FP32")
    tensor.set_data_from_numpy(array)
    return tensor


def _to_pixels(photo: Image.Image) -> Pixels:
    """FP32 [1, 3, height, width] of 0..1; both sides are mirrored up to multiples of the stride."""
    rows = np.asarray(photo, dtype=np.float32) / np.float32(255)
    height, width = rows.shape[:2]
    padded = np.pad(rows, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="reflect")
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[np.newaxis])


def _to_picture(pixels: Pixels, width: int, height: int) -> Image.Image:
    levels = np.clip(np.rint(pixels[0, :, :height, :width] * 255), 0, 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))
