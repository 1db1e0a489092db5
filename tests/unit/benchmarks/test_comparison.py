"""benchmarks.comparison: turns, medians, ratios and bars."""

from __future__ import annotations

import pytest

from benchmarks.comparison import Bar, compared, format_figure, in_turns, measured
from benchmarks.load import Window


def test_measures_both_sides_in_turns() -> None:
    order: list[str] = []

    def side(name: str, per_second: float) -> Window:
        order.append(name)
        return Window(per_second, 1.0, 1.0, 1.0)

    ours, theirs = in_turns(2, lambda: side("A", 2.0), lambda: side("B", 1.0))
    assert order == ["A", "B", "A", "B"]
    assert [w.per_second for w in ours] == [2.0, 2.0]
    assert [w.per_second for w in theirs] == [1.0, 1.0]


def test_compares_medians_so_that_one_bad_window_does_not_decide() -> None:
    row = compared("w", [30.0, 1.0, 31.0], [10.0, 10.0, 500.0], "/s", Bar(1.5, "x"))
    assert row.holds is True
    assert row.ratio == "3.00x"
    assert row.ours == "30.00 /s (1.00 .. 31.00)"
    assert row.bar == ">= 1.50x"


def test_holds_a_bar_by_the_unrounded_figure() -> None:
    row = compared("w", [1.499], [1.0], "/s", Bar(1.5, "x"))
    assert row.ratio == "1.50x"
    assert row.holds is False


def test_a_bar_may_be_an_upper_one() -> None:
    assert measured("w", [1.2, 1.0, 9.0], Bar(1.5, "s", at_most=True)).holds is True
    row = measured("w", [1.6], Bar(1.5, "s", at_most=True))
    assert (row.holds, row.ours, row.bar, row.theirs, row.ratio) == (False, "1.60 s", "<= 1.50 s", "", "")


@pytest.mark.parametrize(
    ("figure", "unit", "text"),
    [(17600.4, "/s", "17600 /s"), (241.02, "us", "241.0 us"), (56.34, "us", "56.34 us"), (0.5, "x", "0.50x")],
)
def test_writes_the_digits_that_mean_something(figure: float, unit: str, text: str) -> None:
    assert format_figure(figure, unit) == text
