"""Tests for ``tritium.cli.static_check``."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.harness.models import write_onnx_model
from tritium.cli.static_check import Finding, check_models, warnings_of
from tritium.repository.prepare import PrepareOptions
from tritium.repository.scan import scan


def check(root: Path, source: str | None, config: str | None = None) -> Finding:
    version = root / "m" / "1"
    version.mkdir(parents=True)
    if source is not None:
        (version / "model.py").write_text(source)
    if config is not None:
        (root / "m" / "config.pbtxt").write_text(config)
    return check_models(scan([root]).models.values(), PrepareOptions())[0]


@pytest.mark.parametrize(
    "source",
    [
        "class TritonPythonModel:\n    pass\n",
        "class TritonPythonModel:\n    def auto_complete_config(config):\n        return config\n",
        "from elsewhere import TritonPythonModel\n",
        "from elsewhere import Model as TritonPythonModel\n",
        "from elsewhere import *\n",
        "class Base:\n    pass\n\nTritonPythonModel = Base\n",
        "if True:\n    class TritonPythonModel:\n        pass\n",
    ],
)
def test_a_file_that_may_bind_the_class_is_fine(source: str, tmp_path: Path) -> None:
    assert check(tmp_path, source) == Finding("m", (1,), "python")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\n", "1/model.py has no class TritonPythonModel; expected 'class TritonPythonModel:'"),
        ("class TritonPythonModel\n", "1/model.py, line 1: expected ':'"),
        ("x = '\0'\n", "1/model.py"),
        ("x = " + "-" * 200_000 + "1\n", "1/model.py cannot be read as Python"),
    ],
)
def test_a_file_without_a_model_is_explained(source: str, words: str, tmp_path: Path) -> None:
    error = check(tmp_path, source).error
    assert error is not None
    assert error.startswith(words)


def test_warnings_of_the_compiler_are_no_concern(tmp_path: Path) -> None:
    assert check(tmp_path, "PATTERN = '\\d'\nclass TritonPythonModel:\n    pass\n").error is None


def test_a_model_file_is_read_to_complete_its_configuration(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    write_onnx_model(tmp_path, "double")
    (tmp_path / "double" / "3").mkdir()
    assert check_models(scan([tmp_path]).models.values(), PrepareOptions())[0].error is not None
    (tmp_path / "double" / "3" / "model.onnx").write_bytes((tmp_path / "double/1/model.onnx").read_bytes())
    assert check_models(scan([tmp_path]).models.values(), PrepareOptions()) == [
        Finding("double", (3,), "onnxruntime")
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = check(tmp_path, None, 'backend: "python"').error
    assert error == "version 1 has no 'model.py'; put the model there, or set default_model_filename"


def test_a_wrong_configuration_is_found(tmp_path: Path) -> None:
    config = 'backend: "python" input { name: "x" data_type: TYPE_FP32 dims: [0] }'
    finding = check(tmp_path, "class TritonPythonModel:\n    pass\n", config)
    assert finding.error is not None
    assert "dim" in finding.error


def test_an_unreadable_configuration_is_found(tmp_path: Path) -> None:
    error = check(tmp_path, None, "nonsense {").error
    assert error is not None
    assert "config.pbtxt" in error


def test_a_backend_that_is_not_there_is_found(tmp_path: Path) -> None:
    finding = check(tmp_path, None, 'backend: "nope"')
    assert finding.error is not None
    assert "'nope'" in finding.error


def test_a_model_file_that_is_no_model_is_found(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.onnx").write_bytes(b"nonsense")
    finding = check_models(scan([tmp_path]).models.values(), PrepareOptions())[0]
    assert finding.backend == "onnxruntime"
    assert finding.error is not None
    assert str(tmp_path) not in finding.error


def test_warnings_are_gathered_and_go_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tritium.some.where")
    with warnings_of("tritium") as texts:
        logger.warning("one %d", 1)
        logger.info("not this")
        logger.error("nor this")
    logger.warning("two")
    assert texts == ["one 1"]
    assert [record.getMessage() for record in caplog.records] == ["two"]
