"""A real Redis server of a test's own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.http import wait_until

PROGRAM = shutil.which("redis-server")
_TIMEOUT_S = 30.0
needs_redis = pytest.mark.skipif(
    PROGRAM is None, reason="no redis-server; as root: apt-get install redis-server"
)


class RedisServer:
    """``redis-server`` on a port, in memory only. Can be stopped and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *settings: str) -> None:
        assert PROGRAM is not None
        argv = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([*argv, str(self._directory), *settings], stdout=log, stderr=log)
        wait_until(self._answers, _TIMEOUT_S, "Redis answers")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100) != b""
        except OSError:
            return False


@contextmanager
def redis_server(directory: Path, *settings: str) -> Iterator[RedisServer]:
    """A Redis server that runs."""
    server = RedisServer(directory)
    try:
        server.start(*settings)
        yield server
    finally:
        server.stop()
