"""docs/sequence_batching.md: its configurations load, and its picture is of the recorded run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from docs.draw_timeline import Bar, draw
from tests.harness.pages import Page
from tritium.config.defaults import normalize
from tritium.config.pbtxt import read_config
from tritium.config.unsupported import check_supported
from tritium.config.validate_schedulers import check_sequence_batching

PAGE = Page("sequence_batching.md")
PICTURES = Path(__file__).resolve().parents[2] / "docs/pictures"
CONFIGS = [text for _, text in PAGE.blocks if "sequence_batching {" in text]


@pytest.mark.parametrize("text", CONFIGS)
def test_configurations_are_good(text: str) -> None:
    config = replace(normalize(read_config(text, "config.pbtxt")), name="m")
    assert config.sequence_batching is not None
    check_sequence_batching(config, config.sequence_batching)
    check_supported(config)


def test_all_configurations_are_looked_at() -> None:
    assert len(CONFIGS) == 5


def test_the_picture_is_of_the_recorded_run() -> None:
    run = json.loads((PICTURES / "sequence_batching.json").read_text())
    bars = [Bar(**bar) for bar in run["bars"]]
    assert (PICTURES / "sequence_batching.svg").read_text() == draw(run["title"], bars)
    rows = {
        lane: {bar.kind for bar in bars if bar.lane == lane} - {"waits"} for lane in {b.lane for b in bars}
    }
    assert rows == {
        "sequence A": {"row 0"},
        "sequence B": {"row 1"},
        "sequence C": {"row 0"},
        "sequence D": {"row 1"},
    }
