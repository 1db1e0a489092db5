from __future__ import annotations

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tritium.environments.cache import EnvironmentCache, python_of
from tritium.environments.steps import Job
from tritium.errors import InternalError, UnavailableError

LIMIT_S = 20.0


def make(place: Path, job: Job) -> None:
    (place / "bin").mkdir()
    (place / "bin" / "python").touch(0o755)


def never(place: Path, job: Job) -> None:
    raise AssertionError("it was there already")


def test_an_environment_is_made_once_and_found_again(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path / "a" / "cache")
    place = cache.obtain("key", "environment", LIMIT_S, make)
    assert cache.obtain("key", "environment", LIMIT_S, never) == place
    assert python_of(place) == place / "bin" / "python"
    assert (tmp_path / "a" / "cache").stat().st_mode & 0o777 == 0o700


def test_many_at_once_make_it_once(tmp_path: Path) -> None:
    made, entered, go = list[Path](), threading.Event(), threading.Event()

    def slow(place: Path, job: Job) -> None:
        made.append(place)
        entered.set()
        go.wait(LIMIT_S)
        make(place, job)

    def obtain() -> Path:
        return EnvironmentCache(tmp_path).obtain("key", "environment", LIMIT_S, slow)

    with ThreadPoolExecutor(4) as threads:
        try:
            results = [threads.submit(obtain) for _ in range(4)]
            assert entered.wait(LIMIT_S)
        finally:
            go.set()
        assert len({result.result(LIMIT_S) for result in results}) == 1
    assert len(made) == 1


def test_what_fails_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def fails(place: Path, job: Job) -> None:
        (place / "half").write_text("made")
        raise InternalError("no such package")

    cache = EnvironmentCache(tmp_path)
    with pytest.raises(InternalError, match="no such package"):
        cache.obtain("key", "environment", LIMIT_S, fails)
    assert not (tmp_path / "key").exists()
    assert (cache.obtain("key", "environment", LIMIT_S, make) / "complete").is_file()


def test_one_whose_interpreter_is_gone_is_made_anew(tmp_path: Path) -> None:
    cache = EnvironmentCache(tmp_path)
    place = cache.obtain("key", "environment", LIMIT_S, make)
    (place / "bin" / "python").unlink()
    assert python_of(cache.obtain("key", "environment", LIMIT_S, make)) is not None


def test_half_made_ones_are_removed_unless_somebody_still_makes_them(tmp_path: Path) -> None:
    for name in ("left", "busy"):
        (tmp_path / name).mkdir()
    fd = os.open(tmp_path / "busy.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        EnvironmentCache(tmp_path).obtain("key", "environment", LIMIT_S, make)
    finally:
        os.close(fd)
    assert not (tmp_path / "left").exists()
    assert (tmp_path / "busy").exists()


def test_waiting_for_another_ends(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "key.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(UnavailableError, match=r"another server or model .* for 0 s; allow more by"):
            EnvironmentCache(tmp_path).obtain("key", "environment", 0.0, never)
    finally:
        os.close(fd)


def test_the_place_is_that_of_the_users_cache(tmp_path: Path) -> None:
    cache = EnvironmentCache(None, {"XDG_CACHE_HOME": str(tmp_path)})
    assert cache.obtain("key", "environment", LIMIT_S, make) == tmp_path / "tritium" / "environments" / "key"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UnavailableError, match="set XDG_CACHE_HOME, or choose another place by"):
        EnvironmentCache(None, {}).obtain("key", "environment", LIMIT_S, never)


def test_a_place_that_cannot_be_written_is_named_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="cannot be used: Not a directory; choose another place"):
        EnvironmentCache(tmp_path / "file" / "cache").obtain("key", "environment", LIMIT_S, never)
