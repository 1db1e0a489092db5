"""Environments and interpreters that look right from outside."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from tritium.environments.oneflow import OneFlowEnvironment
from tritium.worker_root.tritium_worker.oneflow_stand_ins import stand_in_paths


def write_environment(directory: Path) -> OneFlowEnvironment:
    """All that ``OneFlowEnvironment.missing`` looks for; the interpreter is the test's own."""
    environment = OneFlowEnvironment(directory)
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    packages = environment.site_packages
    for name in ("oneflow-0.9.0", "numpy-1.23.5"):
        (packages / f"{name}.dist-info").mkdir(parents=True)
        (packages / f"{name}.dist-info" / "RECORD").touch()
    for path in map(Path, stand_in_paths(str(packages)).values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return environment


def write_python(path: Path, body: str) -> Path:
    """A program ``path`` that is a shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + textwrap.dedent(body))
    path.chmod(0o755)
    return path
