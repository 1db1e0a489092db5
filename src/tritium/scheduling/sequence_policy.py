"""From a model's ``sequence_batching`` to its policy."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from tritium.core.model_config import ModelConfig, SequenceBatching
from tritium.core.request import InferenceRequest
from tritium.core.statistics import BatchReleases
from tritium.core.tensor import Tensor
from tritium.scheduling.compatibility import batch_signature
from tritium.scheduling.sequence_batcher import SequenceBatcher
from tritium.scheduling.sequence_controls import SequenceControls
from tritium.scheduling.sequence_slots import DirectSlots, OldestCandidates, Signature, SlotStrategy
from tritium.scheduling.sequence_state import ImplicitStates


def sequence_batcher(
    config: ModelConfig,
    batching: SequenceBatching,
    initial: Mapping[str, Tensor],
    *,
    instances: int,
    max_queue_size: int,
    releases: BatchReleases | None = None,
) -> SequenceBatcher:
    """The policy of a model with ``instances`` instances; without a strategy it is direct, as in Triton.

    Args:
        initial: the first implicit states of every sequence, by input name.
        releases: where the oldest strategy counts why batches left.
    """
    slots = max(1, config.max_batch_size)
    if batching.oldest is not None and batching.oldest.max_candidate_sequences > 0:
        slots = batching.oldest.max_candidate_sequences
    return SequenceBatcher(
        config.name,
        [_strategy(config, batching, slots, releases) for _ in range(instances)],
        SequenceControls(batching, config.name, batches=config.batching),
        ImplicitStates(config, initial),
        slots=slots,
        max_idle_us=batching.max_sequence_idle_microseconds,
        max_queue_size=max_queue_size,
        iterative=batching.iterative_sequence,
    )


def _strategy(
    config: ModelConfig, batching: SequenceBatching, slots: int, releases: BatchReleases | None
) -> SlotStrategy:
    signature = _signature(config, batching)
    if batching.oldest is not None:
        return OldestCandidates(
            slots,
            max_batch_size=config.max_batch_size,
            preferred_batch_sizes=batching.oldest.preferred_batch_size,
            max_queue_delay_us=batching.oldest.max_queue_delay_microseconds,
            signature=signature,
            releases=releases,
        )
    if batching.direct is not None:
        return DirectSlots(
            slots,
            minimum_slot_utilization=batching.direct.minimum_slot_utilization,
            max_queue_delay_us=batching.direct.max_queue_delay_microseconds,
            signature=signature,
        )
    return DirectSlots(slots, signature=signature)


def _signature(config: ModelConfig, batching: SequenceBatching) -> Signature | None:
    """As for dynamic batching, and states must have the same shapes, too."""
    inputs = batch_signature(config)
    varying = [state.input_name for state in batching.state if -1 in state.dims]
    if not varying:
        return inputs

    def signature(request: InferenceRequest) -> Hashable:
        shapes = tuple(tensor.shape for tensor in request.inputs if tensor.name in varying)
        return shapes if inputs is None else (shapes, inputs(request))

    return signature
