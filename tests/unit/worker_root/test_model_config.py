"""The texts were observed with the ModelConfig of Triton's release 24.10."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tritium_worker.model_config import ModelConfig

IN = {"name": "IN", "data_type": "TYPE_FP32", "dims": [4]}
OUT = {"name": "OUT", "data_type": "TYPE_FP32", "dims": [4]}
BASE: dict[str, Any] = {"name": "m", "max_batch_size": 4, "input": [IN], "output": [OUT]}


def config(**changes: Any) -> ModelConfig:
    return ModelConfig(json.dumps({**BASE, **changes}))


def test_as_dict_is_the_configuration_itself() -> None:
    model_config = config()
    assert model_config.as_dict() == BASE
    assert model_config.as_dict() is model_config.as_dict()


@pytest.mark.parametrize("declared", [{}, {"input": [], "output": []}])
def test_adds_inputs_and_outputs(declared: dict[str, Any]) -> None:
    model_config = ModelConfig(json.dumps({"name": "m", **declared}))
    model_config.add_input({**IN, "optional": True})
    model_config.add_output(OUT)
    assert model_config.as_dict() == {"name": "m", "input": [{**IN, "optional": True}], "output": [OUT]}


def test_adds_beside_what_is_declared() -> None:
    model_config = config()
    model_config.add_input({**IN, "name": "Z"})
    assert [t["name"] for t in model_config.as_dict()["input"]] == ["IN", "Z"]


@pytest.mark.parametrize("dims", [[4], ["4"]])
def test_confirms_what_is_declared(dims: list[Any]) -> None:
    model_config = config(input=[{**IN, "dims": dims}])
    model_config.add_input(IN)
    model_config.add_output(OUT)
    assert model_config.as_dict() == {**BASE, "input": [{**IN, "dims": dims}]}


@pytest.mark.parametrize(
    "open_input",
    [{"name": "IN"}, {"name": "IN", "data_type": "TYPE_INVALID", "dims": []}, {**IN, "dims": []}],
)
def test_fills_what_a_declaration_leaves_open(open_input: dict[str, Any]) -> None:
    model_config = config(input=[open_input])
    model_config.add_input({**IN, "optional": True})
    assert model_config.as_dict()["input"] == [{**IN, "optional": True}]


CONFLICTS: list[tuple[Callable[[ModelConfig], None], dict[str, Any], str]] = [
    (
        lambda c: c.add_input({**IN, "data_type": "TYPE_INT32"}),
        {},
        (
            "unable to load model 'm', configuration expects datatype TYPE_FP32 for input 'IN', "
            "model provides TYPE_INT32"
        ),
    ),
    (
        lambda c: c.add_output({**OUT, "data_type": "TYPE_INT32"}),
        {},
        (
            "unable to load model 'm', configuration expects datatype TYPE_FP32 for output 'OUT', "
            "model provides TYPE_INT32"
        ),
    ),
    (
        lambda c: c.add_input({**IN, "dims": [-1]}),
        {},
        "model 'm', tensor 'IN': the model expects dims [-1] but the model configuration specifies dims [4]",
    ),
    (
        lambda c: c.add_output({**OUT, "dims": [5]}),
        {},
        "model 'm', tensor 'OUT': the model expects dims [5] but the model configuration specifies dims [4]",
    ),
    (
        lambda c: c.add_input({**IN, "optional": False}),
        {"input": [{**IN, "optional": True}]},
        (
            "model 'm', tensor 'IN': the model expects optional False but the model configuration specifies "
            "optional True"
        ),
    ),
    (
        lambda c: c.add_input({"data_type": "TYPE_FP32", "dims": [4]}),
        {},
        "input in auto-complete-config function for model 'm' is missing 'name' property.",
    ),
    (
        lambda c: c.add_input({"name": "A", "dims": [4]}),
        {},
        "input 'A' in auto-complete-config function for model 'm' is missing 'data_type' property.",
    ),
    (
        lambda c: c.add_output({"name": "A", "data_type": "TYPE_FP32"}),
        {},
        "output 'A' in auto-complete-config function for model 'm' is missing 'dims' property.",
    ),
    (
        lambda c: c.add_input({**IN, "reshape": []}),
        {},
        (
            "input 'IN' in auto-complete-config function for model 'm' contains property other than 'name', "
            "'data_type', 'dims' and 'optional'."
        ),
    ),
    (
        lambda c: c.add_output({**OUT, "optional": True}),
        {},
        (
            "output 'OUT' in auto-complete-config function for model 'm' contains property other than "
            "'name', 'data_type' and 'dims'."
        ),
    ),
    (
        lambda c: c.set_max_batch_size(2),
        {},
        (
            "configuration specified max_batch_size 4, but in auto-complete-config function for model "
            "'m' specified max_batch_size 2"
        ),
    ),
    (
        lambda c: c.set_dynamic_batching(),
        {"sequence_batching": {}},
        (
            "Configuration specified scheduling_choice as 'sequence_batching', but auto-complete-config "
            "function for model 'm' tries to set scheduling_choice as 'dynamic_batching'"
        ),
    ),
    (
        lambda c: c.set_dynamic_batching(),
        {"ensemble_scheduling": {}},
        (
            "Configuration specified scheduling_choice as 'ensemble_scheduling', but auto-complete-config "
            "function for model 'm' tries to set scheduling_choice as 'dynamic_batching'"
        ),
    ),
    (
        lambda c: c.set_model_transaction_policy({"decoupled": False}),
        {"model_transaction_policy": {"decoupled": True}},
        (
            "trying to change decoupled property in auto-complete-config for model 'm', "
            "which is already set to 'True'."
        ),
    ),
    (
        lambda c: c.set_model_transaction_policy({"decoupled": True, "other": 1}),
        {},
        (
            "model transaction property in auto-complete-config function for model 'm' contains property "
            "other than 'decoupled'."
        ),
    ),
]


@pytest.mark.parametrize(("change", "declared", "text"), CONFLICTS)
def test_conflicts_have_tritons_texts(
    change: Callable[[ModelConfig], None], declared: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError) as raised:
        change(config(**declared))
    assert str(raised.value) == text


@pytest.mark.parametrize(("configured", "wanted"), [(4, 4), (4, 8), (0, 0), (0, 2)])
def test_max_batch_size_may_grow(configured: int, wanted: int) -> None:
    model_config = config(max_batch_size=configured)
    model_config.set_max_batch_size(wanted)
    assert model_config.as_dict()["max_batch_size"] == wanted


def test_max_batch_size_may_be_set_where_there_is_none() -> None:
    model_config = ModelConfig('{"name": "m"}')
    model_config.set_max_batch_size(8)
    assert model_config.as_dict() == {"name": "m", "max_batch_size": 8}


@pytest.mark.parametrize("declared", [{}, {"max_queue_delay_microseconds": 3}])
def test_dynamic_batching_keeps_its_settings(declared: dict[str, Any]) -> None:
    model_config = config(dynamic_batching=declared)
    model_config.set_dynamic_batching()
    assert model_config.as_dict()["dynamic_batching"] == declared


def test_dynamic_batching_is_switched_on() -> None:
    model_config = config()
    model_config.set_dynamic_batching()
    assert model_config.as_dict()["dynamic_batching"] == {}


@pytest.mark.parametrize(
    ("declared", "wanted", "result"),
    [
        ({}, {"decoupled": True}, {"decoupled": True}),
        ({"model_transaction_policy": {}}, {"decoupled": False}, {"decoupled": False}),
        ({"model_transaction_policy": {"decoupled": True}}, {"decoupled": True}, {"decoupled": True}),
        ({"model_transaction_policy": {"decoupled": True}}, {}, {"decoupled": True}),
    ],
)
def test_the_transaction_policy_is_set_once(
    declared: dict[str, Any], wanted: dict[str, Any], result: dict[str, Any]
) -> None:
    model_config = config(**declared)
    model_config.set_model_transaction_policy(wanted)
    assert model_config.as_dict()["model_transaction_policy"] == result
