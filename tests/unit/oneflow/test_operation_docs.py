"""Tests for ``tritium.oneflow.operation_docs``."""

from __future__ import annotations

from pathlib import Path

from tritium.oneflow.operation_docs import operations_page
from tritium.oneflow.table import OPERATIONS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "oneflow_operations.md"


def test_the_page_is_what_the_tables_say() -> None:
    command = "python -m tritium.oneflow.operation_docs > docs/reference/oneflow_operations.md"
    assert PAGE.read_text() == operations_page(), f"run: {command}"


def test_the_page_has_every_operation_once() -> None:
    page = operations_page()
    assert all(page.count(f"`{name}`") == 1 for name in OPERATIONS)
