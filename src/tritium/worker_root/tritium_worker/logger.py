"""``pb_utils.Logger``: a model's own log records, handed to the sink of this process."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any

from tritium_worker.process import PROCESS, LogSink

_LEVELS = ("INFO", "WARNING", "ERROR", "VERBOSE")


def install(sink: LogSink) -> None:
    """Send all later records to ``sink``; it decides what to drop."""
    PROCESS.log_sink = sink


def _emit(level: int, message: Any, caller: FrameType) -> None:
    PROCESS.log_sink(
        {
            "level": _LEVELS[level],
            "file": os.path.basename(caller.f_code.co_filename),
            "line": caller.f_lineno,
            "message": message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message),
        }
    )


class Logger:
    """Static methods, as in Triton. Records carry the caller's file and line."""

    INFO = 0
    WARNING = 1
    ERROR = 2
    VERBOSE = 3

    @staticmethod
    def log(message: Any, level: int = INFO) -> None:
        """Log at one of this class's levels.

        Raises:
            TypeError: there is no such level.
        """
        if not isinstance(level, int) or not 0 <= level < len(_LEVELS):
            raise TypeError(
                f"Logger.log(level): expected Logger.INFO, WARNING, ERROR or VERBOSE (0 to 3), got {level!r}"
            )
        _emit(level, message, sys._getframe(1))

    @staticmethod
    def log_info(message: Any) -> None:
        """Log at INFO."""
        _emit(Logger.INFO, message, sys._getframe(1))

    @staticmethod
    def log_warn(message: Any) -> None:
        """Log at WARNING."""
        _emit(Logger.WARNING, message, sys._getframe(1))

    @staticmethod
    def log_error(message: Any) -> None:
        """Log at ERROR."""
        _emit(Logger.ERROR, message, sys._getframe(1))

    @staticmethod
    def log_verbose(message: Any) -> None:
        """Log at VERBOSE; shown only where the server's verbose log is on."""
        _emit(Logger.VERBOSE, message, sys._getframe(1))
