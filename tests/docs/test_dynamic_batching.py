"""docs/dynamic_batching.md: its configurations load; pictures are of the recorded runs."""

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
PICTURE_NAMES = ["dynamic_batching", "rate_limiter"]
PICTURES = Path(__file__).resolve().parents[2] / "docs/pictures"
CONFIGS = [text for _, text in PAGE.blocks if "dynamic_batching {" in text]


@pytest.mark.parametrize("text", CONFIGS)
def test_configurations_are_good(text: str) -> None:
    if "max_batch_size" not in text:
        text += "max_batch_size: 8"
    config = normalize(read_config(text, "config.pbtxt"))
    assert config.dynamic_batching is not None
    check_dynamic_batching(config, config.dynamic_batching)


def recorded(name: str) -> tuple[str, list[Bar]]:
    run = json.loads((PICTURES / f"{name}.json").read_text())
    return run["title"], [Bar(**bar) for bar in run["bars"]]


@pytest.mark.parametrize("name", PICTURE_NAMES)
def test_the_picture_is_of_the_recorded_run(name: str) -> None:
    assert (PICTURES / f"{name}.svg").read_text() == draw(*recorded(name))


def test_the_picture_of_batches_shows_what_the_page_says() -> None:
    _, bars = recorded("dynamic_batching")
    batches = [bar.label for bar in bars if bar.kind == "runs"]
    assert batches == [f"batch {number}" for number in (1, 1, 1, 2, 2, 3, 3, 2, 4)]
