"""docs/reliability.md: every row has its tests, and every one of these tests has its row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| `(\w+)` \|.*\| ([^|]+) \|$", (ROOT / "docs" / "reliability.md").read_text(), re.MULTILINE
)
PLACES = [(row, path) for row, cell in ROWS for path in re.findall(r"`([^`]+)`", cell)]


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 20
    assert len({row for row, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("row", "path"), PLACES)
def test_a_row_has_tests_where_the_page_says(row: str, path: str) -> None:
    assert f"def test_{row}_" in (ROOT / path).read_text()


@pytest.mark.parametrize("row", [row for row, _ in ROWS])
def test_the_page_names_every_file_with_tests_of_a_row(row: str) -> None:
    files = (ROOT / "tests" / "behaviour").glob("test_*.py")
    found = {str(path.relative_to(ROOT)) for path in files if f"def test_{row}_" in path.read_text()}
    assert found == {path for known, path in PLACES if known == row}
