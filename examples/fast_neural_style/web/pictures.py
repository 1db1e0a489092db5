"""Pictures that strangers send: what is accepted, and how one becomes pixels without harm.

Nothing is decoded before its size is known from its head, and only three decoders are ever tried, whatever a
file says that it is.
"""

from __future__ import annotations

import io

from PIL import Image, ImageOps

MAX_BYTES = 20_000_000
MAX_PIXELS = 36_000_000
MIN_SIDE = 32  # pixels, also of what is painted: the network mirrors the borders
MAX_ENLARGEMENT = 3.0
FORMATS = ("JPEG", "PNG", "WEBP")
TYPES = ("image/jpeg", "image/png", "image/webp")
_WHITE = (255, 255, 255, 255)


class PictureError(Exception):
    """A picture that is not accepted; the text is for the person who sent it.

    Attributes:
        kind: a word for programs: "empty", "too_large", "too_small" or "not_a_picture".
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def read_picture(data: bytes, longer_side: int) -> Image.Image:
    """RGB, the right way up, no side longer than ``longer_side`` pixels; smaller pictures keep their size.

    Raises:
        PictureError: it is not a whole JPEG, PNG or WebP picture, or not of an acceptable size.
    """
    if not data:
        raise PictureError("empty", "The file is empty. Choose another picture.")
    if len(data) > MAX_BYTES:
        raise PictureError("too_large", too_many_bytes())
    try:
        return _decode(data, longer_side)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("too_large", _too_many_pixels("far too many")) from error
    except Exception as error:  # decoders raise whatever a broken file provokes; no file may do harm
        raise PictureError(
            "not_a_picture", "This is not a whole JPEG, PNG or WebP picture. It may be damaged or cut off."
        ) from error


def painting_size(size: tuple[int, int], longer_side: int) -> tuple[int, int]:
    """Width and height of what is painted of a picture: strokes are finer on one that was enlarged first."""
    scale = min(longer_side / max(size), MAX_ENLARGEMENT)
    width, height = (max(MIN_SIDE, round(side * scale)) for side in size)
    return width, height


def too_many_bytes() -> str:
    """What to tell somebody whose file is over the limit."""
    return f"The file is larger than {MAX_BYTES // 1_000_000} MB. Choose a smaller picture."


def _too_many_pixels(how_many: str) -> str:
    return (
        f"The picture has {how_many} megapixels; at most {MAX_PIXELS // 1_000_000} are accepted. "
        "Make it smaller and try again."
    )


def _decode(data: bytes, longer_side: int) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        _check_size(picture.size, longer_side)
        picture.draft("RGB", (longer_side, longer_side))  # a JPEG is decoded at a fraction of its size
        picture.load()
        try:
            upright = ImageOps.exif_transpose(picture)
        except Exception:  # metadata that cannot be read turns nothing
            upright = picture.copy()
    coloured = _to_colours(upright)
    coloured.thumbnail((longer_side, longer_side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if coloured.mode != "RGBA":
        return coloured
    return Image.alpha_composite(Image.new("RGBA", coloured.size, _WHITE), coloured).convert("RGB")


def _to_colours(picture: Image.Image) -> Image.Image:
    """RGBA if any of it may be transparent, else RGB."""
    if picture.mode.startswith("I"):  # 16 bits of grey
        return picture.convert("I").point(lambda level: level / 256).convert("L").convert("RGB")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _check_size(size: tuple[int, int], longer_side: int) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise PictureError("too_large", _too_many_pixels(f"{width * height / 1e6:.0f}"))
    shorter_side = min(width, height) * min(1.0, longer_side / max(width, height))
    if shorter_side < MIN_SIDE:
        raise PictureError(
            "too_small",
            f"The picture is {width} x {height} pixels: too small or too thin to paint. "
            f"With the longer side at {longer_side} or less, the shorter one must have {MIN_SIDE} or more.",
        )
