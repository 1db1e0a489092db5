"""Whether the tensors of an ensemble fit its steps: each has one type and shape on all sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tritium.core.model_config import EnsembleStep, ModelConfig, ModelInput, ModelOutput
from tritium.errors import ConfigError

VARIABLE = -1


@dataclass(frozen=True, slots=True)
class Side:
    """One place where an ensemble tensor appears."""

    where: str  # for people: which step, which tensor of the model
    model: str
    data_type: str
    dims: tuple[int, ...]  # without the batch dimension
    full_dims: tuple[int, ...]  # with it
    gives: bool  # the tensor comes from here


def check_ensemble_tensors(config: ModelConfig, models: Sequence[ModelConfig]) -> None:
    """Refuse an ensemble whose steps do not fit together.

    Args:
        models: the configuration of the model of each step.

    Raises:
        ConfigError: the first misfit, with both sides of it.
    """
    assert config.ensemble_scheduling is not None
    for step, model in zip(config.ensemble_scheduling.step, models, strict=True):
        _check_names(config.name, step, model)
        if 0 < model.max_batch_size < config.max_batch_size:
            raise ConfigError(
                f"ensemble {config.name} allows maximum batch size {config.max_batch_size}, but it contains "
                f"model {model.name} which only allows maximum batch size to be {model.max_batch_size}"
            )
    for tensor, sides in _sides(config, models).items():
        for side in sides[1:]:
            _check_alike(config.name, tensor, sides[0], side)


def full_rank(config: ModelConfig, tensor: ModelInput | ModelOutput) -> int:
    """The number of dimensions on the wire."""
    return len(tensor.dims) + config.batching


def _check_names(ensemble: str, step: EnsembleStep, model: ModelConfig) -> None:
    inputs = {i.name: i for i in model.input}
    outputs = {o.name for o in model.output}
    for name, tensor in step.input_map.items():
        if name not in inputs:
            raise ConfigError(
                f"in ensemble {ensemble}, ensemble tensor {tensor} is mapping to non-existing input {name} "
                f"in model {model.name}; it has {_listed(inputs)}"
            )
    for name, tensor in step.output_map.items():
        if name not in outputs:
            raise ConfigError(
                f"in ensemble {ensemble}, ensemble tensor {tensor} is mapped from non-existing output {name} "
                f"in model {model.name}; it has {_listed(outputs)}"
            )
    for name, model_input in inputs.items():
        if name not in step.input_map and not model_input.optional:
            raise ConfigError(
                f"in ensemble {ensemble}, input {name} in model {model.name} is not mapped to any ensemble "
                "tensors"
            )


def _sides(config: ModelConfig, models: Sequence[ModelConfig]) -> Mapping[str, list[Side]]:
    """By ensemble tensor, everywhere it appears; first where it comes from, as far as that is known."""
    assert config.ensemble_scheduling is not None
    found: dict[str, list[Side]] = {}
    for given in config.input:
        dims = given.reshape.shape if given.reshape is not None else given.dims
        _note(found, given.name, _side("input of the ensemble", config, given, dims, gives=True))
    steps = [*enumerate(zip(config.ensemble_scheduling.step, models, strict=True))]
    for index, (step, model) in steps:
        made = {o.name: o for o in model.output}
        for name, tensor in step.output_map.items():
            where = f"step {index}, output '{name}' of model '{model.name}'"
            _note(found, tensor, _side(where, model, made[name], made[name].dims, gives=True))
    for index, (step, model) in steps:
        taken = {i.name: i for i in model.input}
        for name, tensor in step.input_map.items():
            where = f"step {index}, input '{name}' of model '{model.name}'"
            _note(found, tensor, _side(where, model, taken[name], taken[name].dims, gives=False))
    for wanted in config.output:
        dims = wanted.reshape.shape if wanted.reshape is not None else wanted.dims
        _note(found, wanted.name, _side("output of the ensemble", config, wanted, dims, gives=False))
    return found


def _note(found: dict[str, list[Side]], tensor: str, side: Side) -> None:
    found.setdefault(tensor, []).append(side)


def _side(
    where: str, config: ModelConfig, tensor: ModelInput | ModelOutput, dims: tuple[int, ...], *, gives: bool
) -> Side:
    full = (VARIABLE, *dims) if config.batching else dims
    return Side(where, config.name, tensor.data_type, dims, full, gives)


def _check_alike(ensemble: str, tensor: str, first: Side, second: Side) -> None:
    what, shown = "", ("", "")
    if first.data_type != second.data_type:
        what, shown = "data type", (first.data_type, second.data_type)
    elif not _fit(first.dims, second.dims) and not _fit(first.full_dims, second.full_dims):
        what, shown = "shape", (_text(first.full_dims), _text(second.full_dims))
    if what:
        raise ConfigError(
            f"in ensemble {ensemble}, ensemble tensor {tensor}: inconsistent {what}: {shown[0]} is inferred "
            f"from model {first.model} while {shown[1]} is inferred from model {second.model}\n"
            + drawing(tensor, first, second)
        )


def drawing(tensor: str, first: Side, second: Side) -> str:
    """Both sides of a tensor, one below the other, with an arrow through the tensor's name."""
    rows = [
        (side.where, f"{side.data_type} {_text(side.full_dims)}", "-->" if side.gives else "<--")
        for side in (first, second)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [
        f"  {where:<{widths[0]}}  {what:<{widths[1]}}  {arrow} '{tensor}'" for where, what, arrow in rows
    ]
    return "\n".join(lines)


def _fit(dims: Sequence[int], others: Sequence[int]) -> bool:
    return len(dims) == len(others) and all(
        VARIABLE in (dim, other) or dim == other for dim, other in zip(dims, others, strict=True)
    )


def _text(dims: Sequence[int]) -> str:
    return f"[{','.join(map(str, dims))}]"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
