"""What a model file says about itself, in the words of config.pbtxt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model file."""

    name: str
    data_type: str  # as in config.pbtxt: "TYPE_FP32"
    dims: tuple[
        int, ...
    ]  # the full shape, batch dimension included; -1 is any size, () a scalar or unknown rank
    optional: bool = False  # the model runs without it


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """The inputs and outputs of a model file, in the file's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
