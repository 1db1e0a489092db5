"""What a legal configuration may ask for and this version does not do: refused by name, never ignored.

docs/compatibility.md lists the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput, SequenceBatching
from tritium.errors import ConfigError

_INTERPRETERS = ("EXECUTION_ENV_PATH", "PYTHON_EXECUTABLE")  # of the python backend
_PYTHON = "python"  # is given requests, not batches
_MADE_FROM_BATCHES = ("onnxruntime",)  # backends that ragged inputs, batch_input and batch_output are for
PYTHON_RUNTIME = "model.py"  # the ``runtime`` of models that a python-based backend runs


def check_supported(config: ModelConfig) -> None:
    """Refuse what would otherwise silently not happen.

    Raises:
        ConfigError: names every such field.
    """
    found = [*_features(config), *_tensor_features(config), *_instance_features(config)]
    if config.sequence_batching is not None:
        found += _sequence_features(config.sequence_batching, decoupled=config.decoupled)
    if found:
        raise ConfigError(
            f"model '{config.name}' uses {', '.join(found)}, which this version of tritium does not support; "
            "remove it from config.pbtxt"
        )


def _features(config: ModelConfig) -> Iterator[str]:
    given = {
        "batch_input": config.batch_input and config.backend not in _MADE_FROM_BATCHES,
        "batch_output": config.batch_output and config.backend not in _MADE_FROM_BATCHES,
        "model_namespace of an ensemble step": config.ensemble_scheduling
        and any(step.model_namespace for step in config.ensemble_scheduling.step),
        "model_warmup of an ensemble": config.model_warmup and config.is_ensemble,
        "model_repository_agents": config.model_repository_agents,
        "runtime": config.runtime != PYTHON_RUNTIME and config.runtime,
        "model_operations.op_library_filename": config.model_operations
        and config.model_operations.op_library_filename,
        **{
            f"parameter {name}": name in config.parameters
            and config.backend != _PYTHON
            and config.runtime != PYTHON_RUNTIME
            for name in _INTERPRETERS
        },
    }
    return (name for name, value in given.items() if value)


def _tensor_features(config: ModelConfig) -> Iterator[str]:
    tensors: list[ModelInput | ModelOutput] = [*config.input, *config.output]
    for tensor in tensors:
        if tensor.is_shape_tensor:
            yield f"is_shape_tensor of '{tensor.name}'"
        if tensor.is_non_linear_format_io:
            yield f"is_non_linear_format_io of '{tensor.name}'"
        ragged = isinstance(tensor, ModelInput) and tensor.allow_ragged_batch
        if ragged and config.backend not in (*_MADE_FROM_BATCHES, _PYTHON):
            yield f"allow_ragged_batch of '{tensor.name}'"


def _instance_features(config: ModelConfig) -> Iterator[str]:
    for group in config.instance_group:
        if group.passive:
            yield f"passive of instance group '{group.name}'"
        if group.host_policy:
            yield f"host_policy of instance group '{group.name}'"


def _sequence_features(batching: SequenceBatching, *, decoupled: bool) -> list[str]:
    found = []
    if any(state.use_growable_memory for state in batching.state):
        found.append("sequence_batching.state.use_growable_memory")
    if batching.state and decoupled:
        found.append("sequence_batching.state together with model_transaction_policy.decoupled")
    return found
