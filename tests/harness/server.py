"""A real tritium process under test, seen from outside."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil

from tests.harness.http import Connection, Reply, infer_json, request, wait_until

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
_STARTED = re.compile(r"Started (HTTPService|Metrics Service) at \S*:(\d+)")
GOOD = infer_json([1, 2, 3])


class ServerProcess:
    """``tritium serve`` on a repository, on ports that the system chose.

    Args:
        flags: further flags of ``tritium serve``.
        known_good: the model that answers ``GOOD`` as it should.
        open_files: the limit on descriptors, if it is to be lower.
        prelude: Python that runs in the server's process before it starts.
    """

    def __init__(
        self,
        repository: Path,
        *flags: str,
        log: Path,
        known_good: str = "echo",
        open_files: int | None = None,
        prelude: str = "",
    ) -> None:
        self.log = log
        self.known_good = known_good
        self.http_port = 0
        self.metrics_port = 0
        self.error_bodies: list[bytes] = []
        self.repository = repository
        start = ["-c", f"{prelude}\nimport sys, tritium.cli.main\nsys.exit(tritium.cli.main.main())"]
        command = [sys.executable, *(start if prelude else ["-m", "tritium"]), "serve"]
        command += ["--model-repository", str(repository), "--http-port", "0", "--metrics-port", "0", *flags]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        if open_files is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (open_files, open_files))
        self._seen = psutil.Process(self.process.pid)

    def __enter__(self) -> ServerProcess:
        try:
            self._wait_for_start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leaks = self._leaks()
        self.stop()
        if kind is None:
            assert not leaks, f"error bodies tell what is inside the server: {leaks[:5]}"

    def _wait_for_start(self) -> None:
        ports: dict[str, int] = {}

        def started() -> bool:
            assert self.process.poll() is None, f"the server ended: {self.output()[-3000:]}"
            ports.update((what, int(port)) for what, port in _STARTED.findall(self.output()))
            return len(ports) == 2

        wait_until(started, START_TIMEOUT_S, "the server listens")
        self.http_port, self.metrics_port = ports["HTTPService"], ports["Metrics Service"]
        wait_until(lambda: self.get("/v2/health/live").status == 200, START_TIMEOUT_S, "the server lives")

    def output(self) -> str:
        """What the server has printed and logged."""
        return self.log.read_text(errors="replace")

    def connect(self, *, timeout_s: float = 30.0) -> Connection:
        """A connection to the HTTP port."""
        return Connection(self.http_port, timeout_s=timeout_s)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own."""
        with self.connect() as connection:
            connection.send(request(method, path, body, headers))
            reply = connection.reply(head=method == "HEAD")
            assert reply is not None, "the server closed without a reply"
            return self.noted(reply)

    def get(self, path: str) -> Reply:
        """A GET."""
        return self.ask("GET", path)

    def infer(self, model: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """POST ``body`` to a model's infer endpoint."""
        return self.ask("POST", f"/v2/models/{model}/infer", body, headers)

    def metrics(self) -> dict[str, float]:
        """The samples of /metrics by their full name, labels included."""
        with Connection(self.metrics_port) as connection:
            connection.send(request("GET", "/metrics"))
            reply = connection.reply()
            assert reply is not None
        lines = [line for line in reply.body.decode().splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    def pending(self, model: str) -> int:
        """Requests that wait in a model's queue."""
        return int(self.metrics()[f'nv_inference_pending_request_count{{model="{model}",version="1"}}'])

    def ready(self, model: str) -> bool:
        """Whether the server says that ``model`` is ready."""
        return self.get(f"/v2/models/{model}/ready").status == 200

    def noted(self, reply: Reply) -> Reply:
        """``reply``, remembered if it is an error; checked for leaks when the server stops."""
        if reply.status >= 400 and len(self.error_bodies) < 100_000:
            self.error_bodies.append(reply.body)
        return reply

    def assert_three_ok(self) -> None:
        """Live, ready, and a request that is known to be good: all answer 200."""
        assert self.process.poll() is None, self.output()[-3000:]
        assert self.get("/v2/health/live").status == 200
        assert self.get("/v2/health/ready").status == 200
        reply = self.infer(self.known_good, GOOD)
        assert reply.status == 200, reply.body
        assert reply.json["outputs"][0]["data"] == [1.0, 2.0, 3.0]

    def workers(self, model: str | None = None) -> list[int]:
        """The process ids of the workers; those of one model, which must say its pid when asked, if given."""
        pids = [child.pid for child in self._seen.children() if child.status() != psutil.STATUS_ZOMBIE]
        if model is None:
            return pids
        return [pid for pid in pids if pid == self.infer(model, GOOD).json["parameters"]["pid"]]

    def rss_bytes(self) -> int:
        """Resident memory of the server's own process."""
        return int(self._seen.memory_info().rss)

    def cpu_s(self) -> float:
        """Processor time of the server's own process."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    def connections(self) -> int:
        """Connections of clients that are open."""
        return sum(bool(found.raddr) for found in self._seen.net_connections())

    def open_files(self) -> int:
        """Descriptors of the server's own process."""
        return int(self._seen.num_fds())

    def _leaks(self) -> list[bytes]:
        secrets = [b"/dev/shm", b"/tmp", b"/proc/", b"/home/", b"/root/", b"site-packages", b"tritium/"]
        secrets += [b"Traceback", b"memfd", str(self.repository).encode(), b"pid %d" % self.process.pid]
        return [body[:300] for body in self.error_bodies if any(secret in body for secret in secrets)]

    def signal(self, number: int) -> None:
        """Send a signal to the server's own process."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """End with SIGTERM, and with SIGKILL if that does not help: the exit status. No worker is left."""
        if self.process.poll() is None:
            workers = self.workers()
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"SIGTERM did not end the server:\n{self.output()[-2000:]}") from None
            wait_until(lambda: not any(alive(pid) for pid in workers), 30.0, "workers are gone")
        return int(self.process.returncode)

    def kill(self) -> None:
        """End at once with everything it started (the processes of its session)."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
