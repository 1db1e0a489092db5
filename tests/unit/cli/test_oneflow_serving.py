"""Tests for ``tritium.cli.oneflow_serving``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tritium.cli.oneflow_serving import main
from tritium.options import ServerOptions


def never(options: ServerOptions, report: Callable[[str], None]) -> int:
    raise AssertionError("the server must not start")


def options_of(*argv: str) -> ServerOptions:
    """The options that the server is run with."""
    seen: list[ServerOptions] = []

    def run(options: ServerOptions, report: Callable[[str], None]) -> int:
        seen.append(options)
        return 7

    assert main(argv, run=run) == 7
    return seen[0]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for name in ("resnet50", "resnet101", "bert"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_each_model_runs_by_what_is_enabled_for_it(store: Path) -> None:
    options = options_of(
        "--model-store", str(store), "--enable-openvino", "resnet50", "--enable-openvino=bert",
        "--enable-tensorrt", "resnet101",
    )  # fmt: skip
    assert options.xrt == {"resnet50": "openvino", "bert": "openvino", "resnet101": "tensorrt"}
    assert options.model_repositories == (store,)


def test_other_flags_are_tritonservers(store: Path) -> None:
    options = options_of("--http-port", "0", f"--model-repository={store}", "--cpu-fallback")
    assert (options.http.port, options.http.address, options.cpu_fallback) == (0, "0.0.0.0", True)
    assert options.xrt == {}


def test_a_store_may_be_abbreviated(store: Path) -> None:
    assert options_of("--model-st", str(store)).model_repositories == (store,)


def test_without_a_store_the_containers_is_served(
    monkeypatch: pytest.MonkeyPatch, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tritium.cli.oneflow_serving.DEFAULT_STORE", str(store))
    assert options_of().model_repositories == (store,)


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (["--enable-openvino"], 2, "--enable-openvino: expected one argument"),
        (["--enable-openvino=vgg"], 1, "error: --enable-openvino vgg: there is no model of that name in {s}"),
        (
            ["--enable-openvino=bert", "--enable-tensorrt=bert"],
            1,
            "bert is given to --enable-openvino and to --enable-tensorrt; choose one",
        ),
        (["--nope"], 1, "unrecognized option '--nope'"),
        (["--model-store", "{s}/none"], 1, "error: creating server: Internal - failed to stat file {s}/none"),
    ],
)
def test_a_command_line_that_cannot_be_run_says_why(
    argv: list[str], status: int, words: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [word.replace("{s}", str(store)) for word in argv]
    assert main(["--model-store", str(store), *argv], run=never) == status
    assert words.replace("{s}", str(store)) in capsys.readouterr().err


def test_help_shows_the_switches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"], run=never) == 0
    shown = capsys.readouterr().out
    assert "--enable-openvino MODEL" in shown
    assert "--enable-tensorrt MODEL" in shown
    assert "--model-store DIR" in shown
