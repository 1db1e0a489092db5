"""The rules of inputs, outputs and the tensors that the server makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod

from tritium.core.model_config import (
    BatchInput,
    BatchOutput,
    ModelConfig,
    ModelInput,
    ModelOutput,
)
from tritium.errors import ConfigError

_MAX_ELEMENTS = 2**63 - 1
_MAX_RANK = 31  # of numpy 1, which models may run on, without the batch dimension
_NO_VARIABLE = "-1 to indicate a variable-size dimension"


def check_tensors(config: ModelConfig) -> None:
    """Refuse inputs and outputs that no request could fit.

    Raises:
        ConfigError: the first rule that is broken.
    """
    for model_input in config.input:
        _check_tensor("model input", model_input, config)
        _check_format(model_input, config.name)
    for model_output in config.output:
        _check_tensor("model output", model_output, config)
    _check_unique("model input", [i.name for i in config.input], config.name)
    _check_unique("model output", [o.name for o in config.output], config.name)
    for batch_input in config.batch_input:
        _check_batch_input(batch_input, config)
    for batch_output in config.batch_output:
        _check_batch_output(batch_output, config)


def _check_tensor(kind: str, io: ModelInput | ModelOutput, config: ModelConfig) -> None:
    model = config.name
    if not io.name:
        raise ConfigError(
            f"{kind} must specify 'name' for {model}; write name: \"...\" into every {kind[6:]}"
        )
    prefix = f"{kind} '{io.name}'"
    if io.data_type == "TYPE_INVALID":
        raise ConfigError(
            f"{prefix} must specify 'data_type' for {model}; write for example data_type: TYPE_FP32"
        )
    if not io.dims:
        raise ConfigError(f"{prefix} must specify 'dims' for {model}; write for example dims: [ -1 ]")
    empty_reshape = io.reshape is not None and not io.reshape.shape
    if empty_reshape and not config.batching:
        raise ConfigError(
            f"{prefix} cannot have empty reshape for non-batching model as scalar tensors are not supported "
            f"for {model}"
        )
    if not all(dim >= 1 or dim == -1 for dim in io.dims):
        raise ConfigError(f"{prefix} dimension must be integer >= 1, or {_NO_VARIABLE} for {model}")
    if max(len(io.dims), len(io.reshape.shape) if io.reshape else 0) > _MAX_RANK:
        raise ConfigError(f"{prefix} has more than {_MAX_RANK} dimensions for {model}; write fewer")
    if prod(dim for dim in io.dims if dim > 0) > _MAX_ELEMENTS:
        raise ConfigError(f"{prefix} has more than 2^63 - 1 elements for {model}; dims is {list(io.dims)}")
    if io.reshape is not None:
        _check_reshape(prefix, io.dims, io.reshape.shape, model)
    if io.is_shape_tensor or io.is_non_linear_format_io:
        field = "is_shape_tensor" if io.is_shape_tensor else "is_non_linear_format_io"
        raise ConfigError(f"{prefix} has {field}, which only TensorRT knows, for {model}; remove it")


def _check_reshape(prefix: str, dims: Sequence[int], shape: Sequence[int], model: str) -> None:
    """The sizes between variable dimensions must be equal: [2, 4, -1, 6] fits [8, -1, 1, 6]."""
    if not all(dim >= 1 or dim == -1 for dim in shape):
        raise ConfigError(f"{prefix} reshape dimensions must be integer >= 1, or {_NO_VARIABLE} for {model}")
    if dims.count(-1) != shape.count(-1):
        raise ConfigError(
            f"{prefix} has different number of variable-size dimensions for dims and reshape for {model}; "
            f"dims has {dims.count(-1)}, reshape has {shape.count(-1)}"
        )
    if _runs(dims) != _runs(shape):
        raise ConfigError(
            f"{prefix} has different size for dims and reshape for {model}; dims is {list(dims)}, reshape "
            f"is {list(shape)}"
        )


def _runs(dims: Sequence[int]) -> list[int]:
    """Element counts between variable dimensions, 1 where there is nothing between them."""
    sizes = [1]
    for dim in dims:
        if dim == -1:
            sizes.append(1)
        else:
            sizes[-1] *= dim
    return sizes


def _check_format(model_input: ModelInput, model: str) -> None:
    if model_input.format != "FORMAT_NONE" and len(model_input.dims) != 3:
        raise ConfigError(
            f"model input NHWC/NCHW require 3 dims for {model}; '{model_input.name}' has "
            f"{len(model_input.dims)}: write height, width and channels without the batch dimension, or "
            "remove format"
        )


def _check_unique(kind: str, names: Sequence[str], model: str) -> None:
    # Triton 2.51 takes two inputs of one name, and no request can fill both (docs/compatibility.md).
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ConfigError(f"{kind} '{twice}' is specified more than once for {model}; remove or rename one")


def _check_batch_input(batch_input: BatchInput, config: ModelConfig) -> None:
    prefix = f"batch input {batch_input.kind} of {config.name}"
    if not all(batch_input.target_name) or len(batch_input.target_name) != 1:
        raise ConfigError(
            f"{prefix} must have exactly one 'target_name', which is the name of the tensor it fills"
        )
    if batch_input.data_type not in ("TYPE_INT32", "TYPE_FP32"):
        raise ConfigError(f"{prefix} has data_type {batch_input.data_type}; write TYPE_INT32 or TYPE_FP32")
    if len(batch_input.source_input) != 1:
        raise ConfigError(
            f"{prefix} must have exactly one 'source_input', found {len(batch_input.source_input)}"
        )
    _check_sources(prefix, batch_input.source_input, config)


def _check_batch_output(batch_output: BatchOutput, config: ModelConfig) -> None:
    prefix = f"batch output {batch_output.kind} of {config.name}"
    outputs = {o.name for o in config.output}
    unknown = next((name for name in batch_output.target_name if name not in outputs), None)
    if unknown is not None or not batch_output.target_name:
        raise ConfigError(f"{prefix} has target_name '{unknown or ''}'; write the name of an output")
    if len(batch_output.source_input) != 1:
        raise ConfigError(
            f"{prefix} must have exactly one 'source_input', found {len(batch_output.source_input)}"
        )
    _check_sources(prefix, batch_output.source_input, config)


def _check_sources(prefix: str, sources: Sequence[str], config: ModelConfig) -> None:
    inputs = {i.name for i in config.input}
    unknown = next((name for name in sources if name not in inputs), None)
    if unknown is not None:
        raise ConfigError(
            f"{prefix} has source_input '{unknown}', which is no input; write the name of an input"
        )
