from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tritium.environments.interpreter import Interpreter, PythonFacts
from tritium.environments.requirements import Installer, build, find_installer, key_of
from tritium.environments.steps import Job, TimeLimit
from tritium.errors import ConfigError

FACTS = PythonFacts((3, 11, 7), "3.11.7 (main)", "/usr/bin/python3.11", None)


def key(directory: Path, text: str, facts: PythonFacts = FACTS) -> str:
    file = directory / "requirements.txt"
    file.write_text(text)
    return key_of(file, "m", facts)


def test_the_key_follows_the_content_and_the_interpreter(tmp_path: Path) -> None:
    first = key(tmp_path, "humanize\n")
    (tmp_path / "other").mkdir()
    assert key(tmp_path / "other", "humanize\n") == first
    assert key(tmp_path, "humanize==4\n") != first
    assert key(tmp_path, "humanize\n", replace(FACTS, build="3.11.8")) != first
    assert key(tmp_path, "humanize\n", replace(FACTS, path="/opt/bin/python")) != first


@pytest.mark.parametrize("line", ["-r more.txt", "-rmore.txt", "--requirement=more.txt", "-c 'more.txt'"])
def test_files_that_the_file_names_count(tmp_path: Path, line: str) -> None:
    (tmp_path / "more.txt").write_text("a==1")
    first = key(tmp_path, line)
    (tmp_path / "more.txt").write_text("a==2")
    assert key(tmp_path, line) != first


@pytest.mark.parametrize(
    "line",
    [
        "./a-1-py3-none-any.whl",
        "a-1-py3-none-any.whl ; python_version > '3'",
        "a @ file://{}/a-1-py3-none-any.whl",
    ],
)
def test_wheels_of_this_machine_count(tmp_path: Path, line: str) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.write_bytes(b"1")
    first = key(tmp_path, line.format(tmp_path))
    wheel.write_bytes(b"2")
    assert key(tmp_path, line.format(tmp_path)) != first


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-e .", "'-e .' installs a directory that may change; build a wheel"),
        ("--editable=./x", "build a wheel"),
        ("./directory", "is a directory; build a wheel"),
        (
            "-r missing.txt",
            "'missing.txt', which requirements.txt of model 'm' names: cannot be read: No such",
        ),
        ("-r requirements.txt", "files that name each other"),
        ("#" * (1 << 20) + "\n", "has 1048577 bytes; the most is 1048576"),
    ],
)
def test_what_cannot_be_known_by_its_content_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(ConfigError, match=words):
        key(tmp_path, text)


def test_comments_markers_and_urls_need_no_file(tmp_path: Path) -> None:
    key(
        tmp_path,
        "# -e .\nnumpy>=1.20 ; python_version >= '3.8'  # ./x\nx @ https://host/x.whl\n--pre\na \\\n ==1",
    )


def test_uv_is_used_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_installer("auto").name == "pip"
    with pytest.raises(ConfigError, match="no program uv on PATH"):
        find_installer("uv")
    (tmp_path / "uv").touch(0o755)
    assert find_installer("auto").name == "uv"
    assert find_installer("pip").name == "pip"


@pytest.mark.parametrize(("options", "installs"), [("", 1), ("-I -S", 2)])
def test_uv_makes_the_environment_and_adds_numpy_where_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, installs: int
) -> None:
    """``options`` decide whether the environment's interpreter finds numpy."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://host/simple")
    monkeypatch.delenv("UV_INDEX_URL", raising=False)
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    uv, said, place = tmp_path / "uv", tmp_path / "said", tmp_path / "place"
    place.mkdir()
    uv.write_text(
        f'#!/bin/sh\necho "$UV_INDEX_URL $@" >> {said}\n'
        'if [ "$1" = venv ]; then mkdir "$4/bin"; P="$4/bin/python"\n'
        f"""printf '#!/bin/sh\nexec {sys.executable} {options} "$@"\n' > "$P"; chmod +x "$P"; fi\n"""
    )
    uv.chmod(0o755)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("humanize")
    job = Job("environment", TimeLimit(60.0))
    build(requirements, Interpreter(("/base/python",)), Installer(str(uv)), place=place, job=job)
    made = f"https://host/simple pip install --python {place}/bin/python"
    expected = [
        f"https://host/simple venv --python /base/python {place}",
        f"{made} -r {requirements}",
        f"{made} numpy",
    ]
    assert said.read_text().splitlines() == expected[: installs + 1]
