"""Tests for ``tritium.cli.launch``."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tritium.cli.launch import launch
from tritium.options import ServerOptions


def test_the_log_is_open_while_the_server_runs_and_closed_after(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def run(options: ServerOptions, report: Callable[[str], None]) -> int:
        logging.getLogger("tritium.test").info("running")
        report("listening")
        return 7

    assert launch(ServerOptions(log_file=path), run) == 7
    lines = path.read_text().splitlines()
    assert lines[0].endswith('"running"')
    assert lines[1] == "listening"


def test_the_log_is_closed_when_the_server_fails(tmp_path: Path) -> None:
    def run(options: ServerOptions, report: Callable[[str], None]) -> int:
        raise RuntimeError("broken")

    before = list(logging.getLogger().handlers)
    with pytest.raises(RuntimeError, match="broken"):
        launch(ServerOptions(log_file=tmp_path / "log"), run)
    assert logging.getLogger().handlers == before


def test_a_log_that_cannot_be_opened_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ServerOptions(log_file=tmp_path / "no" / "log")
    assert launch(options, lambda options, report: 0) == 1
    assert capsys.readouterr().err.startswith("error: creating server: Invalid argument - --log-file ")


def test_closed_standard_files_are_opened_so_that_no_socket_takes_their_place() -> None:
    script = (
        "import os; from tritium.cli.launch import occupy_standard_files; os.close(0); os.close(2)\n"
        "occupy_standard_files()\n"
        "null = os.open(os.devnull, 0)\n"
        "print([os.get_inheritable(fd) and os.path.sameopenfile(fd, null) for fd in (0, 2)])"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "[True, True]\n"
