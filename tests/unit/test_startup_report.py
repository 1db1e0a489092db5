"""Tests for ``tritium.startup_report``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tritium.options import ServerOptions
from tritium.startup_report import (
    Endpoint,
    backend_rows,
    backend_table,
    model_table,
    option_rows,
    option_table,
    ready_line,
    repository_agent_table,
    status_cell,
)

OPTIONS = ServerOptions(model_repositories=(Path("/models"), Path("/more")))


def test_models_are_shown_as_triton_shows_them() -> None:
    rows = [("auto", "1", "READY"), ("multi", "1", "READY"), ("multi", "3", "READY")]
    assert model_table(rows) == (
        "+-------+---------+--------+\n"
        "| Model | Version | Status |\n"
        "+-------+---------+--------+\n"
        "| auto  | 1       | READY  |\n"
        "| multi | 1       | READY  |\n"
        "| multi | 3       | READY  |\n"
        "+-------+---------+--------+\n"
    )


def test_lines_of_a_status_become_rows() -> None:
    status = status_cell("UNAVAILABLE", "Internal: no\nway\n")
    assert model_table([("bad", "1", status), ("echo", "1", status_cell("READY"))]) == (
        "+-------+---------+---------------------------+\n"
        "| Model | Version | Status                    |\n"
        "+-------+---------+---------------------------+\n"
        "| bad   | 1       | UNAVAILABLE: Internal: no |\n"
        "|       |         | way                       |\n"
        "| echo  | 1       | READY                     |\n"
        "+-------+---------+---------------------------+\n"
    )


def test_a_cell_cannot_send_control_characters_to_the_terminal() -> None:
    assert "| a\\x1b[2J\\rb |" in model_table([("m", "1", "a\x1b[2J\rb")])


def test_a_table_without_rows_has_a_header() -> None:
    assert repository_agent_table() == (
        "+------------------+------+\n"
        "| Repository Agent | Path |\n"
        "+------------------+------+\n"
        "+------------------+------+\n"
    )


def test_backends_show_their_settings_and_no_path_of_the_machine() -> None:
    options = replace(OPTIONS, backend_config={"": {"default-max-batch-size": "8"}, "python": {"a": "b"}})
    rows = backend_rows(["python", "onnxruntime", "python"], options)
    assert rows == [
        (
            "onnxruntime",
            "builtin",
            '{"cmdline":{"auto-complete-config":"true","default-max-batch-size":"8"}}',
        ),
        (
            "python",
            "builtin",
            '{"cmdline":{"auto-complete-config":"true","default-max-batch-size":"8","a":"b"}}',
        ),
    ]
    assert backend_table(rows).splitlines()[1].split() == ["|", "Backend", "|", "Path", "|", "Config", "|"]


def test_options_have_tritons_names_and_order() -> None:
    assert option_rows(OPTIONS, version="1.2", extensions=["a", "b"]) == [
        ("server_id", "triton"),
        ("server_version", "1.2"),
        ("server_extensions", "a b"),
        ("model_repository_path[0]", "/models"),
        ("model_repository_path[1]", "/more"),
        ("model_control_mode", "MODE_NONE"),
        ("strict_model_config", "0"),
        ("model_config_name", ""),
        ("rate_limit", "OFF"),
        ("pinned_memory_pool_byte_size", "0"),
        ("min_supported_compute_capability", "0.0"),
        ("strict_readiness", "1"),
        ("exit_timeout", "30"),
        ("cache_enabled", "0"),
    ]


@pytest.mark.parametrize(
    ("models", "rows"),
    [
        (None, [("startup_models_0", "*")]),
        (("a", "b"), [("startup_models_0", "a"), ("startup_models_1", "b")]),
    ],
)
def test_explicit_control_lists_the_startup_models(
    models: tuple[str, ...] | None, rows: list[tuple[str, str]]
) -> None:
    options = replace(OPTIONS, model_control_mode="explicit", startup_models=models)
    found = option_rows(options, version="1", extensions=[])
    at = found.index(("model_control_mode", "MODE_EXPLICIT")) + 1
    assert found[at : at + len(rows) + 1] == [*rows, ("strict_model_config", "0")]


def test_the_option_table_is_headed_option_and_value() -> None:
    assert option_table([("server_id", "triton")]).splitlines()[1] == "| Option    | Value  |"


def test_the_last_line_says_where_to_go() -> None:
    line = ready_line(3, 3, http=Endpoint("127.0.0.1", 8000), metrics=Endpoint("0.0.0.0", 8002))
    assert line == "Serving 3 models; HTTP at http://127.0.0.1:8000, metrics at http://localhost:8002/metrics"


def test_the_last_line_counts_models_that_do_not_serve() -> None:
    assert (
        ready_line(0, 1, http=Endpoint("::1", 80), metrics=None)
        == "Serving 0 of 1 model; HTTP at http://[::1]:80"
    )


def test_the_last_line_says_when_nothing_listens() -> None:
    assert ready_line(1, 1, http=None, metrics=None) == "Serving 1 model; no listener is open"
