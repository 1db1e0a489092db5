"""The scheduling that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tritium.core.interfaces import ModelInstance
from tritium.core.model_config import DynamicBatching, ModelConfig, QueuePolicy, SequenceBatching
from tritium.core.reshape import Reshape
from tritium.core.statistics import BatchReleases, ModelStatistics
from tritium.core.tensor import Tensor
from tritium.scheduling.compatibility import batch_signature
from tritium.scheduling.direct import DirectPolicy
from tritium.scheduling.dynamic_batcher import DynamicBatcher
from tritium.scheduling.ordering import ResponseOrder
from tritium.scheduling.policy import BatchPolicy
from tritium.scheduling.queue import QueueSettings
from tritium.scheduling.rate_limiter import LimitedInstances
from tritium.scheduling.runner import BatchRunner
from tritium.scheduling.sequence_batcher import SequenceBatcher
from tritium.scheduling.sequence_policy import sequence_batcher
from tritium.scheduling.sequence_runner import SequenceRunner


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What decides when requests of one model run and answers leave, and where that is counted."""

    policy: BatchPolicy | SequenceBatcher
    statistics: ModelStatistics
    order: ResponseOrder | None = None

    def runner(
        self,
        instances: Sequence[ModelInstance],
        output_reshape: Reshape | None,
        limited: LimitedInstances | None,
        unavailable: Callable[[], str | None] = lambda: None,
    ) -> BatchRunner:
        """The shell around the policy; arguments as for ``BatchRunner``."""
        if isinstance(self.policy, SequenceBatcher):
            return SequenceRunner(
                self.policy,
                instances,
                self.statistics,
                output_reshape=output_reshape,
                order=self.order,
                limited=limited,
                unavailable=unavailable,
            )
        return BatchRunner(
            self.policy,
            instances,
            self.statistics,
            output_reshape=output_reshape,
            order=self.order,
            limited=limited,
            unavailable=unavailable,
        )


def scheduling_of(
    config: ModelConfig,
    max_queue_size: int,
    *,
    instances: int = 1,
    initial_states: Mapping[str, Tensor] | None = None,
) -> Scheduling:
    """The scheduling of a checked configuration.

    Args:
        max_queue_size: requests that may wait where the configuration gives no bound.
        instances: how many the model has.
        initial_states: of its sequences, by input name.
    """
    batching = config.dynamic_batching
    if config.sequence_batching is not None:
        return _sequences(config, config.sequence_batching, max_queue_size, instances, initial_states or {})
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


def _sequences(
    config: ModelConfig,
    batching: SequenceBatching,
    max_queue_size: int,
    instances: int,
    initial: Mapping[str, Tensor],
) -> Scheduling:
    releases = BatchReleases() if batching.oldest is not None else None
    policy = sequence_batcher(
        config, batching, initial, instances=instances, max_queue_size=max_queue_size, releases=releases
    )
    ordered = batching.oldest is not None and batching.oldest.preserve_ordering
    order = ResponseOrder(max_queue_size) if ordered else None
    return Scheduling(policy, ModelStatistics(releases=releases), order)
