from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tritium.environments import archive
from tritium.environments.archive import ArchiveError, extract

Mode = Literal["w:gz", "w:bz2", "w:xz", "w:"]
Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"x", mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    return info, content


def special(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def packed(path: Path, *members: Member, mode: Mode = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "environment").mkdir()
    return tmp_path


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w:"])
def test_files_links_and_directories_are_unpacked(here: Path, mode: Mode) -> None:
    members = [
        special("./bin", tarfile.DIRTYPE),
        file("bin/python3.10", b"#!x", 0o6755),
        special("bin/python", tarfile.SYMTYPE, "python3.10"),
        special("bin/python3", tarfile.SYMTYPE, "/usr/bin/python3.10"),
        file("lib/libx.so.1", b"library"),
        special("lib/libx.so", tarfile.LNKTYPE, "lib/libx.so.1"),
        special("lib64", tarfile.SYMTYPE, "lib"),
        file("lib/twice", b"old"),
        file("lib/twice", b"new"),
    ]
    directory = here / "environment"
    extract(packed(here / "a.tar", *members, mode=mode), directory)
    assert (directory / "bin/python").read_bytes() == b"#!x"
    assert os.stat(directory / "bin/python3.10").st_mode & 0o7777 == 0o755
    assert os.readlink(directory / "bin/python3") == "/usr/bin/python3.10"
    assert (directory / "lib64/libx.so").read_bytes() == b"library"
    assert (directory / "lib/twice").read_bytes() == b"new"


LEAVING: dict[str, tuple[list[Member], str]] = {
    "upwards": ([file("../evil")], "outside of the environment"),
    "upwards inside": ([file("a/../../evil")], "outside of the environment"),
    "absolute": ([file("/tmp/evil")], "outside of the environment"),
    "absolute link": ([special("lib/x", tarfile.SYMTYPE, "/etc/passwd")], "outside of the environment"),
    "link upwards": ([special("lib/x", tarfile.SYMTYPE, "../../x")], "outside of the environment"),
    "through a link": (
        [special("bin/python", tarfile.SYMTYPE, "/tmp"), file("bin/python/evil")],
        "behind a link",
    ),
    "through a link inside": ([special("a", tarfile.SYMTYPE, "."), file("a/b/c")], "behind a link"),
    "link to a link": (
        [special("bin/python", tarfile.SYMTYPE, "/etc/passwd"), special("x", tarfile.LNKTYPE, "bin/python")],
        "which is no file before it",
    ),
    "hard link outside": ([special("x", tarfile.LNKTYPE, "../x")], "outside of the environment"),
    "hard link absolute": ([special("x", tarfile.LNKTYPE, "/etc/passwd")], "outside of the environment"),
    "device": ([special("null", tarfile.CHRTYPE)], "a device or a pipe"),
    "block device": ([special("disk", tarfile.BLKTYPE)], "a device or a pipe"),
    "pipe": ([special("pipe", tarfile.FIFOTYPE)], "a device or a pipe"),
    "directory replaced": (
        [file("a/b"), special("a", tarfile.SYMTYPE, "c")],
        "a directory and something else",
    ),
}


@pytest.mark.parametrize(("members", "words"), LEAVING.values(), ids=LEAVING)
def test_members_that_would_leave_the_directory_are_refused(
    here: Path, members: list[Member], words: str
) -> None:
    with pytest.raises(ArchiveError, match=words):
        extract(packed(here / "a.tar.gz", *members), here / "environment")
    assert sorted(entry.name for entry in here.iterdir()) == ["a.tar.gz", "environment"]
    assert not Path("/tmp/evil").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def garbage(path: Path) -> None:
    path.write_bytes(b"no archive" * 100)


def empty(path: Path) -> None:
    packed(path)


@pytest.mark.parametrize(
    ("damage", "words"), [(cut, "cannot be read"), (garbage, "cannot be read"), (empty, "is empty")]
)
def test_what_is_no_archive_is_said_to_be_none(
    here: Path, damage: Callable[[Path], None], words: str
) -> None:
    path = packed(here / "a.tar.gz", file("a", os.urandom(5000)))
    damage(path)
    with pytest.raises(ArchiveError, match=words):
        extract(path, here / "environment")


def test_an_archive_of_too_many_bytes_is_refused_before_they_are_written(here: Path) -> None:
    path = packed(here / "a.tar.gz", file("a", bytes(600)), file("b", bytes(600)))
    with pytest.raises(ArchiveError, match="is larger than"):
        extract(path, here / "environment", max_bytes=1000)
    assert not (here / "environment" / "b").exists()


def test_an_archive_of_too_many_members_is_refused(here: Path) -> None:
    path = packed(here / "a.tar.gz", *(file(f"f{i}") for i in range(5)))
    with pytest.raises(ArchiveError, match="more than 4 members"):
        extract(path, here / "environment", max_members=4)


def test_the_program_prints_why_and_fails(here: Path) -> None:
    path = packed(here / "a.tar.gz", file("../evil"))
    argv = [sys.executable, "-I", archive.__file__, str(path), str(here / "environment")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "member '../evil' would be written outside of the environment\n"
