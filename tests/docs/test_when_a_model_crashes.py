"""docs/tutorial/when_a_model_crashes.md, typed in by a program: its model, its requests, its answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.http import wait_until
from tests.harness.models import PLAIN, write_python_model
from tests.harness.pages import Page, typed
from tests.harness.server import ServerProcess

PAGE = Page("tutorial/when_a_model_crashes.md")
DIED, PAUSED = [json.loads(text) for language, text in PAGE.blocks if language == "json"]
HARMLESS, TOO_LARGE, FATAL, CRASHES, AFTERWARDS = PAGE.commands("fragile/infer")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    models = tmp_path / "models"
    write_python_model(models, "echo", PLAIN)
    (models / "fragile/1").mkdir(parents=True)
    (models / "fragile/1/model.py").write_text(PAGE.block("import os\nimport sys"))
    (models / "fragile/config.pbtxt").write_text(PAGE.block('backend: "python"'))
    with ServerProcess(models, log=tmp_path / "log") as running:
        yield running


def test_a_crash_looks_as_the_page_says(server: ServerProcess) -> None:
    assert json.loads(typed(HARMLESS, server))["outputs"][0]["data"] == [4.0]
    wait_until(lambda: "fragile_0 stdout: answering 1 values" in server.output(), 30, "the line is logged")
    assert "ValueError: values must not be above 1000" in json.loads(typed(TOO_LARGE, server))["error"]
    assert json.loads(typed(FATAL, server)) == DIED
    died = "worker of 'fragile_0' exited with status 3 after it wrote: fatal: thirteen was asked; restart in"
    wait_until(lambda: died in server.output(), 30, "the end is logged")
    ready = PAGE.command("fragile/ready")
    wait_until(lambda: typed(ready, server).strip() == "200", 30, "it is ready again")
    shown = typed(PAGE.command("tritium_worker"), server)
    assert 'tritium_worker_restarts_total{model="fragile",reason="exit",version="1"} 1' in shown
    assert 'tritium_worker_resident_memory_bytes{instance="fragile_0",model="fragile",version="1"}' in shown
    for reason in ("signal", "oom", "stopped", "timeout", "protocol", "recycled", "load"):
        assert f'tritium_worker_restarts_total{{model="fragile",reason="{reason}",version="1"}} 0' in shown
    server.assert_three_ok()


def test_a_crash_loop_ends_in_a_pause(server: ServerProcess) -> None:
    typed(CRASHES, server)
    assert json.loads(typed(AFTERWARDS, server)) == PAUSED
    assert not server.ready("fragile")
    server.assert_three_ok()
