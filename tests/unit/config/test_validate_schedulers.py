from __future__ import annotations

from dataclasses import replace

import pytest

from tritium.config.validate_schedulers import check_dynamic_batching, check_sequence_batching
from tritium.core.model_config import (
    DynamicBatching,
    InitialState,
    ModelConfig,
    QueuePolicy,
    SequenceBatching,
    SequenceControl,
    SequenceControlInput,
    SequenceState,
    StrategyDirect,
    StrategyOldest,
)
from tritium.errors import ConfigError

MODEL = ModelConfig(name="m", max_batch_size=8)
START = SequenceControl("CONTROL_SEQUENCE_START", fp32_false_true=(0.0, 1.0))
CORRELATION = SequenceControl("CONTROL_SEQUENCE_CORRID", data_type="TYPE_UINT64")
STATE = SequenceState("in", "out", "TYPE_FP32", (1,))


def dynamic_refusal(batching: DynamicBatching) -> str:
    with pytest.raises(ConfigError) as caught:
        check_dynamic_batching(MODEL, batching)
    return str(caught.value)


def sequence_refusal(batching: SequenceBatching) -> str:
    with pytest.raises(ConfigError) as caught:
        check_sequence_batching(MODEL, batching)
    return str(caught.value)


def controls(*given: SequenceControl) -> SequenceBatching:
    return SequenceBatching(
        control_input=tuple(SequenceControlInput(f"C{i}", (control,)) for i, control in enumerate(given))
    )


@pytest.mark.parametrize(
    "batching",
    [
        DynamicBatching(),
        DynamicBatching(preferred_batch_size=(4, 8)),
        DynamicBatching(
            priority_levels=2, default_priority_level=2, priority_queue_policy={1: QueuePolicy()}
        ),
        DynamicBatching(priority_levels=1, default_priority_level=1, preserve_ordering=True),
    ],
)
def test_takes_a_good_dynamic_batcher(batching: DynamicBatching) -> None:
    check_dynamic_batching(MODEL, batching)


@pytest.mark.parametrize(
    ("batching", "cause"),
    [
        (
            DynamicBatching(preferred_batch_size=(9,)),
            "dynamic batching preferred size must be <= max batch size for m",
        ),
        (
            DynamicBatching(preferred_batch_size=(0,)),
            "dynamic batching preferred size must be positive for m",
        ),
        (DynamicBatching(priority_levels=2), "default priority level must be in range [1, 2] for m"),
        (
            DynamicBatching(priority_levels=2, default_priority_level=3),
            "default priority level must be in range [1, 2] for m",
        ),
        (
            DynamicBatching(
                priority_levels=2, default_priority_level=1, priority_queue_policy={3: QueuePolicy()}
            ),
            "priority queue policy must have priority level in range [1, 2] for m",
        ),
        (
            DynamicBatching(priority_queue_policy={3: QueuePolicy()}),
            "'priority_queue_policy' of m has no effect without 'priority_levels'",
        ),
        (
            DynamicBatching(priority_levels=2, default_priority_level=1, preserve_ordering=True),
            "Only one priority level is allowed when 'preserve_ordering' is true for m",
        ),
        (
            DynamicBatching(priority_levels=2**64 - 1, default_priority_level=1),
            "'priority_levels' is 18446744073709551615 for m",
        ),
    ],
)
def test_says_the_cause_in_tritons_words(batching: DynamicBatching, cause: str) -> None:
    assert dynamic_refusal(batching).startswith(cause)


@pytest.mark.parametrize(
    "batching",
    [
        SequenceBatching(),
        controls(START, CORRELATION),
        SequenceBatching(direct=StrategyDirect(minimum_slot_utilization=1.0)),
        SequenceBatching(oldest=StrategyOldest(preferred_batch_size=(8,))),
        SequenceBatching(state=(STATE,)),
        SequenceBatching(state=(replace(STATE, initial_state=(InitialState("TYPE_FP32", (1,), True),)),)),
    ],
)
def test_takes_a_good_sequence_batcher(batching: SequenceBatching) -> None:
    check_sequence_batching(MODEL, batching)


@pytest.mark.parametrize(
    ("batching", "cause"),
    [
        (controls(START, START), "sequence batching specifies multiple CONTROL_SEQUENCE_START tensors for m"),
        (
            controls(replace(START, fp32_false_true=(1.0,))),
            (
                "sequence batching control 'fp32_false_true' must have exactly 2 entries for "
                "CONTROL_SEQUENCE_START for m"
            ),
        ),
        (
            controls(replace(START, int32_false_true=(0, 1))),
            (
                "sequence batching specifies more than one from 'int32_false_true', 'fp32_false_true' and "
                "'bool_false_true' for CONTROL_SEQUENCE_START for m"
            ),
        ),
        (
            controls(replace(START, fp32_false_true=())),
            (
                "sequence batching must specify either 'int32_false_true', 'fp32_false_true' or "
                "'bool_false_true' for CONTROL_SEQUENCE_START for m"
            ),
        ),
        *(
            (
                controls(replace(CORRELATION, data_type=data_type)),
                (
                    "unexpected data type for control CONTROL_SEQUENCE_CORRID for m. Allowed data types are "
                    "TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32 and TYPE_STRING"
                ),
            )
            for data_type in ("TYPE_FP32", "TYPE_INVALID")
        ),
        (
            controls(replace(CORRELATION, int32_false_true=(0, 1))),
            (
                "sequence batching must not specify either 'int32_false_true', 'fp32_false_true' nor "
                "'bool_false_true' for CONTROL_SEQUENCE_CORRID for m"
            ),
        ),
        (
            SequenceBatching(control_input=(SequenceControlInput(""),)),
            "sequence batching control tensor must have a unique name for m",
        ),
        (
            SequenceBatching(control_input=(SequenceControlInput("C"), SequenceControlInput("C"))),
            "sequence batching control tensor must have a unique name for m",
        ),
        (
            SequenceBatching(oldest=StrategyOldest(preferred_batch_size=(9,))),
            "sequence batching preferred size must be <= max batch size for m",
        ),
        *(
            (
                SequenceBatching(direct=StrategyDirect(minimum_slot_utilization=bad)),
                "'minimum_slot_utilization' must be in range [0, 1] for m",
            )
            for bad in (1.5, -1.0, float("nan"))
        ),
    ],
)
def test_says_what_is_wrong_with_a_sequence_batcher(batching: SequenceBatching, cause: str) -> None:
    assert sequence_refusal(batching).startswith(cause)


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (replace(STATE, output_name=""), "must specify 'input_name' and 'output_name' for m"),
        (replace(STATE, data_type="TYPE_INVALID"), "state 'in' must specify 'data_type' for m"),
        (replace(STATE, dims=()), "state 'in' must specify 'dims'"),
        (replace(STATE, dims=(0,)), "state 'in' must specify 'dims'"),
        (replace(STATE, initial_state=(InitialState(), InitialState())), "has 2 initial states for m"),
        (
            replace(STATE, initial_state=(InitialState("TYPE_FP32", (1,)),)),
            "has an initial state without data",
        ),
        (
            replace(STATE, initial_state=(InitialState("TYPE_INT32", (1,), True),)),
            "has an initial state of TYPE_INT32, expected TYPE_FP32, for m",
        ),
        (
            replace(STATE, initial_state=(InitialState("TYPE_FP32", (-1,), True),)),
            "has an initial state with variable 'dims' for m",
        ),
    ],
)
def test_a_state_is_a_complete_tensor(state: SequenceState, cause: str) -> None:
    assert cause in sequence_refusal(SequenceBatching(state=(state,)))
