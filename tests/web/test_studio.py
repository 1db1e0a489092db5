"""The line of pictures, and how long paintings stay. Nobody paints here: the painter is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from fast_neural_style.web import studio as module
from fast_neural_style.web.pictures import PictureError
from fast_neural_style.web.studio import BusyError, Painting, Studio

LIMIT_S = 60.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), LIMIT_S))


async def finished(studio: Studio, *paintings: Painting) -> None:
    """Return when nothing is left to do for them."""
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(studio.run())
        while any(painting.state in ("waiting", "painting") for painting in paintings):  # noqa: ASYNC110
            await asyncio.sleep(0)  # a turn of the loop; a studio has no use for telling when it is done
        work.cancel()


def test_pictures_wait_in_the_order_in_which_they_came(tmp_path: Path, cat: Path, nobody: str) -> None:
    async def test() -> None:
        studio = Studio(tmp_path, nobody, cat)
        paintings = [await studio.accept(photo(cat), style) for style in range(3)]
        assert [studio.ahead(painting) for painting in paintings] == [0, 1, 2]
        studio.remove(paintings[0])
        assert [studio.ahead(painting) for painting in paintings[1:]] == [0, 1]

    run(test)


def test_when_all_places_are_taken_nothing_more_is_received(tmp_path: Path, cat: Path, nobody: str) -> None:
    async def test() -> None:
        studio = Studio(tmp_path, nobody, cat)
        paintings = [await studio.accept(photo(cat), 0) for _ in range(module.MAX_IN_WORK)]
        with pytest.raises(BusyError):
            await studio.accept(unreceivable, 0)
        studio.remove(paintings[5])
        await studio.accept(photo(cat), 0)
        with pytest.raises(BusyError):
            await studio.accept(unreceivable, 0)

    run(test)


def test_a_picture_that_is_refused_gives_its_place_back_and_leaves_no_file(
    tmp_path: Path, cat: Path, nobody: str
) -> None:
    async def nonsense() -> bytes:
        return b"nonsense"

    async def test() -> None:
        studio = Studio(tmp_path, nobody, cat)
        for _ in range(module.MAX_IN_WORK + 5):
            with pytest.raises(PictureError):
                await studio.accept(nonsense, 0)
        assert files(tmp_path) == []

    run(test)


def test_a_painter_that_is_away_fails_the_painting_and_not_the_studio(
    tmp_path: Path, cat: Path, nobody: str
) -> None:
    async def test() -> None:
        studio = Studio(tmp_path, nobody, cat)
        paintings = [await studio.accept(photo(cat), style) for style in range(2)]
        await finished(studio, *paintings)
        assert [(painting.state, painting.kind) for painting in paintings] == [("failed", "painter_away")] * 2

    run(test)


def test_paintings_are_thrown_away_when_they_have_hung_long_enough(
    tmp_path: Path, cat: Path, nobody: str
) -> None:
    async def test() -> None:
        clock = Clock()
        studio = Studio(tmp_path, nobody, cat, clock=clock)
        painting = await studio.accept(photo(cat), 0)
        await finished(studio, painting)
        clock.now += module.KEPT_S - 1
        studio.sweep()
        assert studio.find(painting.id) is painting
        clock.now += 1
        studio.sweep()
        assert studio.find(painting.id) is None
        assert files(tmp_path) == []

    run(test)


def test_only_so_many_paintings_hang_at_once(
    tmp_path: Path, cat: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)

    async def test() -> None:
        studio = Studio(tmp_path, nobody, cat)
        paintings = [await studio.accept(photo(cat), style) for style in range(4)]
        await finished(studio, *paintings)
        studio.sweep()
        assert [studio.find(painting.id) is not None for painting in paintings] == [False, False, True, True]
        assert len(files(tmp_path)) == 2

    run(test)


def photo(path: Path) -> Callable[[], Coroutine[None, None, bytes]]:
    """Something that gives a picture when it is asked for."""

    data = path.read_bytes()

    async def receive() -> bytes:
        return data

    return receive


def files(folder: Path) -> list[str]:
    """Their names."""
    return [path.name for path in folder.iterdir()]


async def unreceivable() -> bytes:
    raise AssertionError("nothing is received when there is no place")
