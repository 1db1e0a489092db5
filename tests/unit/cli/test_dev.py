from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tritium.cli.dev import add_flags, options_of, run, watched


def parsed(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return parser.parse_args(argv)


def test_files_that_matter_are_watched(tmp_path: Path) -> None:
    for name in (
        "1/model.py",
        "config.pbtxt",
        "requirements.txt",
        "1/__pycache__/x.py",
        ".git/y.py",
        "1/w.bin",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    before = watched(tmp_path)
    assert set(before) == {"1/model.py", "config.pbtxt", "requirements.txt"}
    assert watched(tmp_path) == before
    (tmp_path / "1" / "model.py").write_text("x")
    assert watched(tmp_path) != before


def test_the_options_are_those_of_a_developer(tmp_path: Path) -> None:
    options = options_of(
        parsed(str(tmp_path / "m"), "--http-port", "0", "--backend-config=python,installer=pip")
    )
    assert options.model_repositories == (tmp_path,)
    assert options.startup_models == ("m",)
    assert (options.http.port, options.grpc.enabled, options.metrics.enabled) == (0, False, False)
    assert options.debug_errors and options.terminal and not options.exit_on_error
    assert options.backend_config == {"python": {"installer": "pip"}}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("", "expected the directory of a model, found nothing"),
        ("file", "found a file"),
        ("directory/model.py", "expected a directory per version with a model.py in it"),
    ],
)
def test_what_is_no_model_is_refused(
    tmp_path: Path, make: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if make:
        (tmp_path / make).parent.mkdir(exist_ok=True)
        (tmp_path / make).touch()
    name = make.partition("/")[0] or "nothing"
    assert run(parsed(str(tmp_path / name))) == 2
    assert words in capsys.readouterr().err


def test_a_setting_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("m", "--backend-config=python,nothing=1")
    assert "has no setting 'nothing'" in capsys.readouterr().err
