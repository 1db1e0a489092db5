"""Servers under test: one per module where tests can share it, one per test where they break it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import ServerProcess

StartServer = Callable[..., ServerProcess]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """``start_server(repository, *flags)``: a server of the test's own, stopped when the test ends."""
    with ExitStack() as stack:
        numbers = itertools.count()

        def start(
            repository: Path, *flags: str, open_files: int | None = None, prelude: str = ""
        ) -> ServerProcess:
            log = tmp_path / f"server-{next(numbers)}.log"
            server = ServerProcess(repository, *flags, log=log, open_files=open_files, prelude=prelude)
            return stack.enter_context(server)

        yield start


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the model ``echo``, for a test that adds its own."""
    root = tmp_path / "repository"
    write_python_model(root, "echo", PLAIN)
    return root
