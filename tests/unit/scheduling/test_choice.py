from __future__ import annotations

import pytest

from tests.unit.builders import echo_config, request
from tritium.core.model_config import DynamicBatching, ModelConfig, QueuePolicy
from tritium.core.statistics import ReleaseReason
from tritium.errors import UnavailableError
from tritium.scheduling.choice import Scheduling, scheduling_of


def accepted(scheduling: Scheduling, priority: int = 0) -> int:
    """Requests that are queued before one is refused."""
    for count in range(100):
        try:
            scheduling.policy.add(request(priority=priority), 0)
        except UnavailableError:
            return count
    return 100


def test_without_a_scheduler_requests_run_one_by_one() -> None:
    scheduling = scheduling_of(echo_config(), 7)
    assert accepted(scheduling) == 7
    assert len(scheduling.policy.next_batch(0) or []) == 1
    assert (scheduling.statistics.releases, scheduling.order) == (None, None)


def test_dynamic_batching_gets_all_that_the_configuration_says() -> None:
    batching = DynamicBatching(
        preferred_batch_size=(2,),
        max_queue_delay_microseconds=50,
        priority_levels=2,
        default_priority_level=2,
        default_queue_policy=QueuePolicy(max_queue_size=3, default_timeout_microseconds=400),
        priority_queue_policy={1: QueuePolicy(max_queue_size=2)},
    )
    scheduling = scheduling_of(echo_config(dynamic_batching=batching), 7)
    assert (accepted(scheduling), accepted(scheduling, 1)) == (3, 2)
    assert scheduling.policy.next_expiry_us() == 400
    assert [one.priority for one in scheduling.policy.next_batch(0) or []] == [1, 1]
    assert scheduling.statistics.releases is not None
    assert scheduling.statistics.releases.counts[ReleaseReason.PREFERRED] == 1


def test_the_servers_bound_holds_where_the_configuration_has_none() -> None:
    assert accepted(scheduling_of(echo_config(dynamic_batching=DynamicBatching()), 7)) == 7


@pytest.mark.parametrize("preserve", [True, False])
def test_answers_are_ordered_where_the_configuration_asks_for_it(preserve: bool) -> None:
    config: ModelConfig = echo_config(dynamic_batching=DynamicBatching(preserve_ordering=preserve))
    assert (scheduling_of(config, 7).order is not None) == preserve
