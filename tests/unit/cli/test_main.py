"""Tests for ``tritium.cli.main``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tritium.cli.main import main
from tritium.options import ServerOptions


class Run:
    """Stands for the server: keeps its options and ends with ``status``."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.options: ServerOptions | None = None

    def __call__(self, options: ServerOptions, report: Callable[[str], None]) -> int:
        self.options = options
        report("serving")
        return self.status


def test_serve_runs_the_server_with_its_options_and_returns_its_status(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Run(status=3)
    assert main(["serve", "--model-repository", str(tmp_path), "--http-port", "0"], run=run) == 3
    assert run.options is not None
    assert run.options.model_repositories == (tmp_path,)
    assert capfd.readouterr().err == "serving\n"


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (["serve"], 2, "the following arguments are required: --model-repository"),
        (["serve", "--model-repository", "{tmp}/none"], 1, "none: expected a directory, found nothing"),
        (["serve", "--model-repository", "{tmp}/file"], 1, "file: expected a directory, found a file"),
        (
            ["serve", "--model-repository", "{tmp}", "--http-po", "1"],
            2,
            "unrecognized arguments: --http-po 1",
        ),
        (["serve", "--model-repository", "{tmp}", "--load-model=*", "--load-model=a"], 2, "loads all models"),
        (["nope"], 2, "invalid choice: 'nope'"),
        (["serve", "--model-repository", "{tmp}", "--log-file", "{tmp}/no/log"], 1, "cannot be opened"),
    ],
)
def test_a_command_line_that_cannot_be_run_says_why(
    argv: list[str], status: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    run = Run()
    assert main([word.replace("{tmp}", str(tmp_path)) for word in argv], run=run) == status
    assert run.options is None
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (["--help"], 0, "commands:"),
        (["--version"], 0, "tritium "),
        (["serve", "--help"], 0, "--http-port PORT"),
        (["check", "--help"], 0, "--json"),
        ([], 2, "commands:"),
    ],
)
def test_help_and_version_are_printed(
    argv: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv, run=Run()) == status
    assert words in capsys.readouterr().out


def test_check_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)], run=Run()) == 2
    assert "no models" in capsys.readouterr().err
