"""docs/response_cache.md: the picture is of the recorded run, and shows what the page says."""

from __future__ import annotations

import json
from pathlib import Path

from docs.draw_timeline import Bar, draw

PICTURES = Path(__file__).resolve().parents[2] / "docs/pictures"


def recorded() -> tuple[str, list[Bar]]:
    run = json.loads((PICTURES / "response_cache.json").read_text())
    return run["title"], [Bar(**bar) for bar in run["bars"]]


def test_the_picture_is_of_the_recorded_run() -> None:
    assert (PICTURES / "response_cache.svg").read_text() == draw(*recorded())


def test_each_question_is_computed_when_it_is_asked_first_and_while_that_runs() -> None:
    _, bars = recorded()
    assert [bar.label for bar in bars if bar.kind == "runs"] == ["A", "A", "B", "C"]
    lanes = {
        lane: [bar.label for bar in bars if bar.lane == lane] for lane in dict.fromkeys(b.lane for b in bars)
    }
    assert lanes["question A"] == ["miss", "hit", "hit", "hit"]
    assert lanes["A, another client"] == ["miss", "hit"]
    assert (lanes["question B"], lanes["question C"]) == (["miss", "hit", "hit"], ["miss", "hit"])
    assert all(bar.end - bar.start < 5 for bar in bars if bar.label == "hit")
