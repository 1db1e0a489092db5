"""Tests for ``tritium.repository.worker_parameters``."""

from __future__ import annotations

import sys

import pytest

from tests.unit.builders import echo_config
from tritium.core.model_config import ModelConfig, ModelParameter
from tritium.core.schedulers_config import DynamicBatching, SequenceBatching
from tritium.environments.interpreter import Interpreter
from tritium.errors import ConfigError
from tritium.execution.flights import Retry
from tritium.execution.recycler import RecycleLimits
from tritium.execution.worker_plan import WorkerPlan
from tritium.repository.worker_parameters import plan_for, refuse_in_threads

PLAN = WorkerPlan(Interpreter((sys.executable,)), {}, {})


def config(**parameters: str) -> ModelConfig:
    return echo_config("m", parameters={name: ModelParameter(value) for name, value in parameters.items()})


def test_a_model_that_says_nothing_gets_the_defaults() -> None:
    plan = plan_for(PLAN, config(), 7.0)
    assert (plan.execution_timeout_s, plan.retry, plan.recycle) == (7.0, Retry.NEIGHBOURS, None)


def test_what_a_model_says_is_in_its_plan() -> None:
    given = config(
        TRITIUM_EXECUTION_TIMEOUT_SECS="1.5",
        TRITIUM_RETRY="idempotent",
        TRITIUM_RECYCLE_AFTER_REQUESTS="1000",
        TRITIUM_RECYCLE_ABOVE_MB="2",
    )
    plan = plan_for(PLAN, given, 7.0)
    assert (plan.execution_timeout_s, plan.retry) == (1.5, Retry.ALL)
    assert plan.recycle == RecycleLimits(1000, 2 << 20)


def test_requests_of_a_model_without_batching_run_in_order() -> None:
    assert plan_for(PLAN, config(), None).in_order
    assert not plan_for(PLAN, echo_config("m", dynamic_batching=DynamicBatching()), None).in_order
    assert not plan_for(PLAN, echo_config("m", sequence_batching=SequenceBatching()), None).in_order


def test_nothing_of_a_stateful_model_is_run_again() -> None:
    stateful = echo_config("m", sequence_batching=SequenceBatching())
    assert plan_for(PLAN, stateful, None).retry is Retry.NONE
    asks = echo_config(
        "m",
        sequence_batching=SequenceBatching(),
        parameters={"TRITIUM_RETRY": ModelParameter("idempotent")},
    )
    with pytest.raises(ConfigError, match="keeps state between requests"):
        plan_for(PLAN, asks, None)


@pytest.mark.parametrize("name", ["TRITIUM_RECYCLE_AFTER_REQUESTS", "TRITIUM_RECYCLE_ABOVE_MB"])
def test_a_worker_of_a_stateful_model_is_not_replaced_because_it_served_enough(name: str) -> None:
    given = echo_config("m", sequence_batching=SequenceBatching(), parameters={name: ModelParameter("5")})
    with pytest.raises(
        ConfigError, match=f"parameter '{name}' of m: a worker of a model with sequence_batching"
    ):
        plan_for(PLAN, given, None)


def test_a_plan_says_whether_requests_need_what_earlier_ones_left() -> None:
    assert plan_for(PLAN, echo_config("m", sequence_batching=SequenceBatching()), None).stateful
    assert not plan_for(PLAN, echo_config("m"), None).stateful


@pytest.mark.parametrize("value", ["", "x", "0", "-1", "nan", "inf", "1e10"])
def test_a_limit_is_a_number_above_zero(value: str) -> None:
    with pytest.raises(ConfigError, match="greater than 0"):
        plan_for(PLAN, config(TRITIUM_RECYCLE_AFTER_REQUESTS=value), None)


@pytest.mark.parametrize(
    "name",
    [
        "TRITIUM_EXECUTION_TIMEOUT_SECS",
        "TRITIUM_RETRY",
        "TRITIUM_RECYCLE_AFTER_REQUESTS",
        "TRITIUM_RECYCLE_ABOVE_MB",
    ],
)
def test_threads_refuse_what_only_workers_can_do(name: str) -> None:
    refuse_in_threads(config(), "onnxruntime")
    with pytest.raises(ConfigError, match=f"parameter '{name}' of m: backend 'onnxruntime' runs in threads"):
        refuse_in_threads(config(**{name: "1"}), "onnxruntime")
