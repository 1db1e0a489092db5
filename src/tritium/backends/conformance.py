"""A configuration against what the model file says: names, data types and shapes, before anything runs.

The rules are Triton's for ONNX models: where the file fixes a dimension the configuration must say the
same, where the file leaves it open the configuration may narrow it, and a model that batches has an open
first dimension everywhere. One rule is wider: of an output the configuration may leave open what the file
fixes. That promises less, and an engine may learn an output's shape only when it optimises the graph, after
the configuration was completed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput
from tritium.core.model_description import ModelDescription, TensorSpec
from tritium.errors import ConfigError

Side = Literal["input", "output"]


def check_conformance(config: ModelConfig, description: ModelDescription, file: str) -> None:
    """Accept a complete ``config`` for the model that ``description`` describes.

    Args:
        file: the model file relative to the model's directory (``1/model.onnx``), for the texts.

    Raises:
        ConfigError: a name, data type or shape does not fit; the text says what to write.
    """
    for tensor in config.input:
        _check_tensor(config, "input", tensor, description.inputs, file)
    for output in config.output:
        _check_tensor(config, "output", output, description.outputs, file)
    _check_batch_inputs(config, description.inputs, file)
    _check_sequences(config, description, file)
    given = {tensor.name for tensor in config.input} | _made_by_the_server(config)
    for spec in description.inputs:
        if spec.name not in given and not spec.optional:
            raise ConfigError(
                f"model '{config.name}': the configuration lacks the input '{spec.name}' that {file} "
                f"requires; add {_entry('input', spec, config)}"
            )


def _check_tensor(
    config: ModelConfig, side: Side, tensor: ModelInput | ModelOutput, specs: Sequence[TensorSpec], file: str
) -> None:
    where = f"model '{config.name}', {side} '{tensor.name}'"
    spec = _by_name(specs).get(tensor.name)
    if spec is None:
        known = ", ".join(f"'{s.name}' ({s.data_type} {_shape(s.dims)})" for s in specs) or "none"
        raise ConfigError(
            f"{where}: {file} has no such {side}; its {side}s are {known}; write one of these names"
        )
    if tensor.data_type != spec.data_type:
        raise ConfigError(
            f"{where}: {file} expects {spec.data_type} but the configuration says {tensor.data_type}; write "
            f"data_type: {spec.data_type}"
        )
    if isinstance(tensor, ModelInput) and tensor.allow_ragged_batch and config.batching:
        _check_flat(where, spec, file)
        return
    if _split_by_shape(config, tensor.name):
        return
    if config.batching:
        _check_batch_dimension(where, side, spec, config, file)
    dims = tensor.dims if tensor.reshape is None else tensor.reshape.shape
    full = (-1, *dims) if config.batching else tuple(dims)
    # () is a scalar or a tensor of unknown rank; onnxruntime does not tell them apart.
    if spec.dims and not _fits(full, spec.dims, may_open=side == "output"):
        batch = f" (a batch dimension, because max_batch_size is {config.max_batch_size}, then dims)"
        field = "dims" if tensor.reshape is None else "reshape { shape }"
        raise ConfigError(
            f"{where}: {file} expects the shape {_shape(spec.dims)} but the configuration describes "
            f"{_shape(full)}{batch if config.batching else ''}; write {field}: "
            f"{_shape(spec.dims[config.batching :])}"
        )


def _check_flat(where: str, spec: TensorSpec, file: str) -> None:
    """A ragged input is joined to one dimension of any size."""
    if spec.dims != (-1,):
        raise ConfigError(
            f"{where}: allow_ragged_batch gives the model all elements of the batch in one dimension, but "
            f"{file} expects the shape {_shape(spec.dims)}; export the model with one variable dimension "
            "there, or remove allow_ragged_batch"
        )


def _split_by_shape(config: ModelConfig, output: str) -> bool:
    """Whether an output's elements are given out by the shapes of an input, whatever shape it has itself."""
    return any(output in batch_output.target_name for batch_output in config.batch_output)


def _check_batch_inputs(config: ModelConfig, specs: Sequence[TensorSpec], file: str) -> None:
    known = _by_name(specs)
    for made in config.batch_input:
        spec = known.get(made.target_name[0])
        where = f"model '{config.name}', batch_input '{made.target_name[0]}'"
        if spec is None:
            listed = ", ".join(f"'{s.name}'" for s in specs) or "none"
            raise ConfigError(
                f"{where}: {file} has no such input; its inputs are {listed}; write one of these names"
            )
        if spec.data_type != made.data_type:
            raise ConfigError(
                f"{where}: {file} expects {spec.data_type} but the configuration says {made.data_type}; "
                f"write data_type: {spec.data_type}, or export the model with TYPE_INT32 or TYPE_FP32"
            )


def _check_batch_dimension(where: str, side: Side, spec: TensorSpec, config: ModelConfig, file: str) -> None:
    if (spec.dims and spec.dims[0] == -1) or (not spec.dims and side == "output"):
        return
    raise ConfigError(
        f"{where}: max_batch_size is {config.max_batch_size}, so the first dimension in {file} must be "
        f"variable, but its shape is {_shape(spec.dims)}; write max_batch_size: 0 and dims: "
        f"{_shape(spec.dims or (1,))}, or export the model with a variable first dimension"
    )


def _fits(full: Sequence[int], expected: Sequence[int], *, may_open: bool) -> bool:
    if len(full) != len(expected):
        return False
    return all(
        want in (-1, got) or (may_open and got == -1) for got, want in zip(full, expected, strict=True)
    )


def _check_sequences(config: ModelConfig, description: ModelDescription, file: str) -> None:
    """Controls and states must be tensors of the model, and of its types."""
    batching = config.sequence_batching
    if batching is None:
        return
    inputs, outputs = _by_name(description.inputs), _by_name(description.outputs)
    for control_input in batching.control_input:
        for control in control_input.control:
            where = f"control {control.kind} '{control_input.name}'"
            _check_kept(where, inputs.get(control_input.name), control.type_of_value, config, file)
    for state in batching.state:
        where = f"state '{state.input_name}'"
        _check_kept(f"{where}, input", inputs.get(state.input_name), state.data_type, config, file)
        where = f"{where}, output '{state.output_name}'"
        _check_kept(where, outputs.get(state.output_name), state.data_type, config, file)


def _check_kept(where: str, spec: TensorSpec | None, data_type: str, config: ModelConfig, file: str) -> None:
    where = f"model '{config.name}', sequence_batching {where}"
    if spec is None:
        raise ConfigError(f"{where}: {file} has no tensor of this name; write one that it has, or remove it")
    if spec.data_type != data_type:
        raise ConfigError(
            f"{where}: {file} has {spec.data_type} there but the configuration says {data_type}; write "
            f"{spec.data_type}, or the values of that type"
        )


def _made_by_the_server(config: ModelConfig) -> set[str]:
    """Model inputs that no request carries: sequence controls and states, and inputs made from the batch."""
    names = {name for made in config.batch_input for name in made.target_name}
    if config.sequence_batching is not None:
        names |= config.sequence_batching.made_inputs
    return names


def _entry(side: Side, spec: TensorSpec, config: ModelConfig) -> str:
    dims = spec.dims[config.batching :] or (1,)
    return f'{side} [ {{ name: "{spec.name}" data_type: {spec.data_type} dims: {_shape(dims)} }} ]'


def _by_name(specs: Sequence[TensorSpec]) -> Mapping[str, TensorSpec]:
    return {spec.name: spec for spec in specs}


def _shape(dims: Sequence[int]) -> str:
    return f"[ {', '.join(map(str, dims))} ]" if dims else "[ ]"
