"""``--cpu-fallback``: instance groups that ask for GPUs, on a machine that has none."""

from __future__ import annotations

from dataclasses import replace

from tritium.core.model_config import ModelConfig, ModelInstanceGroup


def on_cpu(config: ModelConfig) -> tuple[ModelConfig, tuple[str, ...]]:
    """``config`` with the groups that ask for GPUs on the CPU instead, and a warning for each of them."""
    groups = tuple(_group_on_cpu(group) for group in config.instance_group)
    warnings = tuple(
        f"model '{config.name}', instance group {given.name or index}: {_asked(given)}, and no GPU is "
        "available; served on the CPU, as --cpu-fallback says"
        for index, (given, group) in enumerate(zip(config.instance_group, groups, strict=True))
        if group is not given
    )
    return replace(config, instance_group=groups), warnings


def _group_on_cpu(group: ModelInstanceGroup) -> ModelInstanceGroup:
    if group.kind == "KIND_GPU" or (group.kind == "KIND_AUTO" and group.gpus):
        return replace(group, kind="KIND_CPU", gpus=())
    return group


def _asked(group: ModelInstanceGroup) -> str:
    devices = f" and gpus [ {', '.join(map(str, group.gpus))} ]" if group.gpus else ""
    return f"it has kind {group.kind}{devices}"
