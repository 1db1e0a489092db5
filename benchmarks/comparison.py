"""Two sides, measured in turns, and the row of the report that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.load import Window


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure must reach, in ``unit``."""

    limit: float
    unit: str
    at_most: bool = False

    def holds(self, figure: float) -> bool:
        """Whether ``figure``, unrounded, reaches the bar."""
        return figure <= self.limit if self.at_most else figure >= self.limit

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {format_figure(self.limit, self.unit)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report. ``holds`` is None where there is no bar or no figure; ``note`` may say why."""

    what: str
    ours: str = ""
    theirs: str = ""
    ratio: str = ""
    bar: str = ""
    holds: bool | None = None
    note: str = ""


def in_turns(
    rounds: int, ours: Callable[[], Window], theirs: Callable[[], Window]
) -> tuple[list[Window], list[Window]]:
    """Windows of both sides, ``rounds`` each, one after the other in turns: ours, theirs, ours, theirs...

    A change in the machine's mood so falls on both. Call each side once before, to warm it up.
    """
    windows: tuple[list[Window], list[Window]] = ([], [])
    for _ in range(rounds):
        windows[0].append(ours())
        windows[1].append(theirs())
    return windows


def compared(what: str, ours: Sequence[float], theirs: Sequence[float], unit: str, bar: Bar) -> Row:
    """The ratio of both sides' medians against ``bar``."""
    ratio = median(ours) / median(theirs)
    return Row(
        what,
        format_spread(ours, unit),
        format_spread(theirs, unit),
        format_figure(ratio, bar.unit),
        str(bar),
        bar.holds(ratio),
    )


def measured(what: str, figures: Sequence[float], bar: Bar) -> Row:
    """The median of our figures, in the bar's unit, against ``bar``."""
    return Row(what, format_spread(figures, bar.unit), bar=str(bar), holds=bar.holds(median(figures)))


def format_spread(figures: Sequence[float], unit: str) -> str:
    """Median, and the range where there is more than one figure: ``17.60 k/s (16.90 .. 18.20)``."""
    middle = format_figure(median(figures), unit)
    if len(figures) < 2:
        return middle
    return f"{middle} ({format_figure(min(figures), '')} .. {format_figure(max(figures), '')})"


def format_figure(figure: float, unit: str) -> str:
    """Three to four digits that mean something, and the unit: ``17600 /s``, ``56.3 us``, ``1.50x``."""
    digits = 0 if figure >= 1000 else 1 if figure >= 100 else 2
    text = f"{figure:.{digits}f}"
    return text + unit if unit in ("", "x") else f"{text} {unit}"
