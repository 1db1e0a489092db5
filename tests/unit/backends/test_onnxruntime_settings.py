from __future__ import annotations

import pytest

from tritium.backends.onnxruntime_settings import GraphLevel, SessionSettings, session_settings
from tritium.core.model_config import (
    Accelerator,
    ExecutionAccelerators,
    GraphOptimization,
    ModelConfig,
    ModelParameter,
    Optimization,
)
from tritium.errors import ConfigError

ARENA = "memory.enable_memory_arena_shrinkage"
PROVIDERS = ["CPUExecutionProvider"]


def settings(optimization: Optimization | None = None, /, **parameters: str) -> SessionSettings:
    values = {key: ModelParameter(value) for key, value in parameters.items()}
    return session_settings(ModelConfig(name="m", parameters=values, optimization=optimization), 3, PROVIDERS)


def refusal(optimization: Optimization | None = None, /, **parameters: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(optimization, **parameters)
    return str(caught.value)


def test_the_defaults_use_the_instances_share_of_the_cores_and_do_not_spin() -> None:
    assert settings() == SessionSettings(
        intra_op_threads=3,
        inter_op_threads=0,
        parallel=False,
        memory_arena=True,
        memory_pattern=True,
        arena_shrinkage="",
        graph_level="all",
        session_entries={"session.intra_op.allow_spinning": "0"},
    )


def test_parameters_win_over_the_defaults() -> None:
    found = settings(
        **{
            "intra_op_thread_count": "0",
            "inter_op_thread_count": "5",
            "execution_mode": "1",
            "enable_mem_arena": "1",
            "enable_mem_pattern": "0",
            ARENA: "cpu:0",
            "session.intra_op.allow_spinning": "1",
            "session.other": "value",
            "of_another_program": "anything",
        }
    )
    assert found == SessionSettings(
        intra_op_threads=0,
        inter_op_threads=5,
        parallel=True,
        memory_arena=True,
        memory_pattern=False,
        arena_shrinkage="cpu:0",
        graph_level="all",
        session_entries={"session.intra_op.allow_spinning": "1", "session.other": "value"},
    )


@pytest.mark.parametrize(("level", "name"), [(-1, "basic"), (0, "all"), (1, "extended"), (2, "none")])
def test_graph_levels_are_tritons(level: int, name: GraphLevel) -> None:
    assert settings(Optimization(graph=GraphOptimization(level=level))).graph_level == name


def test_an_unknown_graph_level_is_refused() -> None:
    assert "optimization.graph.level is 3 but must be -1" in refusal(
        Optimization(graph=GraphOptimization(level=3))
    )


@pytest.mark.parametrize("value", ["", "-1", "two", "1.5", "1025", "²"])
def test_a_thread_count_that_is_no_count_is_refused(value: str) -> None:
    assert refusal(intra_op_thread_count=value) == (
        f"model 'm': parameter 'intra_op_thread_count' is '{value}' but must be a whole number from 0 (let "
        "ONNX Runtime "
        'choose) to 1024; write parameters { key: "intra_op_thread_count" value { string_value: "2" } }'
    )


@pytest.mark.parametrize("key", ["execution_mode", "enable_mem_arena", "enable_mem_pattern"])
def test_a_switch_is_0_or_1(key: str) -> None:
    assert f"parameter '{key}' is 'yes' but must be 0 (" in refusal(**{key: "yes"})


def test_arenas_of_devices_that_are_not_there_are_refused() -> None:
    assert "is 'gpu:0' but must be cpu:0" in refusal(**{ARENA: "gpu:0"})


def test_shrinking_an_arena_that_is_switched_off_is_refused() -> None:
    assert "there is no arena to shrink" in refusal(**{ARENA: "cpu:0", "enable_mem_arena": "0"})


def test_session_entries_need_a_value() -> None:
    assert "parameter 'session.x' is '' but must be a value" in refusal(**{"session.x": ""})
    assert "must be 0 (off) or 1 (on)" in refusal(**{"session.inter_op.allow_spinning": "no"})


@pytest.mark.parametrize("side", ["gpu_execution_accelerator", "cpu_execution_accelerator"])
def test_accelerators_are_refused_with_what_is_installed(side: str) -> None:
    accelerators = ExecutionAccelerators(**{side: (Accelerator("tensorrt"),)})
    text = refusal(Optimization(execution_accelerators=accelerators))
    assert "asks for 'tensorrt'" in text
    assert "installed: CPUExecutionProvider" in text
