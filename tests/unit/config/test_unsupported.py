from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.builders import echo_config, model_input
from tritium.config.unsupported import check_supported
from tritium.core.model_config import (
    BatchInput,
    BatchOutput,
    DynamicBatching,
    ModelConfig,
    ModelWarmup,
    QueuePolicy,
)
from tritium.errors import ConfigError

MADE = (BatchInput("BATCH_ELEMENT_COUNT", ("N",), "TYPE_INT32", ("IN",)),)
SPLIT = (BatchOutput(("OUT",), source_input=("IN",)),)
RAGGED = (model_input(allow_ragged_batch=True),)


def on(backend: str, **parts: Any) -> ModelConfig:
    return replace(echo_config(**parts), backend=backend)


@pytest.mark.parametrize(
    "config",
    [
        on("onnxruntime", input=RAGGED, batch_input=MADE, batch_output=SPLIT),
        on("python", input=RAGGED),
        on(
            "python",
            dynamic_batching=DynamicBatching(
                preserve_ordering=True, default_queue_policy=QueuePolicy("DELAY", 10, True, 5)
            ),
        ),
    ],
)
def test_takes_what_this_version_does(config: ModelConfig) -> None:
    check_supported(config)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (on("python", batch_input=MADE), "batch_input"),  # which Triton's python backend ignores
        (on("python", batch_output=SPLIT), "batch_output"),
        (
            on("", platform="ensemble", model_warmup=(ModelWarmup("w", 1),)),
            "model_warmup of an ensemble",
        ),
        (on("openvino", input=RAGGED), "allow_ragged_batch of 'IN'"),
    ],
)
def test_names_what_it_does_not(config: ModelConfig, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_supported(config)
    assert f"model 'echo' uses {named}, which this version of tritium does not support" in str(caught.value)
