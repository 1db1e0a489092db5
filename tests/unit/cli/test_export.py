"""Tests for ``tritium.cli.export``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="onnx holds the translation")

import onnx

from tests.unit.oneflow.texts import TEXT, write_graph
from tritium.cli.main import main


def export(*words: str | Path) -> int:
    return main(["export", "oneflow", *map(str, words)])


@pytest.mark.parametrize("inner", ["model", ""])
def test_a_saved_graph_or_its_version_directory_becomes_an_onnx_file(
    inner: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_graph(tmp_path)
    output = tmp_path / "m.onnx"
    assert export(tmp_path / "1" / inner, output) == 0
    model = onnx.load(output)
    onnx.checker.check_model(model, full_check=True)
    size = output.stat().st_size / 1000
    assert capsys.readouterr().out.splitlines() == [
        f"{output}: {len(model.graph.node)} operations, 1 constants, {size:.1f} kB, opset 20",
        "  input   INPUT_0  FLOAT [batch, 3]",
        "  output  OUTPUT_0  FLOAT [batch, 3]",
        "  batch   variable",
    ]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["m.onnx"]


def test_a_file_is_overwritten_only_if_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_graph(tmp_path)
    output = tmp_path / "m.onnx"
    output.write_text("mine")
    assert export(tmp_path / "1", output) == 2
    assert "m.onnx exists; choose another name, or overwrite it by --force" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert export(tmp_path / "1", output, "--force") == 0
    onnx.checker.check_model(onnx.load(output))


def test_a_graph_that_cannot_be_translated_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_graph(tmp_path, TEXT.replace('"oneflow.relu"', '"oneflow.fft"'))
    assert export(tmp_path / "1", tmp_path / "m.onnx") == 1
    error = capsys.readouterr().err
    assert error.startswith("tritium export: error: ")
    assert "fft (1)" in error
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["{tmp}/none", "{tmp}/m.onnx"], 2, "none: expected a directory, found nothing"),
        (["{tmp}/file", "{tmp}/m.onnx"], 2, "file: expected a directory, found a file"),
        (["{tmp}", "{tmp}/m.onnx"], 2, "expected model.mlir in it, or in model/ of it, found neither"),
        (["{tmp}/1", "{tmp}/no/m.onnx"], 2, "there is no directory {tmp}/no; make it first"),
        (["{tmp}/1", "{tmp}"], 2, "expected a file name, found a directory; write {tmp}/model.onnx"),
        (["{tmp}/1"], 2, "the following arguments are required: OUT.onnx"),
    ],
)
def test_a_command_line_that_cannot_be_run_says_why(
    words: Sequence[str], status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_graph(tmp_path)
    (tmp_path / "file").touch()
    assert export(*(word.replace("{tmp}", str(tmp_path)) for word in words)) == status
    assert said.replace("{tmp}", str(tmp_path)) in capsys.readouterr().err


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_graph(tmp_path)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert export(tmp_path / "1", tmp_path / "m.onnx") == 1
    assert "m.onnx: cannot be written: No space left on device" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_what_can_be_exported_must_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export"]) == 2
    assert "the following arguments are required: FRAMEWORK" in capsys.readouterr().err
