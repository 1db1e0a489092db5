"""Tests for ``benchmarks.openvino_engine``."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="onnx holds the translation")
pytest.importorskip("onnxruntime", reason="onnxruntime runs it")

from benchmarks import openvino_engine as benchmark
from benchmarks.reference import UnavailableError
from benchmarks.report import render_table
from tests.oneflow import environment
from tests.unit.oneflow.texts import write_graph
from tritium.backends.openvino import is_installed


def test_without_openvino_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "is_installed", lambda: False)
    with pytest.raises(UnavailableError, match="install the extra 'openvino'"):
        benchmark.openvino_engine(tmp_path, 1, 0.01)


def test_each_graph_is_shown_for_each_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_installed():
        pytest.skip('OpenVINO is in the extra "openvino"')
    write_graph(tmp_path / "small")
    monkeypatch.setattr(benchmark, "EXAMPLE", tmp_path / "small")
    monkeypatch.setattr(environment, "ENABLED", False)
    (tmp_path / "work").mkdir()
    rows = benchmark.openvino_engine(tmp_path / "work", 1, 0.01)
    assert [row.holds for row in rows] == [None] * 4
    assert [bool(row.ratio) for row in rows] == [True, True, False, False]
    lines = render_table(rows)[-4:]
    assert [line.endswith("| shown |") for line in lines] == [True, True, False, False]
    assert all("set TRITIUM_ONEFLOW_TESTS=1" in row.note for row in rows[2:])
