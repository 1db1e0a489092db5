from __future__ import annotations

import pytest

from tests.unit.builders import echo_config
from tests.unit.scheduling.sequence_builders import IDLE_US, direct, dropped, finish, names, oldest, part
from tritium.core.model_config import (
    SequenceBatching,
    SequenceControl,
    SequenceControlInput,
    StrategyOldest,
)
from tritium.core.request import SEQUENCE_START, InferenceRequest
from tritium.errors import CancelledError, InvalidArgumentError, UnavailableError
from tritium.scheduling.sequence_batcher import SequenceBatcher
from tritium.scheduling.sequence_policy import sequence_batcher


def refusal(batcher: SequenceBatcher, one: InferenceRequest) -> str:
    with pytest.raises(InvalidArgumentError) as refused:
        batcher.add(one, 0)
    return str(refused.value)


def test_a_request_needs_a_sequence_id() -> None:
    for key in (0, ""):
        assert refusal(direct(), part(key, "S")) == (
            "inference request to model 'echo' must specify a non-zero or non-empty correlation ID"
        )


def test_a_request_has_one_row() -> None:
    assert refusal(direct(), part(5, "S", rows=2)) == (
        "inference request to model 'echo' must specify batch-size 1 due to requirements of sequence batcher"
    )


def test_the_first_request_of_a_sequence_must_be_its_start() -> None:
    batcher = oldest()
    for flags in ("", "E"):
        assert refusal(batcher, part(5, flags)) == (
            "inference request for sequence 5 to model 'echo' must specify the START flag on the first "
            "request of the sequence"
        )
    assert len(batcher) == 0


def test_nothing_follows_the_end_but_a_new_start() -> None:
    batcher = oldest()
    batcher.add(part(5, "SE"), 0)
    with pytest.raises(InvalidArgumentError, match="must specify the START flag"):
        batcher.add(part(5), 0)
    batcher.add(part(5, "S"), 0)
    finish(batcher, first := batcher.next_batch(0))
    assert (names(first), names(batcher.next_batch(0))) == (["5SE"], ["5S"])


def test_a_number_and_its_digits_are_two_sequences() -> None:
    batcher = oldest()
    batcher.add(part(1, "S"), 0)
    with pytest.raises(InvalidArgumentError, match="takes ids of type UINT64, not strings"):
        batcher.add(part("1"), 0)


def test_requests_of_a_sequence_run_one_after_the_other() -> None:
    batcher = oldest(candidates=4)
    for flags in ("S", "", "E"):
        batcher.add(part(1, flags), 0)
    batcher.add(part(2, "S"), 0)
    batch = batcher.next_batch(0)
    assert names(batch) == ["1S", "2S"]
    assert batcher.next_batch(0) is None
    finish(batcher, batch)
    assert names(batcher.next_batch(0)) == ["1"]
    assert len(batcher) == 1


def test_a_sequence_stays_with_its_instance() -> None:
    batcher = oldest(instances=2)
    for key in (1, 2):
        batcher.add(part(key, "S"), 0)
    first, second = batcher.next_batch(0, 0), batcher.next_batch(0, 1)
    assert (names(first), names(second)) == (["1S"], ["2S"])
    finish(batcher, first)
    finish(batcher, second)
    batcher.add(part(2), 0)
    assert batcher.next_batch(0, 0) is None
    assert names(batcher.next_batch(0, 1)) == ["2"]


def test_a_sequence_without_a_slot_waits_until_another_ends() -> None:
    batcher = oldest(candidates=1)
    batcher.add(part(1, "S"), 0)
    batcher.add(part(2, "S"), 0)
    finish(batcher, batcher.next_batch(0))
    assert batcher.next_batch(0) is None
    batcher.add(part(1, "E"), 0)
    batch = batcher.next_batch(0)
    assert names(batch) == ["1E"]
    assert batcher.next_batch(0) is None
    finish(batcher, batch)
    assert names(batcher.next_batch(0)) == ["2S"]


def test_a_sequence_that_begins_again_after_its_end_waits_behind_the_others() -> None:
    batcher = oldest(candidates=1)
    batcher.add(part(1, "SE"), 0)
    batcher.add(part(2, "SE"), 0)
    batcher.add(part(1, "S"), 0)
    finish(batcher, batcher.next_batch(0))
    finish(batcher, second := batcher.next_batch(0))
    assert (names(second), names(batcher.next_batch(0))) == (["2SE"], ["1S"])


def test_a_start_restarts_a_sequence_in_its_place_and_behind_what_it_has_queued() -> None:
    batcher = direct(slots=2)
    for key, flags in ((1, "S"), (2, "S"), (2, ""), (2, "S")):
        batcher.add(part(key, flags), 0)
    ran = []
    while (batch := batcher.next_batch(0)) is not None:
        ran.append(names(batch))
        finish(batcher, batch)
    assert ran == [["1S", "2S"], ["", "2"], ["", "2S"]]


def test_an_idle_sequence_is_forgotten_and_its_slot_is_free() -> None:
    batcher = oldest(candidates=1)
    batcher.add(part(1, "S"), 0)
    batcher.add(part(2, "S"), 0)
    finish(batcher, batcher.next_batch(0), now_us=10)
    assert batcher.next_expiry_us() == 10 + IDLE_US
    assert batcher.next_batch(9 + IDLE_US) is None
    assert names(batcher.next_batch(10 + IDLE_US)) == ["2S"]
    with pytest.raises(InvalidArgumentError, match="must specify the START flag"):
        batcher.add(part(1), 10 + IDLE_US)


def test_a_sequence_is_not_idle_while_its_request_runs() -> None:
    batcher = oldest()
    batcher.add(part(1, "S"), 0)
    batch = batcher.next_batch(0)
    batcher.add(part(1), 5 * IDLE_US)
    finish(batcher, batch, 6 * IDLE_US)
    assert names(batcher.next_batch(6 * IDLE_US)) == ["1"]


def test_a_request_keeps_its_sequence_from_being_forgotten() -> None:
    batcher = oldest()
    batcher.add(part(1, "S"), 0)
    finish(batcher, batcher.next_batch(0), 0)
    batcher.add(part(1), IDLE_US - 1)
    finish(batcher, batcher.next_batch(IDLE_US - 1), IDLE_US)
    batcher.add(part(1), 2 * IDLE_US - 1)
    assert len(batcher) == 1


def test_a_sequence_that_finds_no_slot_in_time_fails_as_a_whole() -> None:
    batcher = oldest(candidates=1)
    batcher.add(part(1, "S"), 0)
    late = [part(2, "S", at_us=100, timeout_us=50), part(2, at_us=120)]
    for one in late:
        batcher.add(one, one.arrival_ns // 1000)
    assert batcher.next_expiry_us() == 150
    assert dropped(batcher, 149) == []
    failed = dropped(batcher, 150)
    assert [one for one, _ in failed] == late
    assert {str(error) for _, error in failed} == {"timeout of the corresponding sequence has been expired"}
    assert {type(error) for _, error in failed} == {UnavailableError}
    assert len(batcher) == 1
    with pytest.raises(InvalidArgumentError, match="must specify the START flag"):
        batcher.add(part(2), 150)


def test_a_time_out_is_over_once_the_sequence_has_a_slot() -> None:
    batcher = oldest(candidates=1)
    batcher.add(part(1, "S", timeout_us=50), 0)
    assert batcher.next_expiry_us() is None
    assert names(batcher.next_batch(100)) == ["1S"]


def test_a_request_that_is_cancelled_before_it_runs_ends_its_sequence() -> None:
    batcher = oldest()
    parts = [part(1, "S"), part(1), part(1)]
    for one in parts:
        batcher.add(one, 0)
    first = batcher.next_batch(0)
    parts[1].stream.cancel()
    finish(batcher, first)
    assert batcher.next_batch(0) is None
    (cancelled, nothing), (behind, error) = dropped(batcher)
    assert (cancelled, nothing, behind) == (parts[1], None, parts[2])
    assert isinstance(error, CancelledError)
    assert "start it anew" in str(error)
    with pytest.raises(InvalidArgumentError, match="must specify the START flag"):
        batcher.add(part(1), 0)
    assert len(batcher) == 0


def test_what_is_behind_the_next_start_survives_a_cancelled_request() -> None:
    batcher = oldest()
    parts = [part(1, "S"), part(1), part(1, "S")]
    for one in parts:
        batcher.add(one, 0)
    parts[0].stream.cancel()
    assert batcher.next_batch(0) == [parts[2]]
    assert [one for one, _ in dropped(batcher)] == parts[:2]


def test_a_slot_of_a_cancelled_sequence_goes_to_the_next_one() -> None:
    for batcher in (oldest(candidates=1), direct(slots=1)):
        gone = part(1, "S")
        batcher.add(gone, 0)
        batcher.add(part(2, "S"), 0)
        gone.stream.cancel()
        assert names(batcher.next_batch(0)) == ["2S"]
        assert batcher.take_cancelled() == [gone]
        assert dropped(batcher) == []


def test_many_cancelled_sequences_in_the_backlog_are_passed_over() -> None:
    batcher = oldest(candidates=1, max_queue_size=5000)
    for key in range(1, 4000):
        one = part(key, "S")
        batcher.add(one, 0)
        one.stream.cancel()
    batcher.add(part(9999, "S"), 0)
    assert names(batcher.next_batch(0)) == ["9999S"]
    assert len(dropped(batcher)) == 3999


def test_a_lost_worker_takes_its_sequences_with_it() -> None:
    batcher = oldest(candidates=4, instances=2)
    for key in (1, 2, 3):
        batcher.add(part(key, "S"), 0)
    finish(batcher, batcher.next_batch(0, 0))
    running = batcher.next_batch(0, 1)
    assert names(running) == ["2S"]
    behind, anew = part(2), part(2, "S")
    batcher.add(behind, 0)
    batcher.add(anew, 0)
    batcher.lost(0, 0)
    batcher.lost(1, 0)
    finish(batcher, running)
    ((failed, error),) = dropped(batcher)
    assert failed is behind
    assert isinstance(error, UnavailableError)
    for key in (1, 3):
        with pytest.raises(UnavailableError, match=rf"sequence {key} of model 'echo' was lost.*START flag"):
            batcher.add(part(key), 0)
    batcher.add(part(1, "S"), 0)
    assert names(batcher.next_batch(0, 0)) == ["2S", "1S"]
    with pytest.raises(InvalidArgumentError, match="must specify the START flag"):
        batcher.add(part(3), IDLE_US)


def test_a_lost_worker_costs_nothing_that_had_not_begun() -> None:
    batcher = oldest(instances=2)
    for key in (1, 2, 3):
        batcher.add(part(key, "S"), 0)
    batcher.lost(0, 0)
    assert dropped(batcher) == []
    assert names(batcher.next_batch(0, 1)) == ["2S", "1S"]
    assert names(batcher.next_batch(0, 0)) == ["3S"]


def test_new_sequences_go_to_instances_that_run() -> None:
    batcher = oldest(candidates=2, instances=2)
    batcher.lost(0, 0)
    batcher.add(part(1, "S"), 0)
    batcher.add(part(2, "S"), 0)
    assert names(batcher.next_batch(0, 1)) == ["1S", "2S"]
    batcher.add(part(3, "S"), 0)
    assert batcher.next_batch(0, 1) is None
    assert names(batcher.next_batch(0, 0)) == ["3S"]


def test_a_request_that_the_model_gives_back_runs_again_without_start() -> None:
    batcher = oldest()
    one = part(1, "S")
    batcher.add(one, 0)
    batcher.add(part(1, "E"), 0)
    batch = batcher.next_batch(0)
    finish(batcher, batch, again=frozenset({0}))
    assert len(batcher) == 2
    again = batcher.next_batch(0)
    assert again == [one]
    assert one.flags == 0
    assert [t.name for t in one.inputs] == ["IN", "START", "END", "READY", "ID"]
    assert not one.inputs[1].array().any()


def test_a_request_that_a_lost_worker_gave_back_fails() -> None:
    batcher = oldest()
    batcher.add(one := part(1, "S"), 0)
    batch = batcher.next_batch(0)
    batcher.lost(0, 0)
    finish(batcher, batch, again=frozenset({0}))
    ((failed, error),) = dropped(batcher)
    assert failed is one
    assert isinstance(error, UnavailableError)


def test_the_queue_is_bounded() -> None:
    batcher = oldest(candidates=1, max_queue_size=2)
    batcher.add(part(1, "S"), 0)
    batcher.add(part(2, "S"), 0)
    with pytest.raises(UnavailableError, match="Exceeds maximum queue size"):
        batcher.add(part(3, "S"), 0)
    with pytest.raises(UnavailableError, match="Exceeds maximum queue size"):
        batcher.add(part(1), 0)
    batcher.next_batch(0)
    batcher.add(part(1), 0)


def test_what_waits_can_be_taken_as_a_whole() -> None:
    batcher = oldest(candidates=1)
    parts = [part(1, "S"), part(1), part(2, "S")]
    for one in parts:
        batcher.add(one, 0)
    running = batcher.next_batch(0)
    assert batcher.take_all() == parts[1:]
    assert len(batcher) == 0
    finish(batcher, running)
    batcher.add(part(3, "S"), 0)
    assert names(batcher.next_batch(0)) == ["3S"]


def test_what_is_offered_is_among_what_waits() -> None:
    batcher = oldest()
    batcher.add(one := part(1, "S"), 0)
    assert batcher.take_all() == [one]
    assert batcher.next_batch(0) is None


def test_once_it_is_closed_idle_sequences_make_room_at_once() -> None:
    batcher = oldest(candidates=1)
    for key in (1, 2, 3):
        batcher.add(part(key, "S"), 0)
    finish(batcher, batcher.next_batch(0))
    batcher.close(0)
    finish(batcher, second := batcher.next_batch(0))
    assert (names(second), names(batcher.next_batch(0))) == (["2S"], ["3S"])


def test_sequences_that_come_and_go_leave_nothing_behind() -> None:
    batcher = direct(slots=3, instances=2)
    for round_ in range(50):
        now = round_ * 3 * IDLE_US
        for key in range(1, 7):
            batcher.add(part(1000 * round_ + key, "S"), now)
        for instance in (0, 1):
            batch = batcher.next_batch(now, instance)
            assert batch is not None
            assert len(batch) == 3
            finish(batcher, batch, now)
        assert batcher.next_expiry_us() == now + IDLE_US
    batcher.take_expired(1000 * IDLE_US)
    assert batcher.next_expiry_us() is None


def test_an_iterative_request_is_a_sequence_of_its_own() -> None:
    batcher = oldest(candidates=4, iterative=True)
    one, other = part(0), part(0)
    batcher.add(one, 0)
    batcher.add(other, 0)
    assert (one.correlation_id, other.correlation_id) == (1, 2)
    batch = batcher.next_batch(0)
    assert batch == [one, other]
    assert [r.flags for r in batch] == [SEQUENCE_START, SEQUENCE_START]
    finish(batcher, batch, again=frozenset({1}))
    batcher.add(third := part(0), 0)
    batch = batcher.next_batch(0)
    assert batch == [other, third]
    assert [r.flags for r in batch] == [0, SEQUENCE_START]
    finish(batcher, batch)
    assert (len(batcher), batcher.next_expiry_us()) == (0, None)


def test_an_iterative_request_that_is_answered_makes_room() -> None:
    batcher = oldest(candidates=1, iterative=True)
    for _ in range(3):
        batcher.add(part(0), 0)
    ran = []
    while (batch := batcher.next_batch(0)) is not None:
        ran.append(batch[0].correlation_id)
        finish(batcher, batch)
    assert ran == [1, 2, 3]


def test_an_iterative_request_may_bring_its_own_id() -> None:
    batcher = oldest(candidates=4, iterative=True)
    batcher.add(part(1, "S"), 0)
    assert "must specify the START flag" in refusal(batcher, part(1))
    batcher.add(made := part(0), 0)
    assert made.correlation_id == 2
    assert "must specify the START flag" in refusal(batcher, part(9))


def test_an_iterative_request_whose_client_has_gone_is_not_run_again() -> None:
    batcher = oldest(candidates=1, iterative=True)
    batcher.add(one := part(0), 0)
    batch = batcher.next_batch(0)
    one.stream.cancel()
    finish(batcher, batch, again=frozenset({0}))
    assert batcher.next_batch(0) is None
    assert dropped(batcher) == [(one, None)]
    assert len(batcher) == 0


@pytest.mark.parametrize(("data_type", "keeps"), [("TYPE_UINT64", True), ("TYPE_STRING", False)])
def test_requests_keep_their_form_where_what_is_added_is_always_as_long(data_type: str, keeps: bool) -> None:
    """The form says how long all tensors are, and an id that is a string may have any length."""
    control = SequenceControl("CONTROL_SEQUENCE_CORRID", data_type=data_type)
    batching = SequenceBatching(
        oldest=StrategyOldest(4, (), 0), control_input=(SequenceControlInput("ID", (control,)),)
    )
    config = echo_config(sequence_batching=batching)
    batcher = sequence_batcher(config, batching, {}, instances=1, max_queue_size=9)
    one, form = part(1, "S"), object()
    one.form = form
    batcher.add(one, 0)
    assert batcher.next_batch(0) == [one]
    assert (one.form is form) is keeps
