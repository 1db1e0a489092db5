from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tritium.core.model_config import ModelConfig, ModelParameter
from tritium.environments.python import PythonEnvironments, check_sent
from tritium.errors import ConfigError, TritiumError


def config(**parameters: str) -> ModelConfig:
    given = {name: ModelParameter(value) for name, value in parameters.items()}
    return ModelConfig(name="m", backend="python", parameters=given)


def test_without_a_word_it_is_the_servers_interpreter(tmp_path: Path) -> None:
    interpreter = PythonEnvironments({}).interpreter(config(), tmp_path)
    assert (interpreter.command, interpreter.environ) == ((sys.executable,), None)


def test_the_models_own_goes_before_that_of_the_backend(tmp_path: Path) -> None:
    environments = PythonEnvironments({"executable": "/nowhere/python"})
    found = environments.interpreter(config(PYTHON_EXECUTABLE=sys.executable), tmp_path)
    assert found.command == (sys.executable,)
    with pytest.raises(
        TritiumError, match="interpreter of --backend-config=python,executable does not exist"
    ):
        environments.interpreter(config(), tmp_path)


def test_a_path_may_begin_with_the_models_directory(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    found = PythonEnvironments({}).interpreter(
        config(PYTHON_EXECUTABLE="$$TRITON_MODEL_DIRECTORY/python"), tmp_path
    )
    assert found.command == (str(tmp_path.resolve() / "python"),)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"PYTHON_EXECUTABLE": ""}, "parameter 'PYTHON_EXECUTABLE' of m has no value"),
        ({"EXECUTION_ENV_PATH": "a\0b"}, "parameter 'EXECUTION_ENV_PATH' of m has no value"),
        ({"PYTHON_EXECUTABLE": "a", "EXECUTION_ENV_PATH": "b"}, "has both parameters"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(
    tmp_path: Path, parameters: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        PythonEnvironments({}).interpreter(config(**parameters), tmp_path)


@pytest.mark.parametrize(
    "sent",
    [
        {"PYTHON_EXECUTABLE": "/bin/sh"},
        {"PYTHON_EXECUTABLE": "$$TRITON_MODEL_DIRECTORY/python"},
        {"EXECUTION_ENV_PATH": "/etc"},
        {"EXECUTION_ENV_PATH": "$$TRITON_MODEL_DIRECTORY/../other/env"},
    ],
)
def test_a_client_cannot_choose_what_runs(tmp_path: Path, sent: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="cannot be sent with a load request"):
        check_sent(config(**sent), config(), tmp_path)
    check_sent(config(**sent), config(**sent), tmp_path)  # what the model's own file says may be repeated


def test_a_client_may_name_what_it_sends_along(tmp_path: Path) -> None:
    check_sent(config(EXECUTION_ENV_PATH="$$TRITON_MODEL_DIRECTORY/env.tar.gz"), config(), tmp_path)
    check_sent(config(), config(PYTHON_EXECUTABLE="/bin/python"), tmp_path)
