"""What a worker writes to standard output and standard error: lines of the log, and the last of them kept.

Nothing here ever makes the model wait: what comes is taken at once, and what is too much for the log is
counted instead of shown.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import deque
from collections.abc import Callable

logger = logging.getLogger("tritium.worker")

LINES_PER_PERIOD = 200  # shown of each stream; a burst of start-up messages fits
PERIOD_S = 1.0
LINE_BYTES = 2048  # a longer line is cut
_KEPT_LINES = 50
_SHOWN_CHARS = 400
_RECEIVE_BYTES = 1 << 16
_LAST_READS = 16  # a pipe holds at most 1 MiB; another process that holds it may write for ever
_TELLING = re.compile(r"error\b|check failed|fatal|exception|^F\d{8} ", re.IGNORECASE)
_LOG_PREFIX = re.compile(r"^[A-Z]\d{8} [\d:.]+ +\d+ ")  # of Google's log: severity, date, time, thread
_DIRECTORIES = re.compile(r"(?:/[^\s/:;,\"'()]+)+/")


class WorkerOutput:
    """Reads one stream of one worker on the loop.

    Args:
        name: the instance's, as it is when a line comes.
        stream: "stdout" or "stderr".
        fd: the reading end of a pipe; stays the caller's to close.
        level: of the lines in the log.
    """

    def __init__(self, name: Callable[[], str], stream: str, fd: int, level: int) -> None:
        self._name = name
        self._stream = stream
        self._fd = fd
        self._level = level
        self._partial = b""
        self._lines: deque[bytes] = deque(maxlen=_KEPT_LINES)
        self._shown = 0  # in this period
        self._dropped = 0
        self._period: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._readable)
        self._reading = True

    def close(self) -> None:
        """Take what is there, and read no more."""
        for _ in range(_LAST_READS):
            if not self._reading or not self._readable():
                break
        self._stop()

    def telling(self) -> str:
        """The last line that says what went wrong, without directories; empty if none does."""
        errors = [text for text in map(_text, self._lines) if _TELLING.search(text)]
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
            return False
        *whole, self._partial = (self._partial + received).split(b"\n")
        self._partial = self._partial[: LINE_BYTES + 1]  # one more shows that it was longer
        self._take(whole)
        return True

    def _take(self, lines: list[bytes]) -> None:
        self._lines.extend(lines[-_KEPT_LINES:])
        room = LINES_PER_PERIOD - self._shown
        for line in lines[:room]:
            self._show(line)
        self._dropped += len(lines[room:])
        if self._period is None and lines:
            self._period = self._loop.call_later(PERIOD_S, self._next_period)

    def _show(self, line: bytes) -> None:
        text = _text(line)
        if text:
            self._shown += 1
            cut = "" if len(line) <= LINE_BYTES else "... (cut)"
            logger.log(self._level, "%s %s: %s%s", self._name(), self._stream, text, cut)

    def _next_period(self) -> None:
        self._period = None
        self._shown = 0
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            logger.log(self._level, "%s %s: %d lines dropped", self._name(), self._stream, dropped)

    def _stop(self) -> None:
        if not self._reading:
            return
        self._reading = False
        self._loop.remove_reader(self._fd)
        if self._partial:
            self._take([self._partial])
        if self._period is not None:
            self._period.cancel()
        self._next_period()


def _text(line: bytes) -> str:
    return line[:LINE_BYTES].decode(errors="replace").strip()
