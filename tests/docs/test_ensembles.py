"""docs/ensembles.md: what it shows of a configuration, an error and a run is so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from docs.draw_timeline import Bar, draw
from tests.unit.builders import model_input, model_output
from tritium.config.ensemble_tensors import check_ensemble_tensors
from tritium.config.pbtxt import read_config
from tritium.config.validate_ensemble import check_ensemble
from tritium.core.model_config import ModelConfig
from tritium.errors import ConfigError

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCKS = [
    "\n".join(line[4:] for line in block.splitlines() if line.startswith("    "))
    for block in (DOCS / "ensembles.md").read_text().split("\n\n")
    if block.startswith("    ")
]


def part(name: str, given: str, made: str, made_type: str) -> ModelConfig:
    return ModelConfig(
        name=name,
        max_batch_size=8,
        input=(model_input(given),),
        output=(model_output(made, made_type),),
    )


def test_its_configuration_is_good_and_its_error_is_what_one_is_told() -> None:
    config = replace(read_config(BLOCKS[0], "config.pbtxt"), name="pipeline")
    check_ensemble(config)
    network = part("network", "x", "y", "FP32")
    check_ensemble_tensors(config, [part("prepare", "RAW", "CLEAN", "FP32"), network])
    with pytest.raises(ConfigError) as caught:
        check_ensemble_tensors(config, [part("prepare", "RAW", "CLEAN", "UINT8"), network])
    assert str(caught.value) == BLOCKS[-1]


def test_the_picture_is_of_the_recorded_run_in_which_branches_overlap() -> None:
    run = json.loads((DOCS / "pictures/ensemble.json").read_text())
    bars = [Bar(**bar) for bar in run["bars"]]
    assert (DOCS / "pictures/ensemble.svg").read_text() == draw(run["title"], bars)
    first = {bar.lane: bar for bar in bars if bar.label == "1"}
    assert first["left"].start < first["right"].end and first["right"].start < first["left"].end
    assert first["prepare"].end <= min(first["left"].start, first["right"].start)
    assert first["join"].start >= max(first["left"].end, first["right"].end)
    assert [bar.lane for bar in bars if bar.label == "2 + 3"] == ["right"]
