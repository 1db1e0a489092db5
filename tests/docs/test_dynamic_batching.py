"""docs/dynamic_batching.md: its configurations load, and its picture is of the recorded run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.draw_timeline import Bar, draw
from tests.harness.pages import Page
from tritium.config.defaults import normalize
from tritium.config.pbtxt import read_config
from tritium.config.validate_schedulers import check_dynamic_batching

PAGE = Page("dynamic_batching.md")
PICTURES = Path(__file__).resolve().parents[2] / "docs/pictures"
CONFIGS = [text for _, text in PAGE.blocks if "dynamic_batching {" in text]


@pytest.mark.parametrize("text", CONFIGS)
def test_configurations_are_good(text: str) -> None:
    if "max_batch_size" not in text:
        text += "max_batch_size: 8"
    config = normalize(read_config(text, "config.pbtxt"))
    assert config.dynamic_batching is not None
    check_dynamic_batching(config, config.dynamic_batching)


def test_the_picture_is_of_the_recorded_run() -> None:
    run = json.loads((PICTURES / "dynamic_batching.json").read_text())
    bars = [Bar(**bar) for bar in run["bars"]]
    assert (PICTURES / "dynamic_batching.svg").read_text() == draw(run["title"], bars)
    batches = [bar.label for bar in bars if bar.kind == "runs"]
    assert batches == [f"batch {number}" for number in (1, 1, 1, 2, 2, 3, 3, 2, 4)]
