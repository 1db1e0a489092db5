"""What the states of a sequence are when it begins: zeros, or a file below ``<model>/initial_state``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from tritium.core.model_config import InitialState, ModelConfig, SequenceState
from tritium.core.tensor import CONFIG_DATATYPES, DataType, Tensor, decode_bytes
from tritium.core.validation import fits
from tritium.errors import ConfigError, InvalidArgumentError

_DIRECTORY = "initial_state"
_MAX_STATE_BYTES = 1 << 30  # of one state of one sequence; every live sequence has its own


def read_initial_states(config: ModelConfig, model_dir: Path) -> Mapping[str, Tensor]:
    """The first state of every sequence, by the name of the input that takes it.

    Dimensions that the configuration leaves open are 1 where no initial state says otherwise. A model that
    batches has a dimension of 1 in front.

    Raises:
        ConfigError: an initial state does not fit, or its file cannot be read.
    """
    states = config.sequence_batching.state if config.sequence_batching is not None else ()
    return {state.input_name: _first(config, state, model_dir) for state in states}


def _first(config: ModelConfig, state: SequenceState, model_dir: Path) -> Tensor:
    where = f"initial state of '{state.input_name}' of {config.name}"
    initial = state.initial_state[0] if state.initial_state else None
    dims = tuple(1 if dim == -1 else dim for dim in state.dims)
    if initial is not None:
        dims = initial.dims
        if not fits(dims, state.dims):
            raise ConfigError(
                f"{where} has dims {list(dims)}, which do not fit the state's {list(state.dims)}; write the "
                "same number of dimensions, and the same sizes where they are not -1"
            )
    datatype = CONFIG_DATATYPES[state.data_type]
    count = math.prod(dims)
    if count * max(datatype.itemsize, 4) > _MAX_STATE_BYTES:
        raise ConfigError(f"{where} has {count} elements, more than fit into {_MAX_STATE_BYTES} bytes")
    shape = (1, *dims) if config.batching else dims
    if initial is None or initial.data_file is None:
        return Tensor(state.input_name, datatype, shape, bytes(count * (datatype.itemsize or 4)))
    data = _read(initial, model_dir, where)
    _check_size(data, datatype, count, where)
    return Tensor(state.input_name, datatype, shape, data)


def _read(initial: InitialState, model_dir: Path, where: str) -> bytes:
    shown = f"{_DIRECTORY}/{initial.data_file}"
    path = model_dir / _DIRECTORY / str(initial.data_file)
    try:
        if path.stat().st_size > _MAX_STATE_BYTES:
            raise ConfigError(f"{where}: {shown} is larger than {_MAX_STATE_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{where}: {shown} cannot be read: {error.strerror}; put the raw bytes of the tensor there, or "
            "write zero_data: true"
        ) from error


def _check_size(data: bytes, datatype: DataType, count: int, where: str) -> None:
    if datatype is not DataType.BYTES:
        if len(data) != count * datatype.itemsize:
            raise ConfigError(
                f"{where}: its file has {len(data)} bytes, expected {count * datatype.itemsize} for {count} "
                f"elements of {datatype.value}"
            )
        return
    try:
        found = len(decode_bytes(data, where))
    except InvalidArgumentError as error:
        raise ConfigError(f"{where}: {error}") from error
    if found != count:
        raise ConfigError(f"{where}: its file has {found} strings, expected {count}")
