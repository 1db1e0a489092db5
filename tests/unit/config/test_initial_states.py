from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tritium.config.initial_states import read_initial_states
from tritium.core.model_config import InitialState, ModelConfig, SequenceBatching, SequenceState
from tritium.core.tensor import DataType, Tensor
from tritium.errors import ConfigError


def config(
    dims: tuple[int, ...] = (2,),
    initial: InitialState | None = None,
    data_type: str = "TYPE_FP32",
    max_batch_size: int = 4,
) -> ModelConfig:
    state = SequenceState("in", "out", data_type, dims, (initial,) if initial else ())
    return ModelConfig(
        name="m", max_batch_size=max_batch_size, sequence_batching=SequenceBatching(state=(state,))
    )


def from_file(dims: tuple[int, ...] = (2,), data_type: str = "TYPE_FP32") -> InitialState:
    return InitialState(data_type, dims, data_file="first")


def write(directory: Path, data: bytes) -> None:
    (directory / "initial_state").mkdir()
    (directory / "initial_state" / "first").write_bytes(data)


def first(model_config: ModelConfig, directory: Path) -> Tensor:
    found = read_initial_states(model_config, directory)
    assert list(found) == ["in"]
    return found["in"]


def values(tensor: Tensor) -> Any:
    return tensor.array().tolist()


def test_a_model_without_states_has_none(tmp_path: Path) -> None:
    assert read_initial_states(ModelConfig(), tmp_path) == {}
    assert read_initial_states(ModelConfig(sequence_batching=SequenceBatching()), tmp_path) == {}


def test_a_state_begins_with_zeros(tmp_path: Path) -> None:
    tensor = first(config(), tmp_path)
    assert (tensor.name, tensor.datatype, values(tensor)) == ("in", DataType.FP32, [[0.0, 0.0]])
    assert values(first(config(max_batch_size=0), tmp_path)) == [0.0, 0.0]
    assert values(first(config(initial=InitialState("TYPE_FP32", (2,), zero_data=True)), tmp_path)) == [
        [0.0, 0.0]
    ]


def test_sizes_that_are_open_are_one_where_nobody_says_more(tmp_path: Path) -> None:
    assert first(config((-1, 3)), tmp_path).shape == (1, 1, 3)
    wide = InitialState("TYPE_FP32", (5, 3), zero_data=True)
    assert first(config((-1, 3), wide), tmp_path).shape == (1, 5, 3)


def test_strings_begin_empty(tmp_path: Path) -> None:
    assert values(first(config(data_type="TYPE_STRING"), tmp_path)) == [[b"", b""]]


def test_a_state_begins_with_what_its_file_holds(tmp_path: Path) -> None:
    write(tmp_path, np.array([1.5, -2], "<f4").tobytes())
    assert values(first(config(initial=from_file()), tmp_path)) == [[1.5, -2.0]]


def test_a_file_may_hold_strings(tmp_path: Path) -> None:
    write(tmp_path, b"\x01\0\0\0a\0\0\0\0")
    assert values(
        first(config(initial=from_file((2,), "TYPE_STRING"), data_type="TYPE_STRING"), tmp_path)
    ) == [[b"a", b""]]


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"1234567", "its file has 7 bytes, expected 8 for 2 elements of FP32"),
        (None, "initial_state/first cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, data: bytes | None, cause: str) -> None:
    if data is not None:
        write(tmp_path, data)
    with pytest.raises(ConfigError) as refused:
        first(config(initial=from_file()), tmp_path)
    assert f"initial state of 'in' of m: {cause}" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "cause"),
    [(b"\x01\0\0\0a", "has 1 strings, expected 2"), (b"\x09\0\0\0a", "incomplete string data")],
)
def test_strings_that_do_not_fit_are_refused(tmp_path: Path, data: bytes, cause: str) -> None:
    write(tmp_path, data)
    with pytest.raises(ConfigError, match=cause):
        first(config(initial=from_file((2,), "TYPE_STRING"), data_type="TYPE_STRING"), tmp_path)


def test_sizes_must_be_those_of_the_state(tmp_path: Path) -> None:
    for dims in ((3,), (2, 1)):
        with pytest.raises(ConfigError, match="which do not fit the state's"):
            first(config((2,), InitialState("TYPE_FP32", dims, zero_data=True)), tmp_path)


def test_a_state_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than fit into 1073741824 bytes"):
        first(config((2**40,)), tmp_path)
