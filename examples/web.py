"""Serve the style network and the web application that paints with it, until Ctrl-C.

    python examples/web.py

Both are processes of their own; when one ends, or this one is told to, the other is ended as well.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from contextlib import ExitStack
from typing import IO

from demo import EXAMPLES, MODELS, REPOSITORY, DemoError, free_port, run, step, tritium, wait_until_ready

STOP_SECONDS, LOOK_SECONDS, START_SECONDS = 15.0, 0.5, 30.0
TAIL = 3000  # characters of a log that a person reads


def main() -> int:
    """The command line; 0 when it was told to stop."""
    parser = argparse.ArgumentParser(description="Serve the web application of the style network.")
    parser.add_argument("--host", default="127.0.0.1", help="address of the page; 0.0.0.0 for phones")
    parser.add_argument("--port", type=int, default=8080, help="port of the page, if it is free")
    arguments = parser.parse_args()
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: told.set())
    try:
        if not all(path.is_file() for path in MODELS):
            step("building the example models")
            run(EXAMPLES / "build_repository.py")
        serve(arguments.host, port_near(arguments.host, arguments.port), told)
    except DemoError as error:
        print(f"the web application failed: {error}", file=sys.stderr)
        return 1
    step("stopped")
    return 0


def serve(host: str, port: int, told: threading.Event) -> None:
    """Start both, say where the page is, and end both when ``told`` or when one of them has ended."""
    http = free_port()
    server = [tritium(), "serve", "--model-repository", str(REPOSITORY), "--load-model", "multi_style"]
    server += ["--http-port", str(http), "--metrics-port", "0", "--no-grpc"]
    page = [sys.executable, "-m", "fast_neural_style.web.server", "--tritium", f"localhost:{http}"]
    page += ["--host", host, "--port", str(port)]
    with ExitStack() as stack:
        # The page's pictures lie in here, so that they are gone even if it is killed.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="web-"))
        logs = [stack.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in "ab"]
        step("starting tritium with the model multi_style")
        painter = start(server, logs[0], folder, stack)
        try:
            step(f"ready after {wait_until_ready(painter, http):.1f} s")
        except DemoError as error:
            raise DemoError(f"{error}\ntritium said:\n{tail(logs[0])}") from error
        web = start(page, logs[1], folder, stack)
        wait_until_open(web, host, port, logs[1])
        name = "localhost" if host in ("127.0.0.1", "0.0.0.0") else host
        step(f"open http://{name}:{port}  (Ctrl-C ends it)")
        if host == "0.0.0.0":
            step(f"on a phone in the same network: http://{socket.gethostname()}:{port}")
        while not told.wait(LOOK_SECONDS):
            for name, process, log in (("tritium", painter, logs[0]), ("the page's server", web, logs[1])):
                if process.poll() is not None:
                    raise DemoError(f"{name} ended with exit code {process.returncode}:\n{tail(log)}")


def start(command: list[str], log: IO[str], folder: str, stack: ExitStack) -> subprocess.Popen[bytes]:
    """A process in a session of its own, so that Ctrl-C reaches this one only; ``stack`` ends it.

    Args:
        folder: where its temporary files go.
    """
    environment = {
        **os.environ,
        "TMPDIR": folder,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(EXAMPLES), os.getenv("PYTHONPATH")])),
    }
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    stack.callback(end, process)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End it well if it can be, and in any case."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def port_near(host: str, wanted: int) -> int:
    """``wanted`` if it is free, else one that the system chooses; 0 asks for that."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError as error:
            step(f"port {wanted} cannot be used ({error.strerror}); taking another")
            return free_port()
        port: int = probe.getsockname()[1]
        return port


def wait_until_open(web: subprocess.Popen[bytes], host: str, port: int, log: IO[str]) -> None:
    """Return when the page answers."""
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"
    pause = threading.Event()
    for _ in range(round(START_SECONDS / LOOK_SECONDS)):
        if web.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            pause.wait(LOOK_SECONDS)
    raise DemoError(f"the page's server did not start:\n{tail(log)}")


def tail(log: IO[str]) -> str:
    """The end of a log."""
    log.seek(0)
    return log.read()[-TAIL:]


if __name__ == "__main__":
    sys.exit(main())
