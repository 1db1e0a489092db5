from __future__ import annotations

from dataclasses import replace

import pytest

from tritium.config.validate_ensemble import check_ensemble
from tritium.core.model_config import (
    EnsembleScheduling,
    EnsembleStep,
    ModelConfig,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
)
from tritium.errors import ConfigError

FIRST = EnsembleStep("a", -1, {"x": "IN"}, {"y": "MIDDLE"})
SECOND = EnsembleStep("b", -1, {"x": "MIDDLE"}, {"y": "OUT"})


def ensemble(*steps: EnsembleStep) -> ModelConfig:
    return ModelConfig(
        name="e",
        platform="ensemble",
        input=(ModelInput("IN", "TYPE_FP32", dims=(1,)),),
        output=(ModelOutput("OUT", "TYPE_FP32", dims=(1,)),),
        ensemble_scheduling=EnsembleScheduling(steps),
    )


def refusal(config: ModelConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        check_ensemble(config)
    return str(caught.value)


def test_takes_steps_in_any_order() -> None:
    check_ensemble(ensemble(FIRST, SECOND))
    check_ensemble(ensemble(SECOND, FIRST))


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        (ensemble(), "must specify 'step' for ensemble 'e'"),
        (
            ModelConfig(name="e", platform="ensemble"),
            "ensemble scheduling must be set for ensemble e whose platform is ensemble",
        ),
        (
            ensemble(replace(FIRST, input_map={}), SECOND),
            "must specify 'input_map' in step 0 of ensemble 'e'",
        ),
        (
            ensemble(FIRST, replace(SECOND, output_map={})),
            "must specify 'output_map' in step 1 of ensemble 'e'",
        ),
        (
            ensemble(replace(FIRST, model_name=""), SECOND),
            "must specify 'model_name' in step 0 of ensemble 'e'",
        ),
        (ensemble(replace(FIRST, input_map={"x": ""}), SECOND), "step 0 of ensemble 'e' has an empty"),
        (
            ensemble(replace(SECOND, input_map={"x": "MIDDLE"})),
            "ensemble input 'IN' for ensemble e' is not used",
        ),
        (ensemble(FIRST), "ensemble output 'OUT' for ensemble e' is not used"),
        (
            replace(ensemble(FIRST, SECOND), instance_group=(ModelInstanceGroup(),)),
            "instance group should not be specified for ensemble 'e'",
        ),
        (
            ensemble(FIRST, SECOND, SECOND),
            "ensemble tensor 'OUT' can appear in an output map only once for ensemble 'e' step 2",
        ),
        (
            ensemble(FIRST, replace(SECOND, output_map={"y": "OUT", "z": "IN"})),
            "ensemble input 'IN' is also written by step 1 of ensemble 'e'",
        ),
        (
            ensemble(FIRST, replace(SECOND, input_map={"x": "MIDDLE", "w": "NOWHERE"})),
            "ensemble tensor 'NOWHERE', which step 1 of ensemble 'e' needs, is never made before it",
        ),
        (
            ensemble(FIRST, replace(SECOND, input_map={"x": "OUT"})),
            "ensemble tensor 'OUT', which step 1 of ensemble 'e' needs, is never made before it",
        ),
    ],
)
def test_says_the_cause_in_tritons_words(config: ModelConfig, cause: str) -> None:
    assert refusal(config).startswith(cause)
