"""Tests for ``tritium.environments.oneflow_installer`` and the command, with a Python 3.10 that pretends."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.unit.environments.fakes import write_environment, write_python
from tritium.cli.main import main
from tritium.environments import oneflow_installer
from tritium.environments.oneflow import VARIABLE, OneFlowEnvironment
from tritium.environments.oneflow_installer import install, is_ready
from tritium.environments.progress import Progress
from tritium.errors import TritiumError

# Answers "3.10", makes "environments" with itself in them, and installs by touching files.
FAKE = """
case "$*" in
  *ensurepip*) echo 3.10 ;;
  *"-m venv"*)
    for last; do :; done
    mkdir -p "$last/bin"; cp "$0" "$last/bin/python"; touch "$last/pyvenv.cfg" ;;
  *"-m pip"*) PIP ;;
  *oneflow_check*) VERIFY ;;
esac
"""
INSTALLED = """
    packages="$(dirname "$0")/../lib/python3.10/site-packages"
    for name in oneflow-0.9.0 numpy-1.23.5; do mkdir -p "$packages/$name.dist-info"; touch "$packages/$name.dist-info/RECORD"; done
"""  # noqa: E501


@pytest.fixture(autouse=True)
def _no_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins are made from the real library; here they are empty files."""

    def write(site_packages: str) -> None:
        for path in map(Path, oneflow_stand_ins_paths(site_packages)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    monkeypatch.setattr(oneflow_installer, "write_stand_ins", write)


def oneflow_stand_ins_paths(site_packages: str) -> list[str]:
    from tritium.worker_root.tritium_worker.oneflow_stand_ins import stand_in_paths

    return list(stand_in_paths(site_packages).values())


def python(directory: Path, pip: str = INSTALLED, verify: str = "exit 0") -> Path:
    return write_python(directory / "python3.10", FAKE.replace("PIP", pip).replace("VERIFY", verify))


def refused(environment: OneFlowEnvironment, base: Path | None) -> str:
    with pytest.raises(TritiumError) as caught:
        install(environment, base, Progress(io.StringIO()))
    return str(caught.value)


def test_an_environment_is_made_and_the_second_time_it_is_ready(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = python(tmp_path)
    argv = ["env", "oneflow", "--dir", str(tmp_path / "env"), "--python", str(base)]
    assert main(argv) == 0
    shown = capsys.readouterr()
    assert f"OneFlow 0.9.0 is ready in {tmp_path / 'env'}" in shown.out
    assert f"--backend-config=oneflow,environment={tmp_path / 'env'}" in shown.out
    assert shown.err.splitlines()[1:] == [
        "installing OneFlow 0.9.0", "writing stand-ins for CUDA libraries", "running a graph"
    ]  # fmt: skip
    assert is_ready(OneFlowEnvironment(tmp_path / "env"))
    base.unlink()
    assert main(argv) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("pip", "words"),
    [
        ("echo 'ERROR: Could not find a version that satisfies oneflow'; exit 1", "check the network"),
        ("echo 'OSError: [Errno 28] No space left on device'; exit 1", "the disk is full"),
        ("echo 'something else'; exit 3", "a step failed (exit status 3)"),
    ],
)
def test_a_failed_download_says_why(pip: str, words: str, tmp_path: Path) -> None:
    environment = OneFlowEnvironment(tmp_path / "env")
    text = refused(environment, python(tmp_path, pip))
    assert words in text
    assert not is_ready(environment)


def test_an_environment_that_does_not_run_graphs_is_not_ready(tmp_path: Path) -> None:
    environment = OneFlowEnvironment(tmp_path / "env")
    assert "a graph differs" in refused(environment, python(tmp_path, verify="echo a graph differs; exit 1"))
    assert not is_ready(environment)


def test_an_environment_of_somebody_else_that_is_complete_was_not_verified_yet(tmp_path: Path) -> None:
    assert not is_ready(write_environment(tmp_path / "env"))


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").touch()
    text = refused(OneFlowEnvironment(tmp_path / "home"), python(tmp_path))
    assert "found other files; choose another place by --dir" in text


def test_a_python_of_another_version_is_refused_with_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "env"))
    other = write_python(tmp_path / "python", "echo 3.12")
    assert main(["env", "oneflow", "--python", str(other)]) == 1
    shown = capsys.readouterr().err
    assert "runs under CPython 3.10 only" in shown
    assert "is Python 3.12" in shown
    assert "apt install python3.10 python3.10-venv" in shown


def test_a_full_disk_is_noticed_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oneflow_installer, "INSTALLED_BYTES", 1 << 60)
    assert "make room, or choose another disk by --dir" in refused(
        OneFlowEnvironment(tmp_path / "env"), python(tmp_path)
    )
