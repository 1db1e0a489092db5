"""What the tests of sequence batching build."""

from __future__ import annotations

from tests.unit.builders import Answers, echo_config, request
from tritium.core.interfaces import Outcome
from tritium.core.model_config import (
    SequenceBatching,
    SequenceControl,
    SequenceControlInput,
    StrategyDirect,
    StrategyOldest,
)
from tritium.core.request import SEQUENCE_END, SEQUENCE_START, InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.errors import TritiumError
from tritium.scheduling.sequence_batcher import SequenceBatcher
from tritium.scheduling.sequence_policy import sequence_batcher

IDLE_US = 1_000_000

CONTROLS = (
    SequenceControlInput("START", (SequenceControl("CONTROL_SEQUENCE_START", int32_false_true=(0, 1)),)),
    SequenceControlInput("READY", (SequenceControl("CONTROL_SEQUENCE_READY", fp32_false_true=(0.0, 1.0)),)),
    SequenceControlInput("END", (SequenceControl("CONTROL_SEQUENCE_END", bool_false_true=(False, True)),)),
    SequenceControlInput("ID", (SequenceControl("CONTROL_SEQUENCE_CORRID", data_type="TYPE_UINT64"),)),
)


def part(
    key: int | str,
    flags: str = "",
    *,
    answers: Answers | None = None,
    at_us: int = 0,
    timeout_us: int = 0,
    rows: int = 1,
) -> InferenceRequest:
    """A request of sequence ``key``; ``flags`` holds S for START and E for END."""
    bits = (SEQUENCE_START if "S" in flags else 0) | (SEQUENCE_END if "E" in flags else 0)
    return request(
        name=f"{key}{flags}",
        answers=answers,
        rows=rows,
        correlation_id=key,
        flags=bits,
        arrival_ns=at_us * 1000,
        timeout_us=timeout_us,
    )


def direct(
    slots: int = 2, *, instances: int = 1, max_queue_size: int = 100, **rest: float
) -> SequenceBatcher:
    """The direct strategy."""
    batching = SequenceBatching(
        direct=StrategyDirect(
            int(rest.get("delay_us", 0)), minimum_slot_utilization=rest.get("utilization", 0.0)
        ),
        max_sequence_idle_microseconds=IDLE_US,
        control_input=CONTROLS,
    )
    config = echo_config(max_batch_size=slots, sequence_batching=batching)
    return sequence_batcher(config, batching, {}, instances=instances, max_queue_size=max_queue_size)


def oldest(
    candidates: int = 2,
    *,
    instances: int = 1,
    max_batch_size: int = 8,
    max_queue_size: int = 100,
    delay_us: int = 0,
    preferred: tuple[int, ...] = (),
    idle_us: int = IDLE_US,
    iterative: bool = False,
) -> SequenceBatcher:
    """The oldest strategy."""
    batching = SequenceBatching(
        oldest=StrategyOldest(candidates, preferred, delay_us),
        max_sequence_idle_microseconds=idle_us,
        control_input=CONTROLS,
        iterative_sequence=iterative,
    )
    config = echo_config(max_batch_size=max_batch_size, sequence_batching=batching)
    return sequence_batcher(config, batching, {}, instances=instances, max_queue_size=max_queue_size)


def finish(
    batcher: SequenceBatcher,
    batch: list[InferenceRequest] | None,
    now_us: int = 0,
    again: frozenset[int] = frozenset(),
) -> None:
    """The batch is over."""
    assert batch is not None
    outcome = Outcome([InferenceResponse() for _ in batch], again=again)
    batcher.done(batch, outcome, now_us)


def dropped(batcher: SequenceBatcher, now_us: int = 0) -> list[tuple[InferenceRequest, TritiumError | None]]:
    """Whoever left and does not run, with what to tell them; None where there is nobody to tell."""
    expired = batcher.take_expired(now_us)
    return [*((request, None) for request in batcher.take_cancelled()), *expired]


def names(batch: list[InferenceRequest] | None) -> list[str] | None:
    """The ids of a batch's requests; an empty row has none."""
    return None if batch is None else [row.id for row in batch]
