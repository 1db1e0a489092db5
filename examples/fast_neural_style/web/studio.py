"""The studio: pictures wait in line, are painted one at a time, hang for a while and are thrown away.

One event loop owns all of it; decoding and painting have a thread each. Files live in one directory that the
owner removes; their names are random and are never shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from fast_neural_style.web.infer import LONGER_SIDE, PainterError, stylize
from fast_neural_style.web.pictures import PictureError, painting_size, read_picture
from PIL import Image

MAX_IN_WORK = 16  # being received, waiting or painted: 16 uploads of 20 MB fit into any machine's memory
MAX_KEPT = 100
KEPT_S = 15 * 60.0
SWEEP_S = 30.0
THUMBNAIL_SIDE, THUMBNAIL_S = 240, 15.0
_CAT_FACE = (105, 0, 405, 300)  # left, top, right, bottom of the example picture

State = Literal["waiting", "painting", "done", "failed"]
Clock = Callable[[], float]


class BusyError(Exception):
    """No room for another picture now."""


@dataclass
class Painting:
    """One picture on its way; times in seconds of the studio's clock."""

    id: str
    style: int
    photo: Path
    result: Path
    pixels: int  # of the painting
    state: State = "waiting"
    kind: str = ""
    error: str = ""
    began: float = 0.0
    ended: float = 0.0
    unwanted: bool = False


class Studio:
    """Pictures in work and paintings to be fetched. ``run`` must run for anything to be painted.

    Args:
        folder: a directory of its own for files; the owner removes it.
        url: host:port of the inference server.
        example: the picture that the thumbnails show.
    """

    def __init__(self, folder: Path, url: str, example: Path, *, clock: Clock = time.monotonic) -> None:
        self._folder = folder
        self._url = url
        self._example = example
        self._clock = clock
        self._paintings: dict[str, Painting] = {}  # the oldest first
        self._queue: asyncio.Queue[Painting] = asyncio.Queue()
        self._in_work = 0
        self._seconds_per_pixel: float | None = None
        self._reader = ThreadPoolExecutor(1, "reader")
        self._painter = ThreadPoolExecutor(1, "painter")

    async def run(self) -> None:
        """Paint what comes, in order, until cancelled."""
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await self._paint(await asyncio.wait_for(self._queue.get(), SWEEP_S))
                self.sweep()
        finally:
            self._reader.shutdown(wait=False, cancel_futures=True)
            self._painter.shutdown(wait=False, cancel_futures=True)

    async def accept(self, receive: Callable[[], Awaitable[bytes]], style: int) -> Painting:
        """Receive a picture, check it and put it in line.

        Raises:
            BusyError: too many are in work; nothing was received.
            PictureError: it is not accepted.
        """
        if self._in_work >= MAX_IN_WORK:
            raise BusyError
        self._in_work += 1
        name = secrets.token_urlsafe(16)
        photo = self._folder / f"{name}.photo.jpg"
        try:
            data = await receive()
            keep = partial(_keep_photo, data, photo)
            width, height = await asyncio.get_running_loop().run_in_executor(self._reader, keep)
        except BaseException:
            self._in_work -= 1
            raise
        painting = Painting(name, style, photo, self._folder / f"{name}.jpg", width * height)
        self._paintings[name] = painting
        self._queue.put_nowait(painting)
        return painting

    def find(self, name: str) -> Painting | None:
        """The painting of that name, if it is still there."""
        return self._paintings.get(name)

    def ahead(self, painting: Painting) -> int:
        """How many pictures will be finished before this one begins."""
        count = 0
        for other in self._paintings.values():
            if other is painting:
                break
            count += other.state in ("waiting", "painting")
        return count

    def seconds(self, painting: Painting) -> tuple[float, float | None]:
        """How long it has been painted, and how long that takes in all if that can be guessed yet."""
        end = painting.ended or self._clock()
        elapsed = end - painting.began if painting.began else 0.0
        rate = self._seconds_per_pixel
        return elapsed, None if rate is None else rate * painting.pixels

    def remove(self, painting: Painting) -> None:
        """Throw it away; one that waits is not painted, one that is being painted goes when it is done."""
        painting.unwanted = True
        if painting.state != "painting":
            self._discard(painting)

    def sweep(self) -> None:
        """Throw away paintings that have hung for long enough, and the oldest if there are too many."""
        finished = [p for p in self._paintings.values() if p.state in ("done", "failed")]
        surplus = len(finished) - MAX_KEPT
        for index, painting in enumerate(finished):
            if index < surplus or painting.unwanted or self._clock() - painting.ended >= KEPT_S:
                self._discard(painting)

    async def thumbnail(self, style: int) -> Path:
        """The example in one style, painted when it is first asked for.

        Raises:
            PainterError: it could not be painted now.
        """
        path = self._folder / f"style-{style}.jpg"
        if not path.exists():
            paint = partial(_paint_thumbnail, self._example, path, style, self._url)
            await asyncio.get_running_loop().run_in_executor(self._painter, paint)
        return path

    async def _paint(self, painting: Painting) -> None:
        if painting.id not in self._paintings:
            return
        painting.state, painting.began = "painting", self._clock()
        paint = partial(stylize, painting.photo, painting.result, style=painting.style, url=self._url)
        try:
            await asyncio.get_running_loop().run_in_executor(self._painter, paint)
            painting.state = "done"
            self._learn((self._clock() - painting.began) / painting.pixels)
        except (PainterError, PictureError) as error:
            painting.state, painting.kind, painting.error = "failed", error.kind, str(error)
        except Exception as error:  # one picture's bad luck must not end the studio
            print(f"painting failed: {error!r}", flush=True)
            painting.state, painting.kind, painting.error = (
                "failed",
                "painter_failed",
                "Something went wrong here.",
            )
        finally:
            painting.ended = self._clock()
            self._in_work -= 1

    def _learn(self, rate: float) -> None:
        known = self._seconds_per_pixel
        self._seconds_per_pixel = rate if known is None else 0.7 * known + 0.3 * rate

    def _discard(self, painting: Painting) -> None:
        if painting.state == "waiting":
            self._in_work -= 1
        del self._paintings[painting.id]
        painting.photo.unlink(missing_ok=True)
        painting.result.unlink(missing_ok=True)


def _keep_photo(data: bytes, path: Path) -> tuple[int, int]:
    """Write the checked picture, without any of its metadata: width and height of its painting."""
    photo = read_picture(data, LONGER_SIDE)
    photo.save(path, quality=95)
    return painting_size(photo.size, LONGER_SIDE)


def _paint_thumbnail(example: Path, path: Path, style: int, url: str) -> None:
    if path.exists():
        return
    crop, painted = path.with_suffix(".crop.png"), path.with_suffix(".new.jpg")
    with Image.open(example) as photo:
        photo.crop(_CAT_FACE).resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS).save(crop)
    try:
        stylize(crop, painted, style=style, url=url, longer_side=THUMBNAIL_SIDE, timeout_s=THUMBNAIL_S)
        painted.replace(path)
    finally:
        crop.unlink(missing_ok=True)
        painted.unlink(missing_ok=True)
