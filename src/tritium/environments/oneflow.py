"""Where OneFlow's own runtime is installed, and whether all of it is there.

It lives in a virtual environment of its own: OneFlow 0.9.0 runs under CPython 3.10 only. ``tritium env
oneflow`` makes one (``environments/oneflow_installer.py``); any other with the same contents will do.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tritium.errors import UnsupportedError
from tritium.worker_root.tritium_worker.oneflow_stand_ins import stand_in_paths

VARIABLE = "TRITIUM_ONEFLOW_ENV"
ONEFLOW_VERSION = "0.9.0"
PYTHON_VERSION = "3.10"
COMMAND = "tritium env oneflow"


@dataclass(frozen=True, slots=True)
class OneFlowEnvironment:
    """A virtual environment, there or not."""

    directory: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return self.directory / "lib" / f"python{PYTHON_VERSION}" / "site-packages"

    @property
    def command(self) -> str:
        """What a user types to make it, or to mend it."""
        return COMMAND if self.directory == default_directory() else f"{COMMAND} --dir {self.directory}"

    def missing(self) -> str:
        """The first thing that it lacks; empty when it is complete. No absolute path is in the text."""
        return next(self._lacks(), "")

    def _lacks(self) -> Iterator[str]:
        packages = self.site_packages
        if not self.directory.is_dir():
            yield "there is no such environment"
        elif not os.access(self.python, os.X_OK):
            yield "its bin/python is missing, or the Python that it was made of has been removed"
        elif not packages.is_dir():
            yield f"it is not an environment of Python {PYTHON_VERSION}"
        elif not (packages / f"oneflow-{ONEFLOW_VERSION}.dist-info" / "RECORD").is_file():
            yield f"the package oneflow=={ONEFLOW_VERSION} is not installed in it, or only in part"
        elif not any(packages.glob("numpy-1.*.dist-info/RECORD")):
            yield "the package numpy (older than 2) is not installed in it"
        else:
            yield from (
                f"the library {name} is not in it, nor its stand-in"
                for name, path in stand_in_paths(str(packages)).items()
                if not os.path.exists(path)
            )


def default_directory() -> Path:
    """Where ``tritium env oneflow`` puts the environment."""
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "tritium-oneflow"


def find_environment(settings: Mapping[str, str]) -> OneFlowEnvironment:
    """The environment of ``--backend-config=oneflow,environment=DIR``, of the variable, or the default."""
    chosen = settings.get("environment") or os.environ.get(VARIABLE)
    return OneFlowEnvironment(Path(chosen).absolute() if chosen else default_directory())


def platform_problem() -> str:
    """Why this machine cannot run OneFlow 0.9.0; empty if it can."""
    machine = platform.machine()
    if sys.platform.startswith("linux") and machine in ("x86_64", "AMD64"):
        return ""
    return f"OneFlow {ONEFLOW_VERSION} runs on Linux on x86-64 only, and this is {sys.platform} on {machine}"


def check_environment(environment: OneFlowEnvironment, why: str) -> None:
    """Whether ``environment`` can run graphs.

    Args:
        why: what needs it, as the text begins.

    Raises:
        UnsupportedError: something is missing; the text ends with the command that mends it.
    """
    problem = platform_problem()
    if problem:
        raise UnsupportedError(f"{why}: {problem}")
    missing = environment.missing()
    if missing:
        default = environment.directory == default_directory()
        place = "is not ready" if default else f"in '{environment.directory.name}' is not ready"
        command = COMMAND if default else f"{COMMAND} --dir DIR"
        raise UnsupportedError(
            f"{why}: the environment of OneFlow's own runtime {place}: {missing}; type: {command}"
        )
