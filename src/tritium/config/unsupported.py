"""What a legal configuration may ask for and this version does not do: refused by name, never ignored.

docs/compatibility.md lists the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from tritium.core.model_config import DynamicBatching, ModelConfig, ModelInput, ModelOutput
from tritium.errors import ConfigError

_INTERPRETERS = ("EXECUTION_ENV_PATH", "PYTHON_EXECUTABLE")  # of the python backend
_PYTHON = "python"
PYTHON_RUNTIME = "model.py"  # the ``runtime`` of models that a python-based backend runs


def check_supported(config: ModelConfig) -> None:
    """Refuse what would otherwise silently not happen.

    Raises:
        ConfigError: names every such field.
    """
    found = [*_features(config), *_tensor_features(config), *_instance_features(config)]
    if config.dynamic_batching is not None:
        found += _batching_features(config.dynamic_batching)
    if found:
        raise ConfigError(
            f"model '{config.name}' uses {', '.join(found)}, which this version of tritium does not support; "
            "remove it from config.pbtxt"
        )


def _features(config: ModelConfig) -> Iterator[str]:
    given = {
        "sequence_batching": config.sequence_batching,
        "ensemble_scheduling": config.ensemble_scheduling,
        "batch_input": config.batch_input,
        "batch_output": config.batch_output,
        "model_warmup": config.model_warmup,
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
        if isinstance(tensor, ModelInput) and tensor.allow_ragged_batch:
            yield f"allow_ragged_batch of '{tensor.name}'"


def _instance_features(config: ModelConfig) -> Iterator[str]:
    for group in config.instance_group:
        if group.rate_limiter is not None:
            yield f"rate_limiter of instance group '{group.name}'"
        if group.passive:
            yield f"passive of instance group '{group.name}'"
        if group.host_policy:
            yield f"host_policy of instance group '{group.name}'"


def _batching_features(batching: DynamicBatching) -> list[str]:
    found = []
    if batching.priority_levels:
        found.append("dynamic_batching.priority_levels")
    if batching.priority_queue_policy:
        found.append("dynamic_batching.priority_queue_policy")
    if batching.preserve_ordering:
        found.append("dynamic_batching.preserve_ordering")
    policy = batching.default_queue_policy
    if policy is not None and policy.default_timeout_microseconds:
        found.append("dynamic_batching.default_queue_policy.default_timeout_microseconds")
    return found
