from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tritium.errors import ConfigError, InvalidArgumentError
from tritium.repository.overrides import LoadOverrides, read_overrides, remove_files, write_files
from tritium.repository.scan import ModelEntry


def test_without_parameters_there_are_no_overrides() -> None:
    assert read_overrides({}) is None


def test_a_configuration_and_files_are_read() -> None:
    found = read_overrides({"file:1/model.py": b"code", "config": "{}"})
    assert found == LoadOverrides("{}", {"1/model.py": b"code"})


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"foo": "1"}, "unrecognized load parameter 'foo'."),
        ({"config": 1}, "invalid value type for load parameter 'config', expected string_param."),
        ({"config": b"{}"}, "invalid value type for load parameter 'config', expected string_param."),
        ({"file:1/x": "text"}, "invalid value type for load parameter 'file:1/x', expected bytes_param."),
    ],
)
def test_parameters_that_are_none_are_refused_in_tritons_words(
    parameters: dict[str, object], text: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_overrides(parameters)
    assert str(caught.value) == text


def test_files_need_a_configuration() -> None:
    with pytest.raises(ConfigError, match="add the parameter 'config'"):
        read_overrides({"file:1/model.py": b""})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "..",
        "../x",
        "1/../../x",
        "/abs",
        "/",
        "1//x",
        "1/",
        "./x",
        "C:\\x",
        "1\\..\\..\\x",
        "a\0b",
        "a\nb",
    ],
)
def test_a_path_that_is_none_in_the_directory_is_refused(path: str) -> None:
    with pytest.raises(ConfigError):
        read_overrides({"config": "{}", f"file:{path}": b""})


def test_too_many_files_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected at most 10000"):
        read_overrides({"config": "{}", **{f"file:1/{n}": b"" for n in range(10_001)}})


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    overrides = LoadOverrides("{}", {"1/model.py": b"code", "3/deep/er/file": b"", "labels.txt": b"cat"})
    return write_files("m", overrides)


def test_the_files_become_a_directory_that_is_private(written: ModelEntry, tmp_path: Path) -> None:
    assert (written.name, written.versions, written.config_json) == ("m", (1, 3), "{}")
    assert (written.directory / "1" / "model.py").read_bytes() == b"code"
    private = written.directory.parent
    assert private.parent == tmp_path
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_the_directory_can_be_removed_again(written: ModelEntry, tmp_path: Path) -> None:
    remove_files(written.directory.parent)
    remove_files(written.directory.parent)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("files", [{"1": b"", "1/model.py": b""}, {"x" * 300: b""}])
def test_files_that_cannot_be_written_leave_nothing_behind(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ConfigError, match="cannot be written"):
        write_files("m", LoadOverrides("{}", files))
    assert [*tmp_path.iterdir()] == []


def test_a_machine_without_room_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="cannot be written"):
        write_files("m", LoadOverrides("{}", {"1/model.py": b""}))
