"""Tests for ``tritium.cli.check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tritium.cli.main import main

GOOD = "class TritonPythonModel:\n    def execute(self, requests):\n        return []\n"
TENSORS = """
input { name: "A" data_type: TYPE_FP32 dims: 1 }
output { name: "B" data_type: TYPE_FP32 dims: 1 }
"""


def add_model(root: Path, name: str, source: str = GOOD, versions: tuple[int, ...] = (1,)) -> None:
    for version in versions:
        directory = root / name / str(version)
        directory.mkdir(parents=True)
        (directory / "model.py").write_text(source)
    (root / name / "config.pbtxt").write_text("version_policy { all {} }")


def check(*argv: str) -> int:
    return main(["check", *argv], run=lambda options, report: 99)


def test_good_models_are_listed_with_versions_and_backend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_model(tmp_path, "echo", versions=(1, 3))
    add_model(tmp_path, "longer")
    assert check(str(tmp_path)) == 0
    assert capsys.readouterr().out == (
        "ok   echo    versions 1,3  backend python\nok   longer  versions 1    backend python\n"
    )


def test_a_model_that_cannot_be_served_fails_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_model(tmp_path, "echo")
    add_model(tmp_path, "typo", "class TritonPythonModel\n")
    assert check(str(tmp_path)) == 1
    assert capsys.readouterr().out.splitlines()[1] == "FAIL typo: 1/model.py, line 1: expected ':'"


def test_warnings_come_before_their_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(tmp_path, "echo")
    (tmp_path / "echo" / "01").mkdir()
    assert check(str(tmp_path)) == 0
    warning, line = capsys.readouterr().out.splitlines()
    assert warning.startswith("warn echo: ignore version directory '01'")
    assert line.startswith("ok   echo")


@pytest.mark.parametrize("load", [(), ("--load",)])
def test_a_model_that_asks_for_a_gpu_is_fine_with_cpu_fallback(
    load: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_model(tmp_path, "echo")
    (tmp_path / "echo" / "config.pbtxt").write_text("instance_group { kind: KIND_GPU }" + TENSORS)
    assert check(str(tmp_path), *load) == 1
    assert "Change kind to KIND_CPU or KIND_AUTO" in capsys.readouterr().out
    assert check(str(tmp_path), "--cpu-fallback", *load) == 0
    warning, line = capsys.readouterr().out.splitlines()
    assert warning.startswith("warn echo: model 'echo', instance group 0: it has kind KIND_GPU")
    assert line.startswith("ok   echo")


def test_machines_get_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(tmp_path, "echo")
    add_model(tmp_path, "none", "x = 1\n")
    assert check(str(tmp_path), "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    echo, none = document["models"]
    assert echo == {
        "name": "echo", "ok": True, "versions": [1], "backend": "python", "error": None, "warnings": []
    }  # fmt: skip
    assert none["error"].startswith("1/model.py has no class TritonPythonModel")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none", "expected a directory, found nothing"),
        ("file", "expected a directory, found a file"),
        ("empty", "no models in"),
    ],
)
def test_a_directory_that_is_no_repository_is_status_2(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    assert check(str(tmp_path / name)) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


def test_a_config_name_that_is_a_path_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(tmp_path, "echo")
    assert check(str(tmp_path), "--model-config-name", "../x") == 2
    assert "must not contain path traversal characters" in capsys.readouterr().err


def test_models_of_several_repositories_must_have_different_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_model(tmp_path / "a", "echo")
    add_model(tmp_path / "b", "echo")
    assert check(str(tmp_path / "a"), str(tmp_path / "b")) == 1
    assert "FAIL echo: model appears in two or more repositories" in capsys.readouterr().out


def test_an_error_of_several_lines_is_indented_and_sends_no_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_model(tmp_path, "echo")
    (tmp_path / "echo" / "config.pbtxt").write_text('backend: "a\\033b\\nc"')
    assert check(str(tmp_path)) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert all(line.startswith(("FAIL", "     ")) for line in out.splitlines())
