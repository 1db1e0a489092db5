"""The event loop of a server goes before its workers and model threads, where the system allows it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.models import PLAIN, write_onnx_model, write_python_model
from tests.harness.priority import may_be_raised
from tritium.execution.cores import available_cores
from tritium.execution.priority import LOOP_NICENESS


def test_only_the_loop_of_a_server_is_put_first(start_server: StartServer, repository: Path) -> None:
    if not may_be_raised() or available_cores() < 2 or os.getpriority(os.PRIO_PROCESS, 0) != 0:
        pytest.skip("needs two cores and the right to raise a priority that nobody chose")
    write_python_model(repository, "python", PLAIN)
    write_onnx_model(repository, "onnx")
    server = start_server(repository)
    loop = psutil.Process(server.process.pid)
    assert loop.nice() == LOOP_NICENESS
    threads = {
        os.getpriority(os.PRIO_PROCESS, thread.id) for thread in loop.threads() if thread.id != loop.pid
    }
    assert threads == {0}
    assert {worker.nice() for worker in loop.children()} == {0}
