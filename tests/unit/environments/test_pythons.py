"""Tests for ``tritium.environments.pythons``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.environments.fakes import write_python
from tritium.environments import pythons
from tritium.environments.pythons import NoPythonError, find_python, python_problem


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "_DIRECTORIES", ())


def test_path_goes_first_and_then_the_newest_of_a_version_manager(tmp_path: Path) -> None:
    for version in ("3.10.4", "3.10.9"):
        write_python(tmp_path / f".pyenv/versions/{version}/bin/python3.10", "echo 3.10")
    found = find_python("3.10", environ={"PATH": ""}, home=tmp_path)
    assert found == tmp_path / ".pyenv/versions/3.10.9/bin/python3.10"
    first = write_python(tmp_path / "bin" / "python3.10", "echo 3.10")
    assert find_python("3.10", environ={"PATH": str(tmp_path / "bin")}, home=tmp_path) == first


def test_one_that_cannot_make_environments_is_passed_over_and_named(tmp_path: Path) -> None:
    broken = write_python(tmp_path / "bin" / "python3.10", "echo No module named ensurepip >&2; exit 1")
    with pytest.raises(NoPythonError, match=r"cannot make environments: install python3\.10-venv"):
        find_python("3.10", environ={"PATH": str(broken.parent)}, home=tmp_path)
    good = write_python(tmp_path / "pyenv/versions/3.10.1/bin/python3.10", "echo 3.10")
    environ = {"PATH": str(broken.parent), "PYENV_ROOT": str(tmp_path / "pyenv")}
    assert find_python("3.10", environ=environ, home=tmp_path) == good


def test_nothing_at_all_is_said_too(tmp_path: Path) -> None:
    with pytest.raises(NoPythonError, match=r"no python3\.10 was found"):
        find_python("3.10", environ={"PATH": ""}, home=tmp_path)
    assert python_problem(tmp_path / "nothing", "3.10") == "cannot be run (FileNotFoundError)"
