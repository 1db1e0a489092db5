"""Makes the environment of OneFlow's own runtime: interpreter, packages, stand-ins, and a proof.

What is there already is kept, so that a run that was interrupted is continued by the next.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tritium import worker_root
from tritium.environments.oneflow import PYTHON_VERSION, OneFlowEnvironment, platform_problem
from tritium.environments.progress import Progress
from tritium.environments.pythons import NoPythonError, find_python, python_problem
from tritium.errors import TritiumError, UnavailableError, UnsupportedError
from tritium.worker_root.tritium_worker.oneflow_stand_ins import write_stand_ins

PACKAGES = ("oneflow==0.9.0", "numpy==1.23.5")  # numpy 1.26 was seen to work, 2 was not tried
INSTALLED_BYTES = 3_700_000_000  # of it 1.0 while pip works
_MARKER = "tritium-verified"
_POLL_S = 0.5
_VERIFY_LIMIT_S = 120.0
_SHOWN_LINES = 12
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from tritium_worker.oneflow_check import main; main()"
)
_NO_NETWORK = (
    "Could not find a version", "No matching distribution", "Max retries exceeded", "Connection", "timed out",
    "name resolution", "Network is unreachable", "ProxyError",
)  # fmt: skip


def is_ready(environment: OneFlowEnvironment) -> bool:
    """Whether the environment is complete and was seen to work."""
    marker = environment.directory / _MARKER
    try:
        verified = marker.read_text() == _marker_text()
    except OSError:
        verified = False
    return verified and not environment.missing()


def install(environment: OneFlowEnvironment, python: Path | None, progress: Progress) -> None:
    """Make ``environment``, or complete it.

    Args:
        python: the interpreter to make it of; found if None.

    Raises:
        TritiumError: it cannot be made; the text says what to do.
    """
    if problem := platform_problem():
        raise UnsupportedError(problem)
    directory = environment.directory
    _check_directory(directory)
    if python_problem(environment.python, PYTHON_VERSION):
        base = _base(python)
        progress.step(f"making an environment of {base}")
        _run([str(base), "-m", "venv", "--clear", str(directory)], directory)
    _check_space(directory)
    progress.step("installing OneFlow 0.9.0")
    _install_packages(environment, progress)
    progress.step("writing stand-ins for CUDA libraries")
    try:
        write_stand_ins(str(environment.site_packages))
    except OSError as error:
        raise UnavailableError(f"{error.filename}: {error.strerror}") from error
    progress.step("running a graph")
    _verify(environment)
    (directory / _MARKER).write_text(_marker_text())


def _marker_text() -> str:
    return " ".join(PACKAGES)


def _check_directory(directory: Path) -> None:
    """A directory of somebody else's is left alone."""
    if directory.is_dir() and any(directory.iterdir()) and not (directory / "pyvenv.cfg").is_file():
        raise UnsupportedError(
            f"{directory}: expected nothing, an empty directory or a virtual environment, found other files; "
            "choose another place by --dir"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"{directory} cannot be made: {error.strerror}; choose --dir") from error


def _base(python: Path | None) -> Path:
    try:
        if python is None:
            return find_python(PYTHON_VERSION)
        problem = python_problem(python, PYTHON_VERSION)
        if problem:
            raise NoPythonError(f"{python} {problem}")
    except NoPythonError as error:
        raise UnsupportedError(
            f"OneFlow 0.9.0 runs under CPython {PYTHON_VERSION} only: {error}. Install it, for example by "
            f"one of: apt install python{PYTHON_VERSION} python{PYTHON_VERSION}-venv; pyenv install "
            f"{PYTHON_VERSION}; uv python install {PYTHON_VERSION}; conda create -n py "
            f"python={PYTHON_VERSION}. Then type the command again, with --python PATH if it "
            "is in an unusual place"
        ) from None
    return python


def _check_space(directory: Path) -> None:
    needed = INSTALLED_BYTES - sum(_sizes(directory))
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise UnavailableError(
            f"{directory}: OneFlow needs {needed / 1e9:.1f} GB more there and {free / 1e9:.1f} GB are free; "
            "make room, or choose another disk by --dir"
        )


def _install_packages(environment: OneFlowEnvironment, progress: Progress) -> None:
    command = [str(environment.python), "-m", "pip", "install", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", *PACKAGES]
    with tempfile.TemporaryDirectory(dir=environment.directory, prefix="download-") as downloads:
        _run(command, environment.directory, progress, {"TMPDIR": downloads})


def _verify(environment: OneFlowEnvironment) -> None:
    root = str(Path(worker_root.__file__).parent)
    command = [str(environment.python), "-c", _BOOT, root, str(environment.site_packages)]
    _run(command, environment.directory, limit_s=_VERIFY_LIMIT_S)


def _run(
    command: list[str],
    directory: Path,
    progress: Progress | None = None,
    environ: dict[str, str] | None = None,
    *,
    limit_s: float | None = None,
) -> None:
    """Run a step, showing how ``directory`` grows.

    Raises:
        TritiumError: it failed.
    """
    own = ("PYTHONPATH", "PYTHONHOME")  # of the server's interpreter
    inherited = {key: value for key, value in os.environ.items() if key not in own}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**inherited, **(environ or {})},
        )
        try:
            while True:
                try:
                    status = process.wait(_POLL_S if progress is not None else limit_s)
                    break
                except subprocess.TimeoutExpired:
                    if progress is None:
                        raise UnavailableError(f"no answer within {limit_s:g} s: {command[0]}") from None
                    progress.at(sum(_sizes(directory)), INSTALLED_BYTES)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if status != 0:
            output.seek(0)
            raise _failure(output.read().decode(errors="replace"), status)


def _failure(output: str, status: int) -> TritiumError:
    lines = [line for line in output.splitlines() if line.strip()][-_SHOWN_LINES:]
    shown = "\n".join(f"  {line}" for line in lines)
    if "No space left on device" in output:
        return UnavailableError(f"the disk is full; make room, or choose another disk by --dir:\n{shown}")
    if any(words in output for words in _NO_NETWORK):
        return UnavailableError(
            "the packages cannot be downloaded; check the network, and pip's settings (PIP_INDEX_URL, "
            f"HTTPS_PROXY), and type the command again:\n{shown}"
        )
    ended = f"exit status {status}" if status >= 0 else f"signal {-status}"
    return UnavailableError(f"a step failed ({ended}):\n{shown}")


def _sizes(directory: Path) -> Iterator[int]:
    for root, _, files in os.walk(directory):
        for name in files:
            try:
                yield os.lstat(os.path.join(root, name)).st_size
            except OSError:  # pip has moved it meanwhile
                continue
