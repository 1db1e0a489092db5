"""What ran when, as a picture: rows of (lane, start, end, label) to an SVG that reads in light and dark.

Times are in any one unit; the axis says which. ``python docs/draw_timeline.py RUN.json OUT.svg`` draws a
recorded run: an object with ``title``, ``unit`` and ``bars``, a list of objects with the fields of ``Bar``.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_LANE_PX = 30
_BAR_PX = 22
_LABEL_PX = 7.0  # of one character
_TOP_PX = 44
_PLOT_PX = 640
_GAP_PX = 12
_TICKS = 6
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 14px }
.axis { fill: #57606a }
.grid { stroke: #d0d7de; stroke-width: 1 }
.bar { stroke-width: 1 }
.k0 { fill: #b6d7f5; stroke: #3b82c4 }
.k1 { fill: #c8e6c0; stroke: #4b9b3a }
.k2 { fill: #f7d9a8; stroke: #c07f1a }
.k3 { fill: #e3cdf3; stroke: #8b56b8 }
.k4 { fill: #f5c3c3; stroke: #c24848 }
.k5 { fill: #d8dee4; stroke: #6e7781 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .axis { fill: #9198a1 } .grid { stroke: #3d444d }
  .k0 { fill: #1f4b75; stroke: #6cb2f5 }
  .k1 { fill: #24512a; stroke: #6ecb63 }
  .k2 { fill: #664312; stroke: #eab05a }
  .k3 { fill: #4b2e63; stroke: #c79bed }
  .k4 { fill: #6b2626; stroke: #f08a8a }
  .k5 { fill: #30363d; stroke: #9198a1 }
}
"""
_KINDS = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that took from ``start`` to ``end`` in a lane; bars of one ``kind`` share a colour."""

    lane: str
    start: float
    end: float
    label: str
    kind: str = ""


def draw(title: str, bars: Sequence[Bar], *, unit: str = "ms") -> str:
    """The SVG of ``bars``: lanes and colours in the order in which they first appear, time to the right.

    Raises:
        ValueError: there is nothing to draw, or a bar ends before it starts.
    """
    if not bars:
        raise ValueError("a timeline needs at least one bar")
    for bar in bars:
        if bar.end < bar.start:
            raise ValueError(f"bar '{bar.label}' of lane '{bar.lane}' ends at {bar.end}, before {bar.start}")
    lanes = list(dict.fromkeys(bar.lane for bar in bars))
    kinds = list(dict.fromkeys(bar.kind for bar in bars))
    left = _GAP_PX * 2 + _LABEL_PX * max(len(lane) for lane in lanes)
    first, last = min(bar.start for bar in bars), max(bar.end for bar in bars)
    scale = _PLOT_PX / ((last - first) or 1.0)
    bottom = _TOP_PX + _LANE_PX * len(lanes)
    width, height = left + _PLOT_PX + 2 * _GAP_PX, bottom + 28
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">',
        f"<desc>{escape(title)}</desc><style>{_STYLE}</style>",
        f'<text class="title" x="{_GAP_PX}" y="22">{escape(title)}</text>',
    ]
    step = _step((last - first) or 1.0)
    for number in range(math.ceil(first / step), math.floor(last / step) + 1):
        x = left + (number * step - first) * scale
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{_TOP_PX - 6}" x2="{x:.1f}" y2="{bottom}"/>')
        shown = f"{number * step:g} {unit}"
        parts.append(f'<text class="axis" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{shown}</text>')
    for place, lane in enumerate(lanes):
        y = _TOP_PX + _LANE_PX * place + _BAR_PX / 2 + 4
        parts.append(f'<text x="{left - _GAP_PX:.0f}" y="{y:.0f}" text-anchor="end">{escape(lane)}</text>')
    for bar in bars:
        x, y = left + (bar.start - first) * scale, _TOP_PX + _LANE_PX * lanes.index(bar.lane)
        parts.append(_bar(bar, x, y, max(2.0, (bar.end - bar.start) * scale), kinds.index(bar.kind) % _KINDS))
    return "\n".join([*parts, "</svg>\n"])


def _bar(bar: Bar, x: float, y: float, width: float, kind: int) -> str:
    """A rectangle, its label if there is room for it, and what a pointer over it is told."""
    about = f"{bar.lane}: {bar.label}, {bar.start:g} to {bar.end:g}"
    rectangle = (
        f'<rect class="bar k{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR_PX}" rx="3">'
    )
    shape = f"{rectangle}<title>{escape(about)}</title></rect>"
    if _LABEL_PX * len(bar.label) > width:
        return shape
    middle = x + width / 2
    return f'{shape}<text x="{middle:.1f}" y="{y + 15}" text-anchor="middle">{escape(bar.label)}</text>'


def _step(span: float) -> float:
    """A round distance between ticks: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    return next((power * factor for factor in (1, 2, 5) if span / (power * factor) <= _TICKS), power * 10)


def main(arguments: Sequence[str]) -> int:
    """Draw the run in the first file into the second."""
    run = json.loads(Path(arguments[0]).read_text())
    bars = [Bar(**bar) for bar in run["bars"]]
    Path(arguments[1]).write_text(draw(run["title"], bars, unit=run.get("unit", "ms")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
