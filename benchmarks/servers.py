"""Servers to measure: started on free ports, waited for, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reference import Program, UnavailableError

_READY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_POLL_S = 0.005


class ServerFailedError(Exception):
    """A server did not start, or died; the text ends with what it logged last."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server that has answered that it is ready."""

    name: str
    process: subprocess.Popen[bytes]
    http_port: int
    grpc_port: int
    metrics_port: int
    seconds_to_ready: float  # from starting the process to the first 200 of /v2/health/ready

    def get_json(self, path: str) -> dict[str, object]:
        """Body of ``GET path``.

        Raises:
            ServerFailedError: the answer is not 200, or there is none.
        """
        try:
            document = json.loads(self.get_text(path, port=self.http_port))
        except ValueError as error:
            raise ServerFailedError(f"{self.name}: GET {path} failed: {error}") from error
        return document if isinstance(document, dict) else {}

    def get_text(self, path: str, *, port: int) -> str:
        """Body of ``GET path`` at one of the server's ports.

        Raises:
            ServerFailedError: the answer is not 200, or there is none.
        """
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
                return str(response.read().decode())
        except (OSError, ValueError) as error:
            raise ServerFailedError(f"{self.name}: GET {path} failed: {error}") from error

    def resident_bytes(self) -> int:
        """Resident memory of the server process alone, without its workers.

        Raises:
            UnavailableError: the system has no /proc.
        """
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError as error:
            raise UnavailableError("resident memory is read from /proc, which this system lacks") from error
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return int(fields["VmRSS"].split()[0]) * 1024


@contextlib.contextmanager
def tritium(repository: Path, *flags: str) -> Iterator[Server]:
    """``tritium serve`` from this interpreter's environment, on ``repository``, with more ``flags``."""
    ports = http_port, grpc_port, metrics_port = _free_ports(3)
    argv = [sys.executable, "-m", "tritium", "serve", "--model-repository", str(repository)]
    argv += ["--http-port", str(http_port), "--grpc-port", str(grpc_port)]
    argv += ["--metrics-port", str(metrics_port), *flags]
    with _running("tritium", argv, {}, ports, repository) as server:
        yield server


@contextlib.contextmanager
def real_triton(program: Program, repository: Path, *flags: str) -> Iterator[Server]:
    """The real Triton on ``repository``, with its default settings but for ``flags``."""
    ports = http_port, grpc_port, metrics_port = _free_ports(3)
    argv = [*program.argv, f"--model-repository={repository}", f"--http-port={http_port}"]
    argv += [f"--grpc-port={grpc_port}", f"--metrics-port={metrics_port}", *flags]
    with _running("Triton", argv, program.env, ports, repository) as server:
        yield server


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@contextlib.contextmanager
def _running(
    name: str, argv: Sequence[str], env: Mapping[str, str], ports: Sequence[int], repository: Path
) -> Iterator[Server]:
    log_path = repository.parent / f"{repository.name}-{name}.log"
    with log_path.open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **env})
    try:
        _wait_until_ready(name, process, ports[0], log_path)
        http_port, grpc_port, metrics_port = ports
        elapsed_s = time.perf_counter() - started
        yield Server(name, process, http_port, grpc_port, metrics_port, elapsed_s)
    finally:
        _stop(process)


def _wait_until_ready(name: str, process: subprocess.Popen[bytes], http_port: int, log_path: Path) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            tail = _tail(log_path)
            raise ServerFailedError(
                f"{name} ended with code {process.returncode} before it was ready: {tail}"
            )
        if _is_ready(http_port):
            return
        time.sleep(_POLL_S)
    raise ServerFailedError(f"{name} was not ready after {_READY_TIMEOUT_S:.0f} s: {_tail(log_path)}")


def _is_ready(http_port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/v2/health/ready", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _tail(log_path: Path) -> str:
    lines = log_path.read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:]) if lines else "it logged nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
