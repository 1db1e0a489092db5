"""Which interpreter a ``model.py`` runs under, made ready where that takes something.

EXECUTION_ENV_PATH  a whole environment: a directory, or an archive
requirements.txt    a virtual environment with these packages, made of the interpreter that else would run
PYTHON_EXECUTABLE   an interpreter of the model's own
executable=         the interpreter of all python models of the server; else the server's
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tritium.core.model_config import ModelConfig
from tritium.environments.cache import EnvironmentCache, python_of
from tritium.environments.interpreter import Interpreter, examine, inside
from tritium.environments.packed import ENV_PATH_PARAMETER, environment_at, expanded
from tritium.environments.requirements import REQUIREMENTS, build, find_installer, key_of
from tritium.environments.steps import Job
from tritium.errors import ConfigError, InternalError

logger = logging.getLogger("tritium.environments")

EXECUTABLE_PARAMETER = "PYTHON_EXECUTABLE"
DEFAULT_LIMIT_S = 1800.0  # CUDA wheels on a slow line


@dataclass(frozen=True, slots=True)
class _Chosen:
    """An interpreter with the words for it in errors."""

    interpreter: Interpreter
    who: str
    own: bool = False  # the server's, which is known to work


class PythonEnvironments:
    """Interpreters for the models of one server.

    Args:
        settings: of ``--backend-config=python``: executable, environments, install-timeout-secs, installer,
            requirements.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        root = settings.get("environments")
        self._cache = EnvironmentCache(Path(root).absolute() if root else None)
        self._limit_s = float(settings.get("install-timeout-secs", DEFAULT_LIMIT_S))

    def interpreter(self, config: ModelConfig, model_dir: Path) -> Interpreter:
        """The interpreter for a model; makes its environment where that is not there yet. Blocks.

        Raises:
            TritiumError: it cannot be had, or cannot run a worker.
        """
        model_dir = model_dir.resolve()
        path = _parameter(config, ENV_PATH_PARAMETER)
        own = _parameter(config, EXECUTABLE_PARAMETER)
        if path and own:
            raise ConfigError(
                f"model '{config.name}' has both parameters {ENV_PATH_PARAMETER} and {EXECUTABLE_PARAMETER}; "
                "remove one of them"
            )
        requirements = model_dir / REQUIREMENTS
        wanted = self._settings.get("requirements", "install") == "install" and requirements.is_file()
        if path:
            if wanted:
                logger.warning(
                    "model '%s': %s is not installed, for %s names the whole environment",
                    config.name, REQUIREMENTS, ENV_PATH_PARAMETER,
                )  # fmt: skip
            return self._packed(path, config, model_dir)
        chosen = self._chosen(own, config, model_dir)
        if wanted:
            return self._required(requirements, chosen, config)
        if not chosen.own:
            remedy = "install it with the interpreter's own `-m pip install numpy`"
            examine(chosen.interpreter, chosen.who, needs_numpy=True, remedy=remedy)
        return chosen.interpreter

    def _packed(self, path: str, config: ModelConfig, model_dir: Path) -> Interpreter:
        environment = environment_at(path, config.name, model_dir, self._cache, self._limit_s)
        python = python_of(environment)
        assert python is not None
        interpreter = inside(environment, python, libraries=True)
        remedy = "add it (pip install numpy, or conda install numpy) and pack the environment again"
        if environment == expanded(path, model_dir):
            remedy = "install it there: bin/python -m pip install numpy"
        who = f"model '{config.name}': the interpreter in {ENV_PATH_PARAMETER} '{path}'"
        examine(interpreter, who, needs_numpy=True, remedy=remedy)
        return interpreter

    def _chosen(self, own: str, config: ModelConfig, model_dir: Path) -> _Chosen:
        if own:
            who = f"model '{config.name}': the interpreter '{own}' of {EXECUTABLE_PARAMETER}"
            return _Chosen(Interpreter((_program(own, who, model_dir),)), who)
        executable = self._settings.get("executable")
        if executable:
            who = f"model '{config.name}': the interpreter of --backend-config=python,executable"
            return _Chosen(Interpreter((_program(executable, who, model_dir),)), who)
        who = f"model '{config.name}': the server's interpreter"
        return _Chosen(Interpreter((sys.executable,)), who, own=True)

    def _required(self, requirements: Path, base: _Chosen, config: ModelConfig) -> Interpreter:
        facts = examine(base.interpreter, base.who, needs_numpy=False)
        installer = find_installer(self._settings.get("installer", "auto"))
        key = key_of(requirements, config.name, facts)
        title = f"environment of model '{config.name}'"

        def make(place: Path, job: Job) -> None:
            version = ".".join(map(str, facts.version))
            logger.info("%s: installing %s by %s, Python %s", title, REQUIREMENTS, installer.name, version)
            build(requirements, base.interpreter, installer, place=place, job=job)
            logger.info("%s: ready after %.1f s", title, self._limit_s - job.limit.left_s())

        place = self._cache.obtain(key, title, self._limit_s, make)
        python = python_of(place)
        assert python is not None
        interpreter = inside(place, python, libraries=False)
        who = f"model '{config.name}': the interpreter of its {REQUIREMENTS}"
        examine(interpreter, who, needs_numpy=True, remedy=f"add numpy to {REQUIREMENTS}")
        return interpreter


def check_sent(config: ModelConfig, own: ModelConfig, model_dir: Path) -> None:
    """Refuse a configuration that came over the network and would run a program of the server's machine.

    Args:
        own: what the model's file says, which may be repeated.

    Raises:
        ConfigError: it names an interpreter, or an environment outside of the model's directory.
    """
    for name in (EXECUTABLE_PARAMETER, ENV_PATH_PARAMETER):
        sent, known = config.parameters.get(name), own.parameters.get(name)
        if sent is None or sent == known:
            continue
        if name == ENV_PATH_PARAMETER and _is_inside(expanded(sent.string_value, model_dir), model_dir):
            continue
        raise ConfigError(
            f"parameter {name} of model '{config.name}' cannot be sent with a load request; write it into "
            "the model's config.pbtxt"
        )


def _is_inside(path: Path, directory: Path) -> bool:
    return path.resolve().is_relative_to(directory.resolve())


def _parameter(config: ModelConfig, name: str) -> str:
    parameter = config.parameters.get(name)
    if parameter is None:
        return ""
    if not parameter.string_value or "\0" in parameter.string_value:
        raise ConfigError(f"parameter '{name}' of {config.name} has no value; write a path, or remove it")
    return parameter.string_value


def _program(name: str, who: str, model_dir: Path) -> str:
    """The path of an interpreter, looked up on PATH where it is only a name."""
    if "/" in name:
        return str(expanded(name, model_dir))
    found = shutil.which(name)
    if found is None:
        raise InternalError(f"{who} is not on the server's PATH; write an absolute path")
    return found
