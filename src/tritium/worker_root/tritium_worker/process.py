"""What is true of the whole worker process: which model it hosts and where its log goes.

Triton's API asks for both without an object to ask (``pb_utils.get_model_dir()``, ``pb_utils.Logger``), so
this is the one place in the worker with module-level state.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Optional

LogSink = Callable[[Dict[str, Any]], None]
"""Takes {"level": "INFO", "file": base name, "line": int, "message": str}. It must not raise."""


def write_to_stderr(record: Dict[str, Any]) -> None:
    """The sink of a process whose main has not installed another."""
    sys.stderr.write("{level} {file}:{line}] {message}\n".format(**record))


class WorkerProcess:
    """Set by the worker's main (``log_sink``) and by ``ModelHost.load`` (``version_dir``)."""

    __slots__ = ("log_sink", "version_dir")

    def __init__(self) -> None:
        self.log_sink: LogSink = write_to_stderr
        self.version_dir: Optional[str] = None


PROCESS = WorkerProcess()
