"""Unpacks an environment that conda-pack or venv-pack packed; a program of its own.

``python -I archive.py ARCHIVE DIRECTORY``: a process of its own keeps long decompression away
from the server, and its memory limit is this file's own. Nothing is ever written through a link, so what
leaves the directory can only be a link that is there to be read; of those only ``bin/python*`` may point
out, as in virtual environments.
"""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
import tarfile
from pathlib import Path, PurePosixPath

MAX_BYTES = 64 << 30  # the largest environments known (CUDA, several frameworks) are a quarter of it
MAX_MEMBERS = 1_000_000  # a kilobyte of memory each
_MEMORY_BYTES = 2 << 30
_FREE_BYTES = 64 << 20  # left on the disk
_COPY_BYTES = 1 << 20
_SPACE_EVERY = 512  # members


class ArchiveError(Exception):
    """The archive cannot, or must not, be unpacked."""


def extract(
    archive: Path, directory: Path, *, max_bytes: int = MAX_BYTES, max_members: int = MAX_MEMBERS
) -> None:
    """Unpack ``archive``, of any compression that tarfile knows, into the empty ``directory``.

    Raises:
        ArchiveError: it is no archive, damaged, too large, or has a member that would leave the directory.
        OSError: the disk.
    """
    unpacking = _Unpacking(directory, max_bytes)
    count = 0
    try:
        with tarfile.open(archive, "r:*") as tar:
            while (member := tar.next()) is not None:
                count += 1
                if count > max_members:
                    raise ArchiveError(f"it has more than {max_members} members")
                if count % _SPACE_EVERY == 0:
                    _check_space(directory)
                unpacking.take(tar, member)
    except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
        raise ArchiveError(f"it cannot be read as a tar archive: {error}") from error
    if not count:
        raise ArchiveError("it is empty")


class _Unpacking:
    """One archive while it is unpacked."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._left_bytes = self._max_bytes = max_bytes
        self._directories: set[PurePosixPath] = {PurePosixPath(".")}
        self._files: set[PurePosixPath] = set()

    def take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Write one member."""
        name = _safe_name(member.name)
        if name == PurePosixPath("."):
            return
        if member.isdir():
            self._make_directory(name)
            return
        self._make_directory(name.parent)
        path = self._directory / name
        if name in self._directories:
            raise ArchiveError(f"member '{name}' is a directory and something else")
        path.unlink(missing_ok=True)  # an archive may hold a name twice; the last counts
        self._files.discard(name)
        if member.issym():
            _check_link(name, member.linkname)
            path.symlink_to(member.linkname)
        elif member.islnk():
            self._link(name, _safe_name(member.linkname))
        elif member.isreg():
            self._write(tar, member, path)
            self._files.add(name)
        else:
            raise ArchiveError(f"member '{name}' is a device or a pipe")

    def _make_directory(self, name: PurePosixPath) -> None:
        if name in self._directories:
            return
        self._make_directory(name.parent)
        try:
            (self._directory / name).mkdir(mode=0o755)
        except FileExistsError:
            raise ArchiveError(
                f"member '{name}' is a directory and something else, or behind a link"
            ) from None
        self._directories.add(name)

    def _link(self, name: PurePosixPath, target: PurePosixPath) -> None:
        if target not in self._files:
            raise ArchiveError(f"member '{name}' is a link to '{target}', which is no file before it")
        os.link(self._directory / target, self._directory / name, follow_symlinks=False)
        self._files.add(name)

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        self._left_bytes -= member.size
        if self._left_bytes < 0:
            raise ArchiveError(f"it is larger than {self._max_bytes >> 20} MB when unpacked")
        source = tar.extractfile(member)
        assert source is not None
        mode = 0o755 if member.mode & stat.S_IXUSR else 0o644
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(fd, "wb") as file:
            shutil.copyfileobj(source, file, _COPY_BYTES)


def _safe_name(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ArchiveError(f"member {name!r} would be written outside of the environment")
    return path


def _check_link(name: PurePosixPath, target: str) -> None:
    """A symbolic link stays inside, but for interpreters."""
    inside = os.path.normpath(name.parent / target)
    if not os.path.isabs(target) and inside != ".." and not inside.startswith("../"):
        return
    if len(name.parts) == 2 and name.parts[0] == "bin" and name.name.startswith("python"):
        return
    raise ArchiveError(f"member '{name}' is a link to '{target}', which is outside of the environment")


def _check_space(directory: Path) -> None:
    if shutil.disk_usage(directory).free < _FREE_BYTES:
        raise ArchiveError("the disk is full")


def main() -> int:
    """See the module's first lines; the exit status."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        extract(Path(sys.argv[1]), Path(sys.argv[2]))
    except ArchiveError as error:
        sys.stdout.write(f"{error}\n")
    except OSError as error:
        sys.stdout.write(f"it cannot be unpacked: {error.strerror or type(error).__name__}\n")
    except MemoryError:
        sys.stdout.write("it takes too much memory to unpack\n")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
