"""``make web``: one command that starts tritium and the page, and ends both."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.harness.http import Connection, request, wait_until
from tests.harness.server import alive

SCRIPT = Path(__file__).parents[2] / "examples" / "web.py"
START_S, STOP_S = 90.0, 40.0


@contextmanager
def launched(log: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The launcher when it has said where the page is, and the page's port."""
    temporary = log.with_name("temporary")
    temporary.mkdir()
    with log.open("wb") as output:
        command = [sys.executable, str(SCRIPT), *arguments]
        environment = {**os.environ, "TMPDIR": str(temporary)}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_until(
            lambda: "open http" in log.read_text() or process.poll() is not None, START_S, "the page is open"
        )
        found = re.search(r"open http://localhost:(\d+)", log.read_text())
        assert found, log.read_text()
        yield process, int(found[1])
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_S)
    assert list(temporary.iterdir()) == [], "nothing is left behind"


def ask(port: int, path: str) -> int:
    with Connection(port) as connection:
        connection.send(request("GET", path))
        reply = connection.reply()
        assert reply is not None
        return reply.status


def test_one_command_serves_the_page_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    with launched(tmp_path / "log", "--port", "0") as (process, port):
        assert ask(port, "/") == 200
        assert ask(port, "/api/styles/0.jpg") == 200
        children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        assert len(children) >= 2
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_S) == 0
        assert not any(alive(pid) for pid in children)


def test_a_port_that_is_taken_is_not_fought_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        with launched(tmp_path / "log", "--port", str(wanted)) as (_, port):
            assert port != wanted
            assert ask(port, "/") == 200
    assert f"port {wanted} cannot be used" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("which", ["bin/tritium", "fast_neural_style.web.server"])
def test_when_one_ends_so_does_the_other(which: str, tmp_path: Path) -> None:
    with launched(tmp_path / "log", "--port", "0") as (process, _):
        children = psutil.Process(process.pid).children()
        (victim,) = [child for child in children if any(part.endswith(which) for part in child.cmdline()[:3])]
        os.kill(victim.pid, signal.SIGKILL)
        assert process.wait(STOP_S) == 1
        assert not any(alive(child.pid) for child in children)
    assert "ended with exit code -9" in (tmp_path / "log").read_text()
