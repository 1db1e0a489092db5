"""docs/tutorial/bring_your_model_py.md, typed in by a program: its files, its commands and its requests."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.http import infer_json
from tests.harness.models import PLAIN, write_python_model
from tests.harness.pages import Page, typed
from tests.harness.pythons import cache_directory
from tests.harness.server import ServerProcess
from tritium.cli.backend_settings import parse_backend_config
from tritium.cli.main import make_parser

PAGE = Page("tutorial/bring_your_model_py.md")
MODELS = ("sizes", "report", "countdown")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the reader's directory holds when everything was typed."""
    here = tmp_path_factory.mktemp("tutorial")
    for command in (*PAGE.commands("mkdir"), PAGE.command("requirements.txt")):
        subprocess.run(["sh", "-c", command], cwd=here, check=True)
    for name in (f"{model}/{file}" for model in MODELS for file in ("1/model.py", "config.pbtxt")):
        (here / "models" / name).write_text(PAGE.block(f"# models/{name}"))
    write_python_model(here / "models", "echo", PLAIN)
    return here


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[ServerProcess]:
    environments = f"--backend-config=python,environments={cache_directory() / 'environments'}"
    with ServerProcess(directory / "models", environments, log=directory / "log") as running:
        yield running


@pytest.mark.parametrize(
    ("model", "output", "texts"),
    [
        ("sizes", "TEXT", ["123.5 kB", "7.0 MB"]),
        ("report", "LINES", ["downloaded 2.0 kB"]),
    ],
)
def test_the_requests_are_answered(server: ServerProcess, model: str, output: str, texts: list[str]) -> None:
    answer = json.loads(typed(PAGE.command(f"v2/models/{model}/infer"), server))
    assert answer["outputs"][0]["name"] == output
    assert answer["outputs"][0]["data"] == texts


def test_the_countdown_streams(server: ServerProcess) -> None:
    stream = typed(PAGE.command("countdown/generate_stream"), server)
    events = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line]
    assert [event["LEFT"] for event in events] == [3, 2, 1]


def test_the_server_serves_all_of_them(server: ServerProcess) -> None:
    assert server.infer("echo", infer_json([1, 2, 3])).status == 200
    assert all(map(server.ready, MODELS))


def test_the_commands_exist() -> None:
    for command in (PAGE.command("tritium serve"), PAGE.command("tritium dev")):
        assert isinstance(make_parser().parse_args(command.split()[1:]), argparse.Namespace)


def test_the_settings_exist() -> None:
    text = (Path(__file__).parents[2] / "docs/tutorial/bring_your_model_py.md").read_text()
    settings = [word.split("`")[0].split()[0] for word in text.split("--backend-config=")[1:]]
    assert len(settings) >= 5
    for setting in settings:
        parse_backend_config(setting.rstrip("`."))
