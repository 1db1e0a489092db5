"""The scheduler blocks of a model configuration: dynamic batching, sequence batching, ensemble.

Messages, fields, their order and their defaults are those of Triton's ``model_config.proto``. A sub-message
that was not given, and an alternative of a oneof that was not chosen, is None. Times are in microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TimeoutAction = Literal["REJECT", "DELAY"]
ControlKind = Literal[
    "CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_CORRID"
]


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """What a queue does with requests that wait; 0 means no time-out and no bound on the size."""

    timeout_action: TimeoutAction = "REJECT"
    default_timeout_microseconds: int = 0
    allow_timeout_override: bool = False
    max_queue_size: int = 0


@dataclass(frozen=True, slots=True)
class DynamicBatching:
    """``dynamic_batching``; priorities run from 1, the highest, to ``priority_levels``."""

    preferred_batch_size: tuple[int, ...] = ()
    max_queue_delay_microseconds: int = 0
    preserve_ordering: bool = False
    priority_levels: int = 0
    default_priority_level: int = 0
    default_queue_policy: QueuePolicy | None = None
    priority_queue_policy: Mapping[int, QueuePolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SequenceControl:
    """One signal to the model; a ``*_false_true`` holds the value for no and the value for yes."""

    kind: ControlKind = "CONTROL_SEQUENCE_START"
    int32_false_true: tuple[int, ...] = ()
    fp32_false_true: tuple[float, ...] = ()
    bool_false_true: tuple[bool, ...] = ()
    data_type: str = "TYPE_INVALID"

    @property
    def type_of_value(self) -> str:
        """The data type of the tensor: that of the pair which is given, or ``data_type`` for an id."""
        if self.int32_false_true:
            return "TYPE_INT32"
        if self.fp32_false_true:
            return "TYPE_FP32"
        return "TYPE_BOOL" if self.bool_false_true else self.data_type


@dataclass(frozen=True, slots=True)
class SequenceControlInput:
    """The input tensor that carries the controls."""

    name: str = ""
    control: tuple[SequenceControl, ...] = ()


@dataclass(frozen=True, slots=True)
class InitialState:
    """The first value of a state: zeros, or a file below ``<model>/initial_state``."""

    data_type: str = "TYPE_INVALID"
    dims: tuple[int, ...] = ()
    zero_data: bool | None = None
    data_file: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class SequenceState:
    """A tensor that the server keeps between the requests of a sequence."""

    input_name: str = ""
    output_name: str = ""
    data_type: str = "TYPE_INVALID"
    dims: tuple[int, ...] = ()
    initial_state: tuple[InitialState, ...] = ()
    use_same_buffer_for_input_output: bool = False
    use_growable_memory: bool = False


@dataclass(frozen=True, slots=True)
class StrategyDirect:
    """A sequence keeps one slot of one instance until it ends."""

    max_queue_delay_microseconds: int = 0
    minimum_slot_utilization: float = 0.0


@dataclass(frozen=True, slots=True)
class StrategyOldest:
    """Requests of up to ``max_candidate_sequences`` sequences are batched, the oldest first."""

    max_candidate_sequences: int = 0
    preferred_batch_size: tuple[int, ...] = ()
    max_queue_delay_microseconds: int = 0
    preserve_ordering: bool = False


@dataclass(frozen=True, slots=True)
class SequenceBatching:
    """``sequence_batching``; with neither strategy it runs as direct."""

    direct: StrategyDirect | None = None
    oldest: StrategyOldest | None = None
    max_sequence_idle_microseconds: int = 0
    control_input: tuple[SequenceControlInput, ...] = ()
    state: tuple[SequenceState, ...] = ()
    iterative_sequence: bool = False

    @property
    def made_inputs(self) -> frozenset[str]:
        """The model's inputs that the server makes: controls and states. No request may bring them."""
        controls = {control.name for control in self.control_input}
        return frozenset(controls | {state.input_name for state in self.state})

    @property
    def kept_outputs(self) -> frozenset[str]:
        """The model's outputs that the server keeps for the sequence's next request."""
        return frozenset(state.output_name for state in self.state)


@dataclass(frozen=True, slots=True)
class EnsembleStep:
    """One model of an ensemble.

    ``input_map`` is from the model's input to the ensemble tensor, ``output_map`` from the model's output to
    the ensemble tensor. ``model_version`` -1 is the highest version that is ready.
    """

    model_name: str = ""
    model_version: int = 0
    input_map: Mapping[str, str] = field(default_factory=dict)
    output_map: Mapping[str, str] = field(default_factory=dict)
    model_namespace: str = ""


@dataclass(frozen=True, slots=True)
class EnsembleScheduling:
    """``ensemble_scheduling``; ``max_inflight_requests`` is a bound per step, 0 for none."""

    step: tuple[EnsembleStep, ...] = ()
    max_inflight_requests: int = 0
