"""``tritium dev`` as a developer uses it: in a terminal, with an editor beside it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.harness.http import Connection, Reply, infer_json, request, wait_until
from tests.harness.models import write_python_model
from tests.harness.server import alive

LIMIT_S = 60.0
DOUBLES = """
class TritonPythonModel:
    def execute(self, requests):
        return [answer(values(request) * 2) for request in requests]
"""
STOPS = DOUBLES.replace("        return", "        factor = 5\n        breakpoint()\n        return").replace(
    "* 2", "* factor"
)
RAISES = DOUBLES.replace("        return", "        secret = [].pop()\n        return")


class Developer:
    """A terminal in which ``tritium dev`` runs."""

    def __init__(self, model: Path) -> None:
        self._fd, theirs = pty.openpty()
        self._lock = threading.Lock()
        self._text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tritium", "dev", str(model), "--http-port", "0"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                received = os.read(self._fd, 65536)
            except OSError:  # nobody has the other end any more
                return
            with self._lock:
                self._text += received.decode(errors="replace")

    @property
    def screen(self) -> str:
        with self._lock:
            return self._text

    def sees(self, text: str, times: int = 1) -> None:
        def seen() -> bool:
            assert self.process.poll() is None or text in self.screen, self.screen[-3000:]
            return self.screen.count(text) >= times

        wait_until(seen, LIMIT_S, f"{text!r} on the screen")

    def types(self, line: str) -> None:
        os.write(self._fd, f"{line}\n".encode())

    def asks(self) -> Reply:
        port = int(re.findall(r"HTTPService at \S*:(\d+)", self.screen)[-1])
        with Connection(port, timeout_s=LIMIT_S) as connection:
            connection.send(request("POST", "/v2/models/mine/infer", infer_json([1.0])))
            reply = connection.reply()
            assert reply is not None
            return reply

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self._reader.join(LIMIT_S)
        os.close(self._fd)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_python_model(tmp_path / "models", "mine", DOUBLES)
    return tmp_path / "models" / "mine"


@pytest.fixture
def developer(model: Path) -> Iterator[Developer]:
    developer = Developer(model)
    try:
        developer.sees("Started HTTPService")
        yield developer
    finally:
        developer.close()


def save(model: Path, body: str) -> None:
    """As an editor does: a new file in the place of the old one."""
    with tempfile.TemporaryDirectory(dir=model.parent.parent) as drafts:
        write_python_model(Path(drafts), "draft", body)
        os.replace(Path(drafts) / "draft" / "1" / "model.py", model / "1" / "model.py")


def test_a_saved_file_is_served_and_its_errors_are_whole_tracebacks(
    model: Path, developer: Developer
) -> None:
    assert developer.asks().json["outputs"][0]["data"] == [2.0]
    save(model, RAISES)
    developer.sees("Started HTTPService", 2)
    error = developer.asks().json["error"]
    assert "Traceback (most recent call last)" in error
    assert f'File "{model}/1/model.py"' in error
    assert "secret = [].pop()" in error
    save(model, "this is no Python")
    developer.sees("SyntaxError")
    developer.sees("Started HTTPService", 3)
    save(model, DOUBLES)
    developer.sees("Started HTTPService", 4)
    assert developer.asks().json["outputs"][0]["data"] == [2.0]


def test_a_breakpoint_takes_the_terminal(model: Path, developer: Developer) -> None:
    save(model, STOPS)
    developer.sees("Started HTTPService", 2)
    with ThreadPoolExecutor(1) as client:
        try:
            answer = client.submit(developer.asks)
            developer.sees("(Pdb)")
            developer.types("factor = 7")
            developer.sees("(Pdb)", 2)
            developer.types("continue")
            assert answer.result(LIMIT_S).json["outputs"][0]["data"] == [7.0]
        finally:
            developer.process.terminate()
    assert developer.process.wait(LIMIT_S) == 0


def test_ctrl_c_at_a_breakpoint_ends_everything(model: Path, developer: Developer) -> None:
    save(model, STOPS)
    developer.sees("Started HTTPService", 2)
    with ThreadPoolExecutor(1) as client:
        try:
            asked = client.submit(developer.asks)
            developer.sees("(Pdb)")
            started = psutil.Process(developer.process.pid).children(recursive=True)
            assert len(started) == 2
            os.killpg(developer.process.pid, signal.SIGINT)  # what the terminal does
            assert developer.process.wait(LIMIT_S) == 0
        finally:
            developer.kill()
        assert asked.exception(LIMIT_S) is not None
    wait_until(lambda: not any(alive(process.pid) for process in started), LIMIT_S, "all are gone")
