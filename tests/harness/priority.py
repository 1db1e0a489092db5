"""What this user and machine allow."""

from __future__ import annotations

import subprocess
import sys

from tritium.execution.priority import LOOP_NICENESS


def may_be_raised() -> bool:
    """Whether a process of this user may take the niceness of an event loop."""
    attempt = f"import os; os.setpriority(os.PRIO_PROCESS, 0, {LOOP_NICENESS})"
    return subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False).returncode == 0
