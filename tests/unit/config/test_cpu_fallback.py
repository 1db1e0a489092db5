"""Tests for ``tritium.config.cpu_fallback``."""

from __future__ import annotations

import pytest

from tritium.config.cpu_fallback import on_cpu
from tritium.core.model_config import ModelConfig, ModelInstanceGroup


@pytest.mark.parametrize(
    ("group", "asked"),
    [
        (ModelInstanceGroup(kind="KIND_GPU", count=2), "it has kind KIND_GPU, and no GPU is available"),
        (
            ModelInstanceGroup(kind="KIND_GPU", gpus=(0, 3), count=2),
            "it has kind KIND_GPU and gpus [ 0, 3 ], and no GPU is available",
        ),
        (
            ModelInstanceGroup(kind="KIND_AUTO", gpus=(1,), count=2),
            "it has kind KIND_AUTO and gpus [ 1 ], and no GPU is available",
        ),
    ],
)
def test_a_group_that_asks_for_gpus_keeps_its_count_on_the_cpu(group: ModelInstanceGroup, asked: str) -> None:
    config, (warning,) = on_cpu(ModelConfig(name="m", instance_group=(group,)))
    assert config.instance_group == (ModelInstanceGroup(kind="KIND_CPU", count=2),)
    assert warning == f"model 'm', instance group 0: {asked}; served on the CPU, as --cpu-fallback says"


def test_other_groups_stay_as_they_are() -> None:
    groups = (
        ModelInstanceGroup(name="a", kind="KIND_CPU"),
        ModelInstanceGroup(name="b", kind="KIND_AUTO"),
        ModelInstanceGroup(name="c", kind="KIND_MODEL"),
        ModelInstanceGroup(name="d", kind="KIND_CPU", gpus=(1,)),  # a contradiction, and stays one
        ModelInstanceGroup(name="e", kind="KIND_GPU"),
    )
    config, (warning,) = on_cpu(ModelConfig(name="m", instance_group=groups))
    assert config.instance_group[:4] == groups[:4]
    assert "instance group e:" in warning


def test_a_configuration_without_groups_is_left_alone() -> None:
    assert on_cpu(ModelConfig(name="m")) == (ModelConfig(name="m"), ())
