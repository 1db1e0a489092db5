"""What Triton fills in where a configuration is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tritium.config.names import shown
from tritium.config.platforms import fill_platform
from tritium.core.model_config import (
    DynamicBatching,
    LatestVersions,
    ModelConfig,
    ModelInstanceGroup,
    ModelTransactionPolicy,
    Optimization,
    PinnedMemoryBuffer,
    SequenceBatching,
    VersionPolicy,
)
from tritium.errors import ConfigError

SEQUENCE_IDLE_US = 1_000_000  # as Triton


def with_name(config: ModelConfig, directory: str) -> ModelConfig:
    """``config`` with the directory's name.

    Raises:
        ConfigError: it has another name.
    """
    if config.name and config.name != directory:
        raise ConfigError(
            f"unexpected directory name '{directory}' for model '{shown(config.name)}', directory name must "
            "equal model "
            f'name; write name: "{directory}" or remove the line'
        )
    return replace(config, name=directory)


def normalize(
    config: ModelConfig, *, default_instance_count: int = 1, gpus: Sequence[int] = ()
) -> ModelConfig:
    """``config``, whose name is set, with everything that Triton fills in without looking at files.

    Args:
        default_instance_count: of a group on CPUs that gives none (Triton: 2 for onnxruntime, else 1).
        gpus: the usable devices; with none, KIND_AUTO is KIND_CPU.
    """
    config = fill_platform(config)
    config = replace(
        config,
        version_policy=config.version_policy or VersionPolicy(latest=LatestVersions(1)),
        dynamic_batching=_dynamic(config.dynamic_batching, config.max_batch_size),
        sequence_batching=_sequence(config.sequence_batching, config.max_batch_size),
    )
    if config.is_ensemble:
        policy = config.model_transaction_policy or ModelTransactionPolicy()
        return replace(config, model_transaction_policy=policy)
    return replace(
        config,
        optimization=_optimization(config.optimization or Optimization()),
        instance_group=_groups(config, default_instance_count, tuple(gpus)),
    )


def _optimization(given: Optimization) -> Optimization:
    pinned = PinnedMemoryBuffer(enable=True)
    return replace(
        given,
        input_pinned_memory=given.input_pinned_memory or pinned,
        output_pinned_memory=given.output_pinned_memory or pinned,
    )


def _dynamic(given: DynamicBatching | None, max_batch_size: int) -> DynamicBatching | None:
    if given is None or given.preferred_batch_size or max_batch_size < 1:
        return given
    return replace(given, preferred_batch_size=(max_batch_size,))


def _sequence(given: SequenceBatching | None, max_batch_size: int) -> SequenceBatching | None:
    if given is None:
        return None
    oldest = given.oldest
    if oldest is not None and not oldest.preferred_batch_size and max_batch_size > 0:
        oldest = replace(oldest, preferred_batch_size=(max_batch_size,))
    idle_us = given.max_sequence_idle_microseconds or SEQUENCE_IDLE_US
    return replace(given, oldest=oldest, max_sequence_idle_microseconds=idle_us)


def _groups(config: ModelConfig, default_count: int, gpus: tuple[int, ...]) -> tuple[ModelInstanceGroup, ...]:
    # A single group that nobody wrote has no number in its name.
    given = config.instance_group or (ModelInstanceGroup(name=config.name),)
    return tuple(
        _group(group, group.name or f"{config.name}_{index}", default_count, gpus)
        for index, group in enumerate(given)
    )


def _group(
    given: ModelInstanceGroup, name: str, default_count: int, gpus: tuple[int, ...]
) -> ModelInstanceGroup:
    kind = given.kind
    if kind == "KIND_AUTO":
        kind = "KIND_GPU" if gpus and set(given.gpus) <= set(gpus) else "KIND_CPU"
    count = given.count
    if count < 1:  # -1 too, as Triton
        count = default_count if kind == "KIND_CPU" else 1
    devices = given.gpus or gpus if kind == "KIND_GPU" else given.gpus
    return replace(given, name=name, kind=kind, count=count, gpus=devices)
