"""What is accepted as a picture, and what is refused before it can do harm."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL", reason='the web application needs the extra "web"')

from fast_neural_style.web.pictures import MAX_BYTES, PictureError, read_picture
from PIL import Image

SIDE = 256


def encoded(picture: Image.Image, form: str, **how: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **how)
    return file.getvalue()


def noise(width: int = 90, height: int = 61, mode: str = "RGB") -> Image.Image:
    levels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(levels).convert(mode)


def png_head(width: int, height: int, *, more: bytes = b"") -> bytes:
    """A PNG that claims a size and holds no more than its head, ``more`` and the beginning of its pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_jpeg_png_and_webp_become_rgb(form: str) -> None:
    read = read_picture(encoded(noise(), form), SIDE)
    assert (read.mode, read.size) == ("RGB", (90, 61))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_every_kind_of_colour_becomes_rgb(mode: str) -> None:
    form = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    assert read_picture(encoded(noise(mode=mode), form), SIDE).mode == "RGB"


def test_sixteen_bits_of_grey_keep_their_brightness() -> None:
    grey = Image.fromarray(np.full((40, 50), 128 * 256, np.uint16))
    assert read_picture(encoded(grey, "PNG"), SIDE).getpixel((5, 5)) == (128, 128, 128)


def test_what_is_transparent_becomes_white() -> None:
    glass = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    assert read_picture(encoded(glass, "PNG"), SIDE).getpixel((9, 9)) == (255, 255, 255)


def test_large_pictures_are_made_smaller_and_small_ones_are_left_alone() -> None:
    assert read_picture(encoded(noise(1000, 500), "JPEG"), SIDE).size == (256, 128)
    assert read_picture(encoded(noise(40, 50), "PNG"), SIDE).size == (40, 50)


def test_a_photo_taken_upright_is_turned_upright() -> None:
    photo = Image.new("RGB", (80, 40), "blue")
    photo.paste("red", (0, 0, 40, 40))  # the left half, which orientation 6 puts on top
    exif = Image.Exif()
    exif[0x0112] = 6
    read = read_picture(encoded(photo, "PNG", exif=exif), SIDE)
    assert read.size == (40, 80)
    assert [read.getpixel((20, y)) for y in (10, 70)] == [(255, 0, 0), (0, 0, 255)]


@pytest.mark.parametrize(
    "junk", [b"Exif\0\0" + b"\xff" * 4000, b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0"]
)
@pytest.mark.filterwarnings("ignore:.*EXIF:UserWarning")
def test_metadata_that_is_junk_is_ignored(junk: bytes) -> None:
    assert read_picture(encoded(noise(), "JPEG", exif=junk), SIDE).size == (90, 61)


def test_nothing_of_the_metadata_stays() -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home, 52.5 N 13.4 E"
    assert b"52.5 N" not in encoded(read_picture(encoded(noise(), "JPEG", exif=exif), SIDE), "JPEG")


@pytest.mark.parametrize("size", [(8000, 5000), (30_000, 30_000), (2**31 - 1, 2**31 - 1), (65_535, 60_000)])
def test_too_many_pixels_are_refused_before_any_is_decoded(size: tuple[int, int]) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PictureError, match=r"at most 36 are accepted") as refusal:
            read_picture(png_head(*size), SIDE)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert refusal.value.kind == "too_large"


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(PictureError, match="larger than 20 MB"):
        read_picture(bytes(MAX_BYTES + 1), SIDE)


def test_text_that_unpacks_to_hundreds_of_megabytes_is_refused() -> None:
    bomb = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb + struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    with pytest.raises(PictureError) as refusal:
        read_picture(png_head(64, 64, more=chunk), SIDE)
    assert refusal.value.kind == "not_a_picture"


@pytest.mark.parametrize(
    "cut", [lambda data: data[: len(data) // 2], lambda data: data[:20], lambda data: data[:-40]]
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_was_cut_off_is_refused(form: str, cut: Callable[[bytes], bytes]) -> None:
    with pytest.raises(PictureError) as refusal:
        read_picture(cut(encoded(noise(300, 200), form)), SIDE)
    assert refusal.value.kind == "not_a_picture"


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"<!doctype html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n",
        b"\0" * 5000,
        b"\x89PNG\r\n\x1a\n",
        encoded(noise(), "GIF"),
        encoded(noise(), "TIFF"),
        encoded(noise(), "BMP"),
    ],
    ids=["svg", "html", "pdf", "postscript", "zeros", "signature", "gif", "tiff", "bmp"],
)
def test_what_is_no_jpeg_png_or_webp_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError) as refusal:
        read_picture(data, SIDE)
    assert refusal.value.kind == "not_a_picture"


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(PictureError, match="empty"):
        read_picture(b"", SIDE)


@pytest.mark.parametrize("size", [(31, 200), (200, 5), (1, 1), (4000, 100)])
def test_what_is_too_small_or_too_thin_to_paint_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match="too small or too thin") as refusal:
        read_picture(encoded(noise(*size), "PNG"), SIDE)
    assert refusal.value.kind == "too_small"
