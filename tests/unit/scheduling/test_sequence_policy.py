from __future__ import annotations

from tests.unit.builders import echo_config
from tests.unit.scheduling.sequence_builders import direct, finish, names, oldest, part
from tritium.core.model_config import SequenceBatching, StrategyOldest
from tritium.scheduling.sequence_batcher import SequenceBatcher
from tritium.scheduling.sequence_policy import sequence_batcher


def slots_of(batcher: SequenceBatcher) -> int:
    """How many sequences live before one has to wait."""
    for key in range(1, 50):
        batcher.add(part(key, "S"), 0)
    count = 0
    while (batch := batcher.next_batch(0)) is not None:
        count += len(batch)
        finish(batcher, batch)
    return count


def test_without_a_strategy_it_is_direct_and_has_a_slot_per_row() -> None:
    batching = SequenceBatching(max_sequence_idle_microseconds=10**6)
    for rows, slots in ((3, 3), (1, 1), (0, 1)):
        config = echo_config(max_batch_size=rows, sequence_batching=batching)
        assert slots_of(sequence_batcher(config, batching, {}, instances=1, max_queue_size=99)) == slots
    assert slots_of(direct(slots=3)) == 3


def test_oldest_has_as_many_slots_as_candidates_or_rows() -> None:
    assert slots_of(oldest(candidates=5, max_batch_size=2)) == 5
    batching = SequenceBatching(oldest=StrategyOldest(), max_sequence_idle_microseconds=10**6)
    config = echo_config(max_batch_size=2, sequence_batching=batching)
    assert slots_of(sequence_batcher(config, batching, {}, instances=1, max_queue_size=99)) == 2


def test_delays_and_sizes_are_those_of_the_configuration() -> None:
    for batcher in (oldest(4, delay_us=50, preferred=(2,)), direct(4, utilization=0.5, delay_us=50)):
        batcher.add(part(1, "S"), 0)
        assert batcher.next_batch(49) is None
        assert batcher.next_wakeup_us([0]) == 50
        batcher.add(part(2, "S"), 49)
        assert names(batcher.next_batch(49)) == ["1S", "2S"]
