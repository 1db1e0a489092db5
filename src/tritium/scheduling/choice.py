"""The scheduling that a configuration asks for."""

from __future__ import annotations

from dataclasses import dataclass

from tritium.core.model_config import DynamicBatching, ModelConfig, QueuePolicy
from tritium.core.statistics import BatchReleases, ModelStatistics
from tritium.scheduling.compatibility import batch_signature
from tritium.scheduling.direct import DirectPolicy
from tritium.scheduling.dynamic_batcher import DynamicBatcher
from tritium.scheduling.ordering import ResponseOrder
from tritium.scheduling.policy import BatchPolicy
from tritium.scheduling.queue import QueueSettings


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What decides when requests of one model run and answers leave, and where that is counted."""

    policy: BatchPolicy
    statistics: ModelStatistics
    order: ResponseOrder | None = None


def scheduling_of(config: ModelConfig, max_queue_size: int) -> Scheduling:
    """The scheduling of a checked configuration.

    Args:
        max_queue_size: requests that may wait where the configuration gives no bound.
    """
    batching = config.dynamic_batching
    if batching is None:
        return Scheduling(DirectPolicy(max_queue_size), ModelStatistics())
    statistics = ModelStatistics(releases=(releases := BatchReleases()))
    policy = DynamicBatcher(
        config.max_batch_size,
        queue=_queue(batching, max_queue_size),
        preferred_batch_sizes=batching.preferred_batch_size,
        max_queue_delay_us=batching.max_queue_delay_microseconds,
        signature=batch_signature(config),
        releases=releases,
    )
    order = ResponseOrder(max_queue_size) if batching.preserve_ordering else None
    return Scheduling(policy, statistics, order)


def _queue(batching: DynamicBatching, max_queue_size: int) -> QueueSettings:
    return QueueSettings(
        max_queue_size,
        batching.priority_levels,
        batching.default_priority_level,
        batching.default_queue_policy or QueuePolicy(),
        batching.priority_queue_policy,
    )
