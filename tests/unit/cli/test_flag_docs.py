"""Tests for ``tritium.cli.flag_docs``."""

from __future__ import annotations

from pathlib import Path

from tritium.cli import serve_flags, triton_flags
from tritium.cli.flag_docs import flags_page

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "flags.md"


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text() == flags_page(), "run: python -m tritium.cli.flag_docs > docs/reference/flags.md"


def test_the_page_has_every_flag() -> None:
    page = flags_page()
    assert all(f"| `{flag.name}" in page for flag in serve_flags.all_flags())
    assert all(f"| `--{flag.name}`" in page for flag in triton_flags.all_flags())


def test_the_page_tells_the_three_kinds_apart() -> None:
    page = flags_page()
    assert "| `--http-port` | works |" in page
    assert "| `--http-thread-count` | accepted: one event loop serves all connections |" in page
    assert (
        "| `--allow-sagemaker` | refused: the SageMaker endpoint is not offered by this version of tritium; "
        "`false` is accepted |" in page
    )
    assert "| `--model-control-mode` | works, except `poll` |" in page
