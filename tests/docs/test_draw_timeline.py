from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.draw_timeline import Bar, draw, main

_SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_placed_by_lane_and_time() -> None:
    svg = draw("run", [Bar("a", 0, 10, "first"), Bar("b", 5, 10, "second"), Bar("a", 10, 20, "third")])
    boxes = [
        [float(box.attrib[name]) for name in ("x", "y", "width")]
        for box in ElementTree.fromstring(svg).iter(f"{_SVG}rect")
    ]
    first, second, third = boxes
    assert first[1] == third[1] < second[1]
    assert first[0] + first[2] == pytest.approx(third[0], abs=0.2)
    assert second[2] == pytest.approx(first[2] / 2, abs=0.2)


def test_texts_are_escaped_and_a_short_bar_keeps_its_label_to_the_pointer() -> None:
    svg = draw("a < b", [Bar("lane", 0, 1000, "wide"), Bar("lane", 1000, 1001, "<narrow>")])
    texts = [text.text for text in ElementTree.fromstring(svg).iter(f"{_SVG}text")]
    assert "a < b" in texts and "wide" in texts and "<narrow>" not in texts
    titles = [title.text for title in ElementTree.fromstring(svg).iter(f"{_SVG}title")]
    assert titles[1] == "lane: <narrow>, 1000 to 1001"


def test_colours_follow_kinds_and_dark_has_its_own() -> None:
    svg = draw("run", [Bar("a", 0, 1, "x", "one"), Bar("a", 1, 2, "y", "two"), Bar("a", 2, 3, "z", "one")])
    classes = [box.attrib["class"] for box in ElementTree.fromstring(svg).iter(f"{_SVG}rect")]
    assert classes == ["bar k0", "bar k1", "bar k0"]
    assert "prefers-color-scheme: dark" in svg


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one bar"):
        draw("run", [])
    with pytest.raises(ValueError, match="'x' of lane 'a' ends at 1, before 2"):
        draw("run", [Bar("a", 2, 1, "x")])


def test_a_recorded_run_becomes_a_file(tmp_path: Path) -> None:
    run = {"title": "run", "unit": "us", "bars": [{"lane": "a", "start": 0, "end": 4, "label": "x"}]}
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert main([str(tmp_path / "run.json"), str(tmp_path / "run.svg")]) == 0
    assert "4 us" in (tmp_path / "run.svg").read_text()
