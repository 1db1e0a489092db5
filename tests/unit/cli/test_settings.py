"""Tests for ``tritium.cli.settings``."""

from __future__ import annotations

import pytest

from tritium.cli.settings import default_of, options_from, setting_names
from tritium.options import HttpOptions, ServerOptions


def test_nothing_given_is_the_defaults() -> None:
    assert options_from({}) == ServerOptions()


def test_settings_go_to_the_fields_that_they_name() -> None:
    options = options_from({"http.port": 1, "metrics.port": 2, "server_id": "x"})
    assert (options.http.port, options.metrics.port, options.server_id) == (1, 2, "x")
    assert options.http.address == HttpOptions().address


def test_an_unknown_setting_is_a_mistake() -> None:
    with pytest.raises(TypeError):
        options_from({"http.nope": 1})


def test_defaults_are_found_by_name() -> None:
    assert default_of("http.port") == 8000
    assert default_of("exit_timeout_s") == 30.0


def test_names_reach_into_the_parts() -> None:
    assert {"server_id", "http.port", "metrics.cpu"} <= set(setting_names())
    assert "http" not in setting_names()
