"""Tests for ``tritium.cli.tritonserver``: what a launch script sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tritium.cli.triton_flags import all_flags
from tritium.cli.tritonserver import main, usage
from tritium.options import ServerOptions

WILDCARD = "Wildcard model name '*' must be the ONLY startup model if specified at all."


def never(options: ServerOptions, report: Callable[[str], None]) -> int:
    raise AssertionError("the server must not start")


def run_failing(argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What goes to standard error; nothing goes to standard output, and the status is 1."""
    assert main(argv, run=never) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize(
    ("argv", "ending"),
    [
        (["--nope"], "tritonserver: unrecognized option '--nope'"),
        (["--log-verbose=abc"], 'Bad option: "--log-verbose".\nInvalid option value. Got abc'),
        (["--log-info=maybe"], 'Bad option: "--log-info".\ninvalid value for bool option: maybe'),
        (["--rate-limit=foo"], 'Bad option: "--rate-limit".\ninvalid argument for --rate-limit'),
        (["--trace-level=foo"], 'Bad option: "--trace-level".\ninvalid value for trace level option: foo'),
        (["--log-format=x"], 'Bad option: "--log-format".\ninvalid argument for --log-format'),
        (
            ["--load-model=a"],
            "Error: Use of '--load-model' requires setting '--model-control-mode=explicit' as well.",
        ),
        (["stray"], "Unexpected argument: stray"),
    ],
)
def test_a_wrong_command_line_ends_with_usage_and_tritons_last_line(
    argv: list[str], ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_failing(argv, capsys) == f"{usage()}\n{ending}\n"


def test_help_is_the_usage_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_failing(["--help"], capsys) == f"{usage()}\n"


def test_the_usage_lists_every_flag_with_what_it_does_here() -> None:
    text = usage()
    assert text.startswith("Usage: tritonserver [options]\n")
    for flag in all_flags():
        assert f"  --{flag.name}" in text.replace(" <value>", "").splitlines()
    assert max(len(line.expandtabs()) for line in text.splitlines()) <= 100


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ([], "error: creating server: Invalid argument - --model-repository must be specified"),
        (
            ["--model-repository=/nonexistent"],
            "error: creating server: Internal - failed to stat file /nonexistent",
        ),
        (
            ["--model-repository={tmp}", "--model-control-mode=explicit", "--load-model=*", "--load-model=x"],
            f"error: creating server: Invalid argument - {WILDCARD}",
        ),
        (
            ["--model-repository={tmp}/file"],
            "error: creating server: Invalid argument - --model-repository {tmp}/file is not a directory",
        ),
    ],
)
def test_a_server_that_cannot_be_made_says_so_in_tritons_words(
    argv: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    filled = [word.replace("{tmp}", str(tmp_path)) for word in argv]
    assert run_failing(filled, capsys) == line.replace("{tmp}", str(tmp_path)) + "\n"


def test_a_refused_flag_is_named_without_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    text = run_failing(["--model-repository=m", "--trace-rate=5"], capsys)
    assert text == (
        "error: --trace-rate 5: tracing is not offered by this version of tritium; remove the flag\n"
    )


def test_a_deprecated_flag_is_pointed_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    argv = [f"--model-repository={tmp_path}", "--strict-model-config=true"]
    assert main(argv, run=lambda options, report: 0) == 0
    assert capfd.readouterr().err == (
        "Warning: '--strict-model-config' is deprecated; use '--disable-auto-complete-config'\n"
    )


def test_the_server_runs_with_the_options_and_its_status_is_returned(tmp_path: Path) -> None:
    seen: list[ServerOptions] = []

    def run(options: ServerOptions, report: Callable[[str], None]) -> int:
        seen.append(options)
        return 5

    assert main([f"--model-repository={tmp_path}", "--http-port=0"], run=run) == 5
    assert seen[0].http.port == 0
