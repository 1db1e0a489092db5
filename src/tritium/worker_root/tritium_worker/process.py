"""What is true of the whole worker process: which model it hosts, where its log goes, who answers its calls.

Triton's API asks for these without an object to ask (``pb_utils.get_model_dir()``, ``pb_utils.Logger``,
``request.exec()``), so this is the one place in the worker with module-level state.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from tritium_worker.errors import TritonModelException

if TYPE_CHECKING:
    from tritium_worker.calls import Calls

LogSink = Callable[[Dict[str, Any]], None]
"""Takes {"level": "INFO", "file": base name, "line": int, "message": str}. It must not raise."""


def write_to_stderr(record: Dict[str, Any]) -> None:
    """The sink of a process whose main has not installed another."""
    sys.stderr.write("{level} {file}:{line}] {message}\n".format(**record))


class WorkerProcess:
    """Set by the worker's main (``log_sink``, ``connect``) and by ``ModelHost.load`` (``version_dir``)."""

    __slots__ = ("_calls", "log_sink", "version_dir")

    def __init__(self) -> None:
        self.log_sink: LogSink = write_to_stderr
        self.version_dir: Optional[str] = None
        self._calls: Optional[Calls] = None

    def connect(self, calls: Calls) -> None:
        """There is a server, which ``calls`` asks."""
        self._calls = calls

    def calls(self) -> Calls:
        """Whom to ask for other models.

        Raises:
            TritonModelException: this process is no worker of a server.
        """
        if self._calls is None:
            raise TritonModelException("there is no server to ask: this process is not a worker of one.")
        return self._calls


PROCESS = WorkerProcess()
