"""Tests for ``tritium.environments.oneflow``."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from tests.unit.environments.fakes import write_environment
from tritium.environments.oneflow import (
    VARIABLE,
    OneFlowEnvironment,
    check_environment,
    default_directory,
    find_environment,
)
from tritium.errors import UnsupportedError
from tritium.worker_root.tritium_worker.oneflow_stand_ins import stand_in_paths


@pytest.fixture(autouse=True)
def _some_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)


def test_a_setting_goes_before_the_variable_and_that_before_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_environment({}).directory == default_directory() == tmp_path / "cache" / "tritium-oneflow"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    assert find_environment({}).directory == tmp_path / "mine"
    assert find_environment({"environment": str(tmp_path / "set")}).directory == tmp_path / "set"


def test_the_cache_is_in_the_home_directory_where_the_system_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert default_directory() == tmp_path / ".cache" / "tritium-oneflow"


def test_nothing_is_missing_from_a_complete_environment(tmp_path: Path) -> None:
    environment = write_environment(tmp_path / "env")
    assert environment.missing() == ""
    check_environment(environment, "model 'm'")


def test_every_missing_piece_is_named(tmp_path: Path) -> None:
    environment = OneFlowEnvironment(tmp_path / "env")
    found = [environment.missing()]
    write_environment(tmp_path / "env")
    packages = environment.site_packages
    for piece in (
        stand_in_paths(str(packages))["libcublas.so.11"],
        packages / "numpy-1.23.5.dist-info" / "RECORD",
        packages / "oneflow-0.9.0.dist-info" / "RECORD",
    ):
        Path(piece).unlink()
        found.append(environment.missing())
    shutil.rmtree(packages)
    found.append(environment.missing())
    environment.python.unlink()
    environment.python.symlink_to(tmp_path / "removed")
    found.append(environment.missing())
    assert found == [
        "there is no such environment",
        "the library libcublas.so.11 is not in it, nor its stand-in",
        "the package numpy (older than 2) is not installed in it",
        "the package oneflow==0.9.0 is not installed in it, or only in part",
        "it is not an environment of Python 3.10",
        "its bin/python is missing, or the Python that it was made of has been removed",
    ]


def test_the_error_ends_with_the_command_that_mends_it_and_names_no_directory(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as default:
        check_environment(OneFlowEnvironment(default_directory()), "model 'm'")
    assert str(default.value) == (
        "model 'm': the environment of OneFlow's own runtime is not ready: there is no such environment; "
        "type: tritium env oneflow"
    )
    with pytest.raises(UnsupportedError) as chosen:
        check_environment(OneFlowEnvironment(tmp_path / "mine"), "model 'm'")
    assert str(chosen.value).endswith("type: tritium env oneflow --dir DIR")
    assert "'mine'" in str(chosen.value)
    assert str(tmp_path) not in str(chosen.value)


def test_other_machines_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(UnsupportedError, match=r"runs on Linux on x86-64 only, and this is \w+ on aarch64"):
        check_environment(write_environment(tmp_path / "env"), "model 'm'")
