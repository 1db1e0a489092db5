"""Tests for ``tritium.cli.serve_flags``."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tritium.cli.serve_flags import add_flags, all_flags, options_of, shown_default
from tritium.cli.settings import setting_names
from tritium.options import ServerOptions

# Not for `tritium serve`: the mode follows from --load-model, and levels are chosen by --log-level.
IMPLIED = {"model_control_mode", "log_silenced", "xrt", "terminal"}


def parse(*argv: str) -> ServerOptions:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return options_of(parser.parse_args(["--model-repository", "models", *argv]))


def test_a_repository_alone_gives_the_defaults() -> None:
    assert parse() == ServerOptions(model_repositories=(Path("models"),))


def test_every_option_has_a_flag() -> None:
    assert set(setting_names()) - {flag.setting for flag in all_flags()} <= IMPLIED


def test_every_flag_has_an_option() -> None:
    assert {flag.setting for flag in all_flags()} <= set(setting_names())


def test_every_switch_changes_its_option() -> None:
    for flag in (flag for flag in all_flags() if not flag.metavar):
        assert parse(flag.name) != parse(), flag.name


def test_values_go_to_their_options() -> None:
    options = parse(
        "--model-repository", "more", "--host", "::1", "--http-port", "0", "--metrics-port", "9",
        "--exit-timeout-secs", "1.5", "--log-level", "verbose", "--log-file", "x.log", "--no-metrics",
    )  # fmt: skip
    assert options.model_repositories == (Path("models"), Path("more"))
    assert (options.http.address, options.http.port, options.metrics.port) == ("::1", 0, 9)
    assert (options.exit_timeout_s, options.log_level, options.log_file) == (1.5, "verbose", Path("x.log"))
    assert not options.metrics.enabled


def test_named_models_are_loaded_explicitly_and_once() -> None:
    options = parse("--load-model", "a", "--load-model", "b", "--load-model", "a")
    assert (options.model_control_mode, options.startup_models) == ("explicit", ("a", "b"))


def test_a_star_loads_all_models() -> None:
    options = parse("--load-model", "*")
    assert (options.model_control_mode, options.startup_models) == ("explicit", None)


def test_a_star_stands_alone() -> None:
    with pytest.raises(ValueError, match="remove the other --load-model flags"):
        parse("--load-model", "*", "--load-model", "a")


def test_explicit_control_starts_with_nothing_but_what_is_named() -> None:
    control = ("--model-control-mode", "explicit")
    assert parse(*control).startup_models == ()
    assert parse(*control, "--load-model", "a").startup_models == ("a",)
    assert parse("--model-control-mode", "none").startup_models is None


def test_models_are_named_under_explicit_control_only() -> None:
    with pytest.raises(ValueError, match="--load-model needs --model-control-mode explicit, got none"):
        parse("--model-control-mode", "none", "--load-model", "a")


def test_backend_settings_are_gathered_by_backend() -> None:
    options = parse(
        "--backend-config", "default-max-batch-size=8", "--backend-config", "python,shm-default-byte-size=1"
    )
    assert options.backend_config == {
        "": {"default-max-batch-size": "8"},
        "python": {"shm-default-byte-size": "1"},
    }


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--http-port", "99999"], "argument --http-port: expected an integer from 0 to 65535, got '99999'"),
        (
            ["--log-level", "loud"],
            "argument --log-level: expected one of error, warning, info, verbose, got 'loud'",
        ),
        (["--backend-config", "foo"], "argument --backend-config: --backend-config option format is"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(*argv)
    assert words in capsys.readouterr().err


def test_defaults_are_shown_where_a_value_has_one() -> None:
    shown = {flag.name: shown_default(flag) for flag in all_flags()}
    assert shown["--http-port"] == "8000"
    assert shown["--exit-timeout-secs"] == "30"
    assert shown["--log-file"] == shown["--no-metrics"] == shown["--model-repository"] == ""
