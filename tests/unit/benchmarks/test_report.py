"""benchmarks.report: the report as text."""

from __future__ import annotations

import platform

from benchmarks.comparison import Row
from benchmarks.report import machine_facts, render_report, render_table, versions


def test_a_table_has_a_line_per_row_and_a_dash_for_what_is_missing() -> None:
    lines = render_table(
        [Row("a", "1 s", bar="<= 2 s", holds=True), Row("b", "1", "2", "0.5x", ">= 1x", False)]
    )
    assert lines[2:] == ["| a | 1 s | - | - | <= 2 s | yes |", "| b | 1 | 2 | 0.5x | >= 1x | **no** |"]
    assert all(line.count("|") == 7 for line in lines)


def test_a_bar_character_in_a_cell_does_not_end_the_cell() -> None:
    assert render_table([Row("a|b")])[2] == "| a/b | - | - | - | - | skipped |"


def test_a_report_says_the_facts_the_reasons_and_the_commands() -> None:
    text = render_report([Row("small", note="skipped: no network")], {"date": "2030-01-02"}, ["make bench"])
    assert "- date: 2030-01-02\n" in text
    assert "| small | - | - | - | - | skipped |\n" in text
    assert "- small: skipped: no network\n" in text
    assert "```\nmake bench\n```\n" in text


def test_a_report_without_notes_has_no_place_for_them() -> None:
    assert "Notes:" not in render_report([Row("a", "1", holds=True)], {}, [])


def test_facts_name_the_processor_and_its_cores() -> None:
    assert machine_facts()["processor"].endswith(" cores")


def test_versions_say_what_is_not_installed() -> None:
    text = versions(["numpy", "no-such-distribution"])
    assert text.startswith(f"Python {platform.python_version()}, numpy ")
    assert text.endswith("no-such-distribution (not installed as a distribution)")
