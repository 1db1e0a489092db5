"""Tests for ``tritium_worker.oneflow_stand_ins``: libraries are written, loaded and called."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path

import pytest

from tritium_worker import oneflow_stand_ins as stand_ins

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() != "x86_64", reason="ELF for x86-64"
)


def test_a_library_is_loaded_and_its_functions_answer_an_error(tmp_path: Path) -> None:
    path = tmp_path / "libsomething.so.1"
    names = ["first", "second", "someGetErrorString"]
    path.write_bytes(stand_ins.shared_library("libsomething.so.1", names))
    library = ctypes.CDLL(str(path))
    assert (library.first(), library.second(1, 2)) == (1, 1)
    library.someGetErrorString.restype = ctypes.c_char_p
    assert library.someGetErrorString() == b"none"
    with pytest.raises(AttributeError):
        _ = library.third


def test_every_library_has_a_place_where_the_extension_looks() -> None:
    paths = stand_ins.stand_in_paths("/site")
    assert paths["libcublasLt.so.11"] == "/site/nvidia/cublas/lib/libcublasLt.so.11"
    assert paths["libcudnn_ops_infer.so.8"] == "/site/nvidia/cudnn/lib/libcudnn_ops_infer.so.8"
    assert len(paths) == 6


def test_libraries_that_are_there_are_left_alone(tmp_path: Path) -> None:
    for path in stand_ins.stand_in_paths(str(tmp_path)).values():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(b"real")
    stand_ins.write_stand_ins(str(tmp_path))  # and OneFlow is not looked for
    assert {Path(p).read_bytes() for p in stand_ins.stand_in_paths(str(tmp_path)).values()} == {b"real"}


def test_without_oneflow_there_is_nothing_to_stand_in_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        stand_ins.write_stand_ins(str(tmp_path))
    (tmp_path / "oneflow.libs").mkdir()
    with pytest.raises(FileNotFoundError, match="liboneflow"):
        stand_ins.find_native(str(tmp_path))
