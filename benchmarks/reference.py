"""The real Triton Inference Server and perf_analyzer, set up once in a cache outside the checkout."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

TRITON_WHEEL = "nvidia-pytriton==0.7.0"  # carries the CPU build of tritonserver 2.51 with its python backend
PERF_WHEEL = "perf-analyzer==2.60.0"
_STUB_PYTHON = "3.11"
_PERF_LIBRARIES = ("libc6", "libstdc++6", "libgcc-s1", "libssl3t64", "zlib1g")  # Debian 13's names
_SETUP_TIMEOUT_S = 1200.0


class UnavailableError(Exception):
    """Something a scenario needs cannot be had on this machine; ``str(error)`` is the reason to print."""


@dataclass(frozen=True, slots=True)
class Program:
    """How to start something: the first arguments, and what to add to the environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


def cache_directory() -> Path:
    """``$TRITIUM_BENCH_CACHE``, else ``~/.cache/tritium-bench``."""
    chosen = os.environ.get("TRITIUM_BENCH_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "tritium-bench"


def real_triton(cache: Path) -> Program:
    """``tritonserver`` with its python backend, installed into ``cache`` on first use.

    Raises:
        UnavailableError: another system or processor, no Python 3.11, or the installation failed.
    """
    _require_linux_x86_64("the real Triton")
    if not triton_is_set_up(cache):
        _set_up_triton(cache)
    packages = _site_packages(cache)
    server = packages / "pytriton" / "tritonserver"
    return Program(
        (
            str(server / "bin" / "tritonserver"),
            f"--backend-directory={cache / 'backends'}",
            f"--cache-directory={server / 'caches'}",
        ),
        {
            "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
            "PYTHONPATH": str(packages),
            "PATH": f"{cache / 'venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        },
    )


def triton_is_set_up(cache: Path) -> bool:
    """Whether ``real_triton`` finds it in ``cache`` and installs nothing."""
    return _is_ready(cache, "triton")


def perf_analyzer(cache: Path) -> Program:
    """``perf_analyzer``, installed into ``cache`` on first use.

    It needs glibc 2.38; where the system's is older, Debian's newer one is unpacked beside it, never over it.

    Raises:
        UnavailableError: another system or processor, or neither way works here.
    """
    _require_linux_x86_64("perf_analyzer")
    binary = cache / "perf" / "perf_analyzer" / "bin" / "perf_analyzer"
    if not _is_ready(cache, "perf"):
        _set_up_perf(cache, binary)
    program = _runnable(cache, binary)
    if program is None:
        _refuse_perf()
    return program


def _refuse_perf() -> NoReturn:
    version = platform.libc_ver()[1] or "of another kind"
    raise UnavailableError(
        f"perf_analyzer needs glibc 2.38 or newer; this system's is {version}, and another can be "
        "unpacked beside it only where apt knows a Debian mirror"
    )


def _require_linux_x86_64(what: str) -> None:
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise UnavailableError(f"{what} is built for Linux x86_64 only; this is {system} {machine}")


def _is_ready(cache: Path, part: str) -> bool:
    return (cache / "ready").exists() or (cache / f"{part}-ready").exists()


def _site_packages(cache: Path) -> Path:
    return cache / "venv" / "lib" / f"python{_STUB_PYTHON}" / "site-packages"


def _set_up_triton(cache: Path) -> None:
    python = shutil.which(f"python{_STUB_PYTHON}")
    if python is None:
        raise UnavailableError(
            f"the real Triton's python backend needs python{_STUB_PYTHON} on PATH; there is none"
        )
    _announce(f"installing the real Triton 2.51 ({TRITON_WHEEL}, about 500 MB) into the cache, once")
    cache.mkdir(parents=True, exist_ok=True)
    venv = cache / "venv"
    _run("making the real Triton's virtual environment", [python, "-m", "venv", "--clear", str(venv)])
    install = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", TRITON_WHEEL]
    _run("installing the real Triton", install)
    server = _site_packages(cache) / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / _STUB_PYTHON / "triton_python_backend_stub"
    shutil.copytree(server / "backends", cache / "backends", dirs_exist_ok=True)
    shutil.copy2(stub, cache / "backends" / "python")
    (cache / "triton-ready").touch()


def _set_up_perf(cache: Path, binary: Path) -> None:
    _announce(f"installing perf_analyzer ({PERF_WHEEL}) into the cache, once")
    directory = cache / "perf"
    directory.mkdir(parents=True, exist_ok=True)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    download += ["--platform", "manylinux_2_38_x86_64", "--dest", str(directory), PERF_WHEEL]
    _run("downloading perf_analyzer", download)
    for wheel in directory.glob("perf_analyzer-*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(directory)
    binary.chmod(0o755)
    if _runnable(cache, binary) is None:
        _unpack_newer_glibc(cache)
    if _runnable(cache, binary) is None:
        _refuse_perf()
    (cache / "perf-ready").touch()


def _runnable(cache: Path, binary: Path) -> Program | None:
    """The way that starts here: straight, or by the loader that was unpacked into the cache."""
    root = cache / "apt" / "root"
    ways = [Program((str(binary),))]
    for loader in root.rglob("ld-linux-x86-64.so.2"):
        libraries = root / "usr" / "lib" / "x86_64-linux-gnu"
        ways.append(Program((str(loader), "--library-path", str(libraries), str(binary))))
    for way in ways:
        trial = subprocess.run([*way.argv, "--version"], capture_output=True, check=False)
        if trial.returncode == 0:
            return way
    return None


def _unpack_newer_glibc(cache: Path) -> None:
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if not (shutil.which("apt-get") and shutil.which("dpkg") and keyring.exists()):
        _refuse_perf()
    apt = cache / "apt"
    for part in ("lists/partial", "cache/archives/partial", "root"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "sources").write_text(f"deb [signed-by={keyring}] {_debian_mirror()} trixie main\n")
    options = {
        "Dir::Etc::SourceList": apt / "sources",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt / "cache",
    }
    flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    _run("reading Debian's package lists", ["apt-get", *flags, "update", "-qq"])
    _run("downloading glibc", ["apt-get", *flags, "download", "-qq", *_PERF_LIBRARIES], directory=apt)
    for package in apt.glob("*.deb"):
        _run(f"unpacking {package.name}", ["dpkg", "-x", str(package), str(apt / "root")])


def _debian_mirror() -> str:
    """The mirror that this system's own apt uses."""
    targets = _run("asking apt for its mirror", ["apt-get", "indextargets", "--format", "$(REPO_URI)"])
    mirrors = [line for line in targets.splitlines() if line.rstrip("/").endswith("/debian")]
    if not mirrors:
        _refuse_perf()
    return mirrors[0]


def reason_in(output: str) -> str:
    """The last two lines that speak of an error (pip puts the cause first), else the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line.lower()]
    return " / ".join(errors[-2:] or lines[-1:]) or "it said nothing"


def _announce(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _run(what: str, argv: Sequence[str], directory: Path | None = None) -> str:
    """Standard output of a command that must succeed."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, cwd=directory, timeout=_SETUP_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{what} failed: {error}") from error
    if done.returncode:
        raise UnavailableError(f"{what} failed: {reason_in(done.stderr or done.stdout)}")
    return done.stdout
