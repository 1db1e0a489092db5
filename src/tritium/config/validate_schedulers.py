"""The rules of the dynamic batcher and the sequence batcher."""

from __future__ import annotations

from collections.abc import Sequence

from tritium.core.model_config import (
    DynamicBatching,
    ModelConfig,
    SequenceBatching,
    SequenceControl,
    SequenceState,
)
from tritium.errors import ConfigError

_CORRELATION_TYPES = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
_MAX_PRIORITY_LEVELS = 1000  # a level costs a queue; Triton has no bound
_LISTS = "'int32_false_true', 'fp32_false_true' {} 'bool_false_true'"


def check_dynamic_batching(config: ModelConfig, batching: DynamicBatching) -> None:
    """Refuse batch sizes and priorities that cannot be.

    Raises:
        ConfigError: the first rule that is broken.
    """
    _check_preferred("dynamic batching", batching.preferred_batch_size, config)
    levels = batching.priority_levels
    if levels > _MAX_PRIORITY_LEVELS:
        raise ConfigError(
            f"'priority_levels' is {levels} for {config.name}, expected at most {_MAX_PRIORITY_LEVELS}"
        )
    if levels:
        if not 1 <= batching.default_priority_level <= levels:
            raise ConfigError(
                f"default priority level must be in range [1, {levels}] for {config.name}; write for "
                f"example default_priority_level: {levels}"
            )
        outside = next((key for key in batching.priority_queue_policy if not 1 <= key <= levels), None)
        if outside is not None:
            raise ConfigError(
                f"priority queue policy must have priority level in range [1, {levels}] for {config.name}; "
                f"found {outside}"
            )
    elif batching.priority_queue_policy:
        raise ConfigError(
            f"'priority_queue_policy' of {config.name} has no effect without 'priority_levels'; write for "
            f"example priority_levels: {max(batching.priority_queue_policy)} and default_priority_level: 1, "
            "or use default_queue_policy"
        )
    if batching.preserve_ordering and levels > 1:
        raise ConfigError(
            f"Only one priority level is allowed when 'preserve_ordering' is true for {config.name}; remove "
            "preserve_ordering or priority_levels"
        )


def check_sequence_batching(config: ModelConfig, batching: SequenceBatching) -> None:
    """Refuse controls and states that no model could be sent.

    Raises:
        ConfigError: the first rule that is broken.
    """
    if batching.oldest is not None:
        _check_preferred("sequence batching", batching.oldest.preferred_batch_size, config)
    if batching.direct is not None and not 0 <= batching.direct.minimum_slot_utilization <= 1:
        raise ConfigError(f"'minimum_slot_utilization' must be in range [0, 1] for {config.name}")
    names: set[str] = set()
    kinds: set[str] = set()
    for control_input in batching.control_input:
        if not control_input.name or control_input.name in names:
            raise ConfigError(
                f"sequence batching control tensor must have a unique name for {config.name}; found "
                f"'{control_input.name}'"
            )
        names.add(control_input.name)
        for control in control_input.control:
            if control.kind in kinds:
                raise ConfigError(
                    f"sequence batching specifies multiple {control.kind} tensors for {config.name}"
                )
            kinds.add(control.kind)
            _check_control(control, config.name)
    for state in batching.state:
        _check_state(state, config.name)


def _check_preferred(scheduler: str, sizes: Sequence[int], config: ModelConfig) -> None:
    for size in sizes:
        if size <= 0:
            raise ConfigError(f"{scheduler} preferred size must be positive for {config.name}; found {size}")
        if size > config.max_batch_size:
            raise ConfigError(
                f"{scheduler} preferred size must be <= max batch size for {config.name}; found {size}, and "
                f"max_batch_size: {config.max_batch_size}"
            )


def _check_control(control: SequenceControl, model: str) -> None:
    values = {
        "int32_false_true": control.int32_false_true,
        "fp32_false_true": control.fp32_false_true,
        "bool_false_true": control.bool_false_true,
    }
    given = [name for name, pair in values.items() if pair]
    if control.kind == "CONTROL_SEQUENCE_CORRID":
        _check_correlation_id(control, given, model)
        return
    if not given:
        raise ConfigError(
            f"sequence batching must specify either {_LISTS.format('or')} for {control.kind} for {model}; "
            "write for example int32_false_true: [ 0, 1 ]"
        )
    if len(given) > 1:
        raise ConfigError(
            f"sequence batching specifies more than one from {_LISTS.format('and')} for {control.kind} for "
            f"{model}"
        )
    if len(values[given[0]]) != 2:
        raise ConfigError(
            f"sequence batching control '{given[0]}' must have exactly 2 entries for {control.kind} for "
            f"{model}; the value for false and the value for true"
        )


def _check_correlation_id(control: SequenceControl, given: Sequence[str], model: str) -> None:
    if control.data_type not in _CORRELATION_TYPES:
        listed = f"{', '.join(_CORRELATION_TYPES[:-1])} and {_CORRELATION_TYPES[-1]}"
        raise ConfigError(
            f"unexpected data type for control {control.kind} for {model}. Allowed data types are {listed}"
        )
    if given:
        raise ConfigError(
            f"sequence batching must not specify either {_LISTS.format('nor')} for {control.kind} for "
            f"{model}; remove {given[0]}"
        )


def _check_state(state: SequenceState, model: str) -> None:
    if not state.input_name or not state.output_name:
        raise ConfigError(f"sequence batching state must specify 'input_name' and 'output_name' for {model}")
    prefix = f"sequence batching state '{state.input_name}'"
    if state.data_type == "TYPE_INVALID":
        raise ConfigError(f"{prefix} must specify 'data_type' for {model}")
    if not state.dims or not all(dim >= 1 or dim == -1 for dim in state.dims):
        raise ConfigError(f"{prefix} must specify 'dims', each an integer >= 1 or -1, for {model}")
    if len(state.initial_state) > 1:
        raise ConfigError(f"{prefix} has {len(state.initial_state)} initial states for {model}; keep one")
    for initial in state.initial_state:
        if initial.zero_data is None and not initial.data_file:
            raise ConfigError(
                f"{prefix} has an initial state without data for {model}; write zero_data: true"
            )
        if initial.data_type != state.data_type:
            raise ConfigError(
                f"{prefix} has an initial state of {initial.data_type}, expected {state.data_type}, for "
                f"{model}"
            )
        if not all(dim >= 1 for dim in initial.dims):
            raise ConfigError(
                f"{prefix} has an initial state with variable 'dims' for {model}; write its sizes"
            )
