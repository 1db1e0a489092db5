"""Environments on disk, each made once, whoever needs it first.

An environment holds its own path (in the first lines of its programs, and in what conda-unpack writes), so it
is made where it will stay. ``complete`` is written last; without it nobody uses the directory, and whoever
holds the lock removes it. A process that is still writing keeps the lock, also when its server is gone.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tritium.environments.steps import Job, TimeLimit
from tritium.errors import UnavailableError

logger = logging.getLogger("tritium.environments")

_COMPLETE = "complete"
_LOCK_SUFFIX = ".lock"
_LOCK_POLL_S = 0.2
_ADVICE = "choose another place by --backend-config=python,environments=DIR"

Build = Callable[[Path, Job], None]
"""Makes an environment in an empty directory. Raises TritiumError."""


class EnvironmentCache:
    """The environments of one directory.

    Args:
        root: made when it is first needed; None for the user's cache directory.
    """

    def __init__(self, root: Path | None, environ: Mapping[str, str] = os.environ) -> None:
        self._chosen = root
        self._environ = environ

    def obtain(self, key: str, title: str, limit_s: float, build: Build) -> Path:
        """The environment ``key``, built by ``build`` where it is not there yet. Blocks.

        Args:
            title: for whom, as in "environment of model 'm'".

        Raises:
            TritiumError: it cannot be built, or there is no place for it.
        """
        place = self._root() / key
        if _usable(place):
            return place
        job = Job(title, TimeLimit(limit_s))
        try:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep(place.parent)
            with _locked(_lock_path(place), job) as fd:
                if not _usable(place):
                    self._build(place, Job(title, job.limit, fd), build)
        except OSError as error:
            what = error.strerror or type(error).__name__
            raise UnavailableError(
                f"{title}: the cache of environments cannot be used: {what}; {_ADVICE}"
            ) from (error)
        return place

    def _root(self) -> Path:
        if self._chosen is not None:
            return self._chosen
        cache = self._environ.get("XDG_CACHE_HOME", "")
        if os.path.isabs(cache):
            return Path(cache) / "tritium" / "environments"
        try:
            return Path.home() / ".cache" / "tritium" / "environments"
        except RuntimeError:
            raise UnavailableError(
                "there is no place for the environments of models: this user has no home directory; set "
                f"XDG_CACHE_HOME, or {_ADVICE}"
            ) from None

    @staticmethod
    def _build(place: Path, job: Job, build: Build) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        try:
            build(place, job)
            (place / _COMPLETE).touch()
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    @staticmethod
    def _sweep(root: Path) -> None:
        """Remove what servers left half made that have ended since."""
        for place in root.iterdir():
            if place.is_dir() and not (place / _COMPLETE).exists():
                with _try_lock(_lock_path(place)) as fd:
                    if fd is not None and not (place / _COMPLETE).exists():
                        logger.info("removing '%s', an environment that was never finished", place.name)
                        shutil.rmtree(place, ignore_errors=True)


def python_of(environment: Path) -> Path | None:
    """The interpreter of an environment, if it has one."""
    for name in ("python", "python3"):
        python = environment / "bin" / name
        if python.is_file() and os.access(python, os.X_OK):
            return python
    return None


def _usable(place: Path) -> bool:
    """Complete, and the interpreter that it was made of is still there."""
    return (place / _COMPLETE).exists() and python_of(place) is not None


def _lock_path(place: Path) -> Path:
    return place.with_name(place.name + _LOCK_SUFFIX)


@contextmanager
def _try_lock(path: Path) -> Iterator[int | None]:
    """The locked descriptor, or None where another holds the lock."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            yield None
            return
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _locked(path: Path, job: Job) -> Iterator[int]:
    pause = threading.Event()
    told = False
    while True:
        with _try_lock(path) as fd:
            if fd is not None:
                yield fd
                return
        if job.limit.left_s() <= 0:
            raise UnavailableError(
                f"{job.title}: another server or model has been making the same one for "
                f"{job.limit.seconds:g} s; allow more by --backend-config=python,install-timeout-secs=SECONDS"
            )
        if not told:
            told = True
            logger.info("%s: waiting for another that makes the same one", job.title)
        pause.wait(_LOCK_POLL_S)
