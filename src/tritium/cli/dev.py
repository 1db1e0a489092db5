"""``tritium dev MODEL_DIR``: one python model, with this terminal for its worker, served anew at every save.

The server is a child of this process, and the model's one worker a child of the server. All three are in the
terminal's foreground, and of them the worker alone reads from it: ``breakpoint()`` in model.py works.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tritium import serve
from tritium.cli import values
from tritium.cli.backend_settings import merged, parse_backend_config
from tritium.cli.launch import launch
from tritium.options import GrpcOptions, HttpOptions, MetricsOptions, ServerOptions
from tritium.repository.scan import scan_model

USAGE_ERROR = 2
EPILOG = """\
example:
  tritium dev models/shout
  curl localhost:8000/v2/models/shout/infer -d '{"inputs": ...}'

Put breakpoint() where execute should stop: the debugger takes this terminal. Save a file, and the model is
loaded again. The errors that clients get are whole tracebacks.
"""

_POLL_S = 0.3
_EXIT_TIMEOUT_S = 1.0  # a worker may be at a breakpoint
_STOP_LIMIT_S = 5.0
_WATCHED = ("*.py", "*.pbtxt", "*.txt", "*.json", "*.toml", "*.yaml")
_PLAIN_LOG = "TRITON_SERVER_ESCAPE_LOG_MESSAGES"  # "0": line breaks in the log stay line breaks
_BOOT = "import sys; from tritium.cli.dev import serve_once; sys.exit(serve_once(sys.argv[1:]))"

Watched = dict[str, tuple[int, int]]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Teach ``parser`` the flags of ``tritium dev``."""
    parser.add_argument("model_dir", type=Path, metavar="MODEL_DIR", help="the directory of one model")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="the address on which to listen"
    )
    parser.add_argument(
        "--http-port", type=_port, default=8000, metavar="PORT", help="the port; 0 for a free one"
    )
    parser.add_argument(
        "--backend-config", action="append", type=_backend_config, default=[], metavar="[BACKEND,]KEY=VALUE",
        help="as for tritium serve, such as python,executable=PATH",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Serve the model until Ctrl-C or SIGTERM: the exit status."""
    directory: Path = arguments.model_dir.resolve()
    problem = _problem(directory)
    if problem:
        print(f"tritium dev: error: {arguments.model_dir}: {problem}", file=sys.stderr)
        return USAGE_ERROR
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    argv = [str(directory), "--host", arguments.host, "--http-port", str(arguments.http_port)]
    argv += [f"--backend-config={setting}" for setting in arguments.backend_config]
    while True:
        with _terminal_kept():
            status = _serve_until(argv, stopping, directory)
        if status is not None:
            return status
        print(f"-- {directory.name} has changed: loading it again --", flush=True)


def watched(directory: Path) -> Watched:
    """Time (ns) and size of every file that is worth a reload when it changes, by relative path."""
    found: Watched = {}
    for path in (path for pattern in _WATCHED for path in directory.rglob(pattern)):
        name = path.relative_to(directory)
        if not any(part.startswith(".") or part == "__pycache__" for part in name.parts):
            with contextlib.suppress(OSError):  # an editor has just replaced it
                status = path.stat()
                found[str(name)] = (status.st_mtime_ns, status.st_size)
    return found


def _serve_until(argv: Sequence[str], stopping: threading.Event, directory: Path) -> int | None:
    """Run a server until it ends by itself: its status; or is told to stop (0), or a file changes (None)."""
    seen = watched(directory)
    server = subprocess.Popen(
        [sys.executable, "-c", _BOOT, *argv, "--parent", str(os.getpid())],
        env={**os.environ, _PLAIN_LOG: "0"},
    )
    while server.poll() is None:
        if stopping.wait(_POLL_S):
            _stop(server)
            return 0
        if watched(directory) != seen:
            _stop(server)
            return None
    return 0 if stopping.is_set() else server.returncode


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        server.kill()  # its worker follows
        server.wait()


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """Put the terminal's settings back: a debugger that is killed leaves it without echo."""
    try:
        before = termios.tcgetattr(sys.stdin.fileno())
    except (termios.error, OSError, ValueError):  # no terminal
        yield
        return
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)


def serve_once(argv: Sequence[str]) -> int:
    """What the child does: serve the model until it is told to stop."""
    parser = argparse.ArgumentParser()
    add_flags(parser)
    parser.add_argument("--parent", type=int)
    arguments = parser.parse_args(argv)
    if sys.platform.startswith("linux"):
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
        if os.getppid() != arguments.parent:
            return 1
    return launch(options_of(arguments), _serve_quietly)


def options_of(arguments: argparse.Namespace) -> ServerOptions:
    """What the flags ask for: this model, and nothing that a developer has no use for."""
    directory: Path = arguments.model_dir
    backend_config: dict[str, dict[str, str]] = {}
    for setting in arguments.backend_config:
        backend_config = merged(backend_config, *parse_backend_config(setting))
    return ServerOptions(
        model_repositories=(directory.parent,),
        model_control_mode="explicit",
        startup_models=(directory.name,),
        http=HttpOptions(address=arguments.host, port=arguments.http_port),
        grpc=GrpcOptions(enabled=False),
        metrics=MetricsOptions(enabled=False),
        exit_on_error=False,
        exit_timeout_s=_EXIT_TIMEOUT_S,
        backend_config=backend_config,
        debug_errors=True,
        terminal=True,
    )


def _serve_quietly(options: ServerOptions, report: Callable[[str], None]) -> int:
    """``serve.run`` without its tables."""
    return serve.run(options, lambda text: None if "\n" in text else report(text))


def _problem(directory: Path) -> str:
    """Why this is no directory of a model; empty if it is one."""
    if not directory.is_dir():
        return f"expected the directory of a model, found {'a file' if directory.exists() else 'nothing'}"
    entry = scan_model(directory)
    if entry.problem:
        return entry.problem
    if not entry.versions:
        return "expected a directory per version with a model.py in it, such as 1/model.py; found none"
    return ""


def _port(value: str) -> int:
    return int(str(_argument(values.port, value)))


def _backend_config(value: str) -> str:
    _argument(parse_backend_config, value)
    return value


def _argument(parse: Callable[[str], object], value: str) -> object:
    try:
        return parse(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
