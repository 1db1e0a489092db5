"""What a worker writes to its standard error: shown in the verbose log, and the last of it kept.

Native code that ends its process says why there and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import deque

logger = logging.getLogger("tritium.worker")

_KEPT_LINES = 50
_LINE_BYTES = 2048
_SHOWN_CHARS = 400
_RECEIVE_BYTES = 1 << 16
_TELLING = re.compile(r"error:|check failed|fatal|exception|^F\d{8} ", re.IGNORECASE)
_LOG_PREFIX = re.compile(r"^[A-Z]\d{8} [\d:.]+ +\d+ ")  # of Google's log: severity, date, time, thread
_DIRECTORIES = re.compile(r"(?:/[^\s/:;,\"'()]+)+/")


class LastWords:
    """Reads one worker's standard error on the loop.

    Args:
        fd: the reading end of a pipe; stays the caller's to close.
    """

    def __init__(self, name: str, fd: int) -> None:
        self._name = name
        self._fd = fd
        self._partial = b""
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._readable)
        self._reading = True

    def close(self) -> None:
        """Take what is there, and read no more."""
        while self._reading:
            if not self._readable():
                self._stop()

    def telling(self) -> str:
        """The last line that says what went wrong, without directories; empty if none does."""
        errors = [line for line in self._lines if _TELLING.search(line)]
        return _DIRECTORIES.sub("", _LOG_PREFIX.sub("", errors[-1]))[:_SHOWN_CHARS] if errors else ""

    def _readable(self) -> bool:
        """Read once: whether there was something."""
        try:
            received = os.read(self._fd, _RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            received = b""
        if not received:
            self._stop()
            self._note(self._partial)
            return False
        *whole, self._partial = (self._partial + received).split(b"\n")
        self._partial = self._partial[:_LINE_BYTES]
        for line in whole:
            self._note(line)
        return True

    def _note(self, line: bytes) -> None:
        text = line[:_LINE_BYTES].decode(errors="replace").strip()
        if text:
            self._lines.append(text)
            logger.debug("%s: %s", self._name, text)

    def _stop(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)
