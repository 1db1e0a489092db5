from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from tests.harness.http import wait_until
from tests.harness.server import alive
from tritium.environments.steps import Job, TimeLimit, clean_environ, run_step
from tritium.errors import InternalError, UnavailableError


def job(limit_s: float = 30.0) -> Job:
    return Job("environment of model 'm'", TimeLimit(limit_s))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_progress_is_logged_without_secrets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    code = "print('Collecting x from https://a:b@host/x'); print('chatter')"
    run_step(job(), python(code), directory=tmp_path)
    assert [r.getMessage() for r in caplog.records] == [
        "environment of model 'm': Collecting x from https://***@host/x"
    ]


def test_a_failure_ends_in_the_last_lines_without_paths_of_the_server(tmp_path: Path) -> None:
    code = (
        "print('\\n'.join(map(str, range(99)))); print('ERROR: no /srv/a/b.txt', end=''); raise SystemExit(3)"
    )
    with pytest.raises(InternalError) as caught:
        run_step(job(), python(code), directory=tmp_path, failure="it cannot be installed")
    lines = str(caught.value).split("\n")
    assert lines[0] == "environment of model 'm': it cannot be installed:"
    assert lines[-2:] == ["  98", "  ERROR: no b.txt"]
    assert len(lines) == 9


def test_a_failure_without_words_says_what_failed(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match=r"python\S* failed .exit status 2.$"):
        run_step(job(), python("raise SystemExit(2)"), directory=tmp_path)


def test_a_program_that_does_not_exist_fails(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="nothing failed"):
        run_step(job(), ["/nowhere/nothing"], directory=tmp_path)


def test_a_step_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    with pytest.raises(UnavailableError, match=r"not made within 2 s; allow more by"):
        run_step(job(2.0), python(code), directory=tmp_path)
    pid = (tmp_path / "pid").read_text() if (tmp_path / "pid").exists() else ""  # a slow machine: not yet
    if pid:
        wait_until(lambda: not alive(int(pid)), 30.0, "the child is gone")


def test_output_that_a_grandchild_keeps_open_is_not_waited_for(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    run_step(job(), python(code), directory=tmp_path)


def test_a_program_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    code = "import os, time; os.close(1); os.close(2); time.sleep(0.2); open('done', 'w').close()"
    run_step(job(), python(code), directory=tmp_path)
    assert (tmp_path / "done").exists()


def test_variables_of_the_servers_interpreter_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/x")
    monkeypatch.setenv("VIRTUAL_ENV", "/y")
    environ = clean_environ({"ADDED": "1"})
    assert environ["ADDED"] == "1"
    assert environ["PATH"] == os.environ["PATH"]
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & set(environ)
