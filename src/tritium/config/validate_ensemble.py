"""The rules of an ensemble that can be told without looking at its models."""

from __future__ import annotations

from collections.abc import Sequence

from tritium.core.model_config import EnsembleScheduling, EnsembleStep, ModelConfig
from tritium.errors import ConfigError


def check_ensemble(config: ModelConfig) -> None:
    """Refuse an ensemble whose tensors do not flow from its inputs to its outputs.

    Raises:
        ConfigError: the first rule that is broken.
    """
    name, scheduling = config.name, config.ensemble_scheduling
    if scheduling is None:
        raise ConfigError(f"ensemble scheduling must be set for ensemble {name} whose platform is ensemble")
    if config.instance_group:
        raise ConfigError(
            f"instance group should not be specified for ensemble '{name}'; write it into its models"
        )
    if not scheduling.step:
        raise ConfigError(
            f"must specify 'step' for ensemble '{name}'; write ensemble_scheduling {{ step [ ... ] }}"
        )
    for index, step in enumerate(scheduling.step):
        _check_step(step, index, name)
    produced = _produced(config, scheduling)
    used = {tensor for step in scheduling.step for tensor in step.input_map.values()}
    for model_input in config.input:
        if model_input.name not in used:
            raise ConfigError(f"ensemble input '{model_input.name}' for ensemble {name}' is not used")
    for model_output in config.output:
        if model_output.name not in produced:
            raise ConfigError(f"ensemble output '{model_output.name}' for ensemble {name}' is not used")
    _check_flow([i.name for i in config.input], scheduling.step, name)


def _check_step(step: EnsembleStep, index: int, ensemble: str) -> None:
    for field, value in (
        ("model_name", step.model_name),
        ("input_map", step.input_map),
        ("output_map", step.output_map),
    ):
        if not value:
            raise ConfigError(f"must specify '{field}' in step {index} of ensemble '{ensemble}'")
    maps = (*step.input_map.items(), *step.output_map.items())
    if any(not key or not tensor for key, tensor in maps):
        raise ConfigError(f"step {index} of ensemble '{ensemble}' has an empty 'key' or 'value' in a map")


def _produced(config: ModelConfig, scheduling: EnsembleScheduling) -> set[str]:
    """The ensemble tensors that steps write, each written once."""
    produced: set[str] = set()
    inputs = {i.name for i in config.input}
    for index, step in enumerate(scheduling.step):
        for tensor in step.output_map.values():
            if tensor in produced:
                raise ConfigError(
                    f"ensemble tensor '{tensor}' can appear in an output map only once for ensemble "
                    f"'{config.name}' step {index}"
                )
            if tensor in inputs:
                raise ConfigError(
                    f"ensemble input '{tensor}' is also written by step {index} of ensemble "
                    f"'{config.name}'; rename one of them"
                )
            produced.add(tensor)
    return produced


def _check_flow(inputs: Sequence[str], steps: Sequence[EnsembleStep], ensemble: str) -> None:
    """Run the steps in thought: one that never has all its inputs would wait for ever. Linear in the maps."""
    missing = [set(step.input_map.values()) for step in steps]
    readers: dict[str, list[int]] = {}
    for index, tensors in enumerate(missing):
        for tensor in tensors:
            readers.setdefault(tensor, []).append(index)
    arriving = list(inputs)
    while arriving:
        tensor = arriving.pop()
        for index in readers.pop(tensor, ()):
            missing[index].discard(tensor)
            if not missing[index]:
                arriving.extend(steps[index].output_map.values())
    for index, tensors in enumerate(missing):
        if tensors:
            raise ConfigError(
                f"ensemble tensor '{min(tensors)}', which step {index} of ensemble '{ensemble}' needs, is "
                "never made before it; write it into the output_map of another step, or among the inputs"
            )
