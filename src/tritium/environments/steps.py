"""Runs the programs that make an environment: with a time limit, progress in the log, and last lines."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO

from tritium.environments.redaction import without_directories, without_secrets
from tritium.errors import InternalError, UnavailableError

logger = logging.getLogger("tritium.environments")

_KEPT_LINES = 50
_SHOWN_LINES = 8
_SHOWN_LINE_CHARS = 400
_LINE_BYTES = 1 << 16
_POLL_S = 0.5
_RECEIVE_BYTES = 1 << 16
_TOLD = ("Collecting", "Downloading", "Building", "Preparing", "Installing", "Successfully", "Resolved",
         "Prepared", "Installed", "Built", "Extracting")  # fmt: skip
_OWN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")  # of this interpreter
# The program ends with the server, whose lock file it keeps open as long as it may still write.
_WITH_PARENT = (
    "import ctypes, os, sys\n"
    "if sys.platform.startswith('linux'):\n"
    "    ctypes.CDLL(None).prctl(1, 9)\n"
    "    if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """The end of all that is done for one environment."""

    seconds: float
    started: float = field(default_factory=time.monotonic)

    def left_s(self) -> float:
        """Seconds that are left; not below 0."""
        return max(0.0, self.started + self.seconds - time.monotonic())


@dataclass(frozen=True, slots=True)
class Job:
    """For whom steps run: ``title`` begins log lines and errors, as in "environment of model 'm'"."""

    title: str
    limit: TimeLimit
    lock_fd: int = -1


def run_step(
    job: Job,
    command: Sequence[str],
    *,
    directory: Path,
    environ: Mapping[str, str] = MappingProxyType({}),
    failure: str = "",
) -> None:
    """Run ``command`` in ``directory`` to its end.

    Args:
        environ: variables beside the server's own.
        failure: what it means when it fails; without it, that ``command`` failed.

    Raises:
        UnavailableError: it took too long.
        InternalError: it failed; the text ends in the last lines that it printed.
    """
    process = _start(job, command, directory, environ)
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    try:
        in_time = _follow(job, process, lines)
    finally:
        _end(process)
    if not in_time:
        raise UnavailableError(
            f"{job.title}: not made within {job.limit.seconds:g} s; allow more by "
            f"--backend-config=python,install-timeout-secs=SECONDS{_shown(lines)}"
        )
    if process.returncode != 0:
        status = process.returncode
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        failure = failure or f"{Path(command[0]).name} failed ({how})"
        raise InternalError(f"{job.title}: {failure}{_shown(lines)}")


def clean_environ(environ: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The server's environment without what belongs to its own interpreter, and with ``environ``."""
    inherited = {key: value for key, value in os.environ.items() if key not in _OWN_VARIABLES}
    return {**inherited, **environ}


def _start(
    job: Job, command: Sequence[str], directory: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-c", _WITH_PARENT, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=clean_environ(environ),
            pass_fds=[job.lock_fd] if job.lock_fd >= 0 else [],
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise UnavailableError(f"{job.title}: cannot start a process: {error.strerror}") from error


def _follow(job: Job, process: subprocess.Popen[bytes], lines: deque[str]) -> bool:
    """Take what the process prints until it ends: whether it did in time."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    partial = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None  # before reading: what it printed last is then there
            selector.select(0 if ended else min(_POLL_S, job.limit.left_s()))
            received = _read(process.stdout)
            *whole, partial = (partial + (received or b"")).replace(b"\r", b"\n").split(b"\n")
            for line in whole:
                _note(job, line, lines)
            partial = partial[:_LINE_BYTES]
            if received == b"" and not ended:
                return _wait(job, process, partial, lines)
            if ended and not received:
                _note(job, partial, lines)
                return True
            if job.limit.left_s() <= 0:
                return False


def _wait(job: Job, process: subprocess.Popen[bytes], partial: bytes, lines: deque[str]) -> bool:
    """The process has closed its output."""
    _note(job, partial, lines)
    try:
        process.wait(job.limit.left_s())
    except subprocess.TimeoutExpired:
        return False
    return True


def _read(stream: IO[bytes]) -> bytes | None:
    """What is there; None for nothing yet, empty for the end."""
    try:
        return os.read(stream.fileno(), _RECEIVE_BYTES)
    except BlockingIOError:
        return None


def _note(job: Job, line: bytes, lines: deque[str]) -> None:
    text = without_secrets(line.decode(errors="replace").strip())
    if text:
        lines.append(text)
        logger.log(logging.INFO if text.startswith(_TOLD) else logging.DEBUG, "%s: %s", job.title, text)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # what it may have started as well
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _shown(lines: deque[str]) -> str:
    last = [without_directories(line)[:_SHOWN_LINE_CHARS] for line in list(lines)[-_SHOWN_LINES:]]
    return ":\n" + "\n".join(f"  {line}" for line in last) if last else ""
