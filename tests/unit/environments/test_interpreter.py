from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

import pytest

from tritium.environments.interpreter import Interpreter, examine, inside
from tritium.errors import TritiumError

WHO = "model 'm': the interpreter"


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def refusal(python: str) -> str:
    with pytest.raises(TritiumError) as caught:
        examine(Interpreter((python,)), WHO, needs_numpy=True, remedy="install it")
    return str(caught.value)


def test_a_good_interpreter_says_what_it_is() -> None:
    facts = examine(Interpreter((sys.executable,)), WHO, needs_numpy=True)
    assert facts.version == sys.version_info[:3]
    assert facts.build == sys.version
    assert facts.numpy is not None


def test_an_old_interpreter_is_named_by_its_version(tmp_path: Path) -> None:
    answer = '{"version": [3, 7, 16], "build": "", "path": ""}'
    assert refusal(program(tmp_path / "python", f"#!/bin/sh\necho '{answer}'")) == (
        f"{WHO} is Python 3.7.16; a worker needs CPython 3.8 or newer"
    )


def test_one_without_numpy_is_told_how_to_get_it(tmp_path: Path) -> None:
    answer = '{"version": [3, 8, 0], "build": "", "path": "", "missing": "numpy"}'
    python = program(tmp_path / "python", f"#!/bin/sh\necho '{answer}'")
    assert refusal(python) == f"{WHO} has no numpy, which a worker needs; install it"


def test_a_broken_one_ends_in_its_last_lines_without_paths(tmp_path: Path) -> None:
    python = program(tmp_path / "python", "#!/bin/sh\necho 'Fatal: no /opt/x/lib.so' >&2; exit 1")
    assert refusal(python) == f"{WHO} does not work:\n  Fatal: no lib.so"


def test_one_that_prints_nonsense_does_not_work(tmp_path: Path) -> None:
    assert refusal(program(tmp_path / "python", "#!/bin/sh\necho 5")) == f"{WHO} does not work"


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + machine.to_bytes(2, "little") + bytes(44)


def test_why_a_program_cannot_start_is_said(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(elf(0xF3))
    foreign.chmod(0o755)
    dangling = tmp_path / "dangling"
    dangling.symlink_to("/nowhere/python3")
    (tmp_path / "text").write_text("x")
    loader = program(tmp_path / "loader", "#!/nowhere/loader\n")
    here = platform.machine()
    assert refusal(str(foreign)) == f"{WHO} is a program for riscv64, and this machine is {here}"
    assert refusal(str(dangling)) == (
        f"{WHO} is a link to '/nowhere/python3', which this machine does not have"
    )
    assert refusal(str(tmp_path / "text")) == f"{WHO} cannot be run: Permission denied"
    assert refusal(str(tmp_path / "missing")) == f"{WHO} does not exist"
    assert refusal(str(tmp_path)) == f"{WHO} is a directory; expected a program"
    assert re.search("its program loader", refusal(loader))


def test_the_variables_are_those_of_activate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("PYTHONHOME", "/server")
    monkeypatch.setenv("PYTHONPATH", "/shared")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    (tmp_path / "conda-meta").mkdir()
    packed = inside(tmp_path, tmp_path / "bin" / "python", libraries=True)
    assert packed.command == (f"{tmp_path}/bin/python",)
    assert packed.environ is not None
    assert packed.environ["PATH"] == f"{tmp_path}/bin{os.pathsep}/usr/bin"
    assert packed.environ["LD_LIBRARY_PATH"] == f"{tmp_path}/lib"
    assert packed.environ["CONDA_PREFIX"] == packed.environ["VIRTUAL_ENV"] == str(tmp_path)
    assert packed.environ["PYTHONPATH"] == "/shared"
    assert "PYTHONHOME" not in packed.environ
    virtual = inside(tmp_path, tmp_path / "bin" / "python", libraries=False)
    assert virtual.environ is not None and "LD_LIBRARY_PATH" not in virtual.environ
