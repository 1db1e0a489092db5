"""The server's log: Triton's line formats, written by a thread of its own.

A line is made and written away from the thread that logs, so a full pipe or a slow disk holds nobody up.
What cannot be written (queue full, disk full, closed pipe) is dropped and counted; the next line that can be
written is preceded by the number.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Protocol

from tritium.errors import InvalidArgumentError
from tritium.options import ServerOptions

MAX_QUEUED = 8192  # lines; a burst of start-up messages fits many times over
MAX_MESSAGE_CHARS = 1 << 16  # a longer message is cut: one model must not fill the disk with one line
CLOSE_TIMEOUT_S = 2.0  # how long the end of the server waits for lines that cannot be written

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "verbose": logging.DEBUG}
_ESCAPE_VARIABLE = "TRITON_SERVER_ESCAPE_LOG_MESSAGES"
_UNSAFE = re.compile(
    "[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)  # JSON lets these through


class Sink(Protocol):
    """Where lines go."""

    def write(self, data: bytes, /) -> None:
        """Write all of ``data``, or raise OSError."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


class DescriptorSink:
    """A file descriptor, without a buffer, so that nothing is lost when the process is killed."""

    def __init__(self, fd: int, *, owned: bool) -> None:
        self._fd = fd
        self._owned = owned

    def write(self, data: bytes, /) -> None:
        """Write all of ``data``, or raise OSError."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        """Close the descriptor if it is the sink's own."""
        if self._owned:
            os.close(self._fd)


class TritonFormatter(logging.Formatter):
    """A record as a line of Triton's log, without the newline.

    ``model_file`` and ``model_line`` of a record, set for what a model logged, go before its own place. A
    record with ``table`` shows that text below its line; the table's maker answers for what is in it.
    """

    def __init__(self, line_format: str = "default", *, escape: bool = True) -> None:
        super().__init__()
        self._iso = line_format == "ISO8601"
        self._escape = escape

    def format(self, record: logging.LogRecord) -> str:
        """The line of ``record``."""
        attributes = record.__dict__
        file = _plain(str(attributes.get("model_file", record.filename)))
        place = f"{record.process} {file}:{attributes.get('model_line', record.lineno)}]"
        head = self._head(record)
        table = attributes.get("table")
        if table is not None:
            return f"{head} {place} \n{table}"
        message = _cut(super().format(record))
        return f"{head} {place} {_quoted(message) if self._escape else message}"

    def _head(self, record: logging.LogRecord) -> str:
        letter = _letter(record.levelno)
        moment = time.gmtime(record.created)
        if self._iso:
            return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', moment)} {letter}"
        micros = int(record.created % 1 * 1_000_000)
        return f"{letter}{time.strftime('%m%d %H:%M:%S', moment)}.{micros:06d}"


def _letter(level: int) -> str:
    if level >= logging.ERROR:
        return "E"
    if level >= logging.WARNING:
        return "W"
    return "I" if level >= logging.INFO else "V"


def _cut(message: str) -> str:
    if len(message) <= MAX_MESSAGE_CHARS:
        return message
    return f"{message[:MAX_MESSAGE_CHARS]}... ({len(message) - MAX_MESSAGE_CHARS} more characters)"


def _quoted(message: str) -> str:
    """``message`` as a JSON string on one line, so that it cannot pass for another line (CVE-2024-0095)."""
    return _UNSAFE.sub(_escaped, json.dumps(message, ensure_ascii=False))


def _plain(text: str) -> str:
    """``text`` without anything that is not printable."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"


class ServerLog(logging.Handler):
    """A handler whose records are written to ``sink`` by a thread; the bridge from ``logging`` to the log."""

    def __init__(
        self,
        sink: Sink,
        formatter: logging.Formatter,
        *,
        silenced: frozenset[int] = frozenset(),
        close_timeout_s: float = CLOSE_TIMEOUT_S,
    ) -> None:
        super().__init__()
        self._close_timeout_s = close_timeout_s
        self.setFormatter(formatter)
        self._sink = sink
        self._silenced = silenced
        self._queue: SimpleQueue[logging.LogRecord | str | threading.Event | None] = SimpleQueue()
        self._dropped_in_queue = 0
        self._dropped_in_sink = 0
        self._told = 0
        self._closed = False
        self._previous_levels: dict[str, int] = {}
        self._writer = threading.Thread(target=self._write_all, name="tritium-log", daemon=True)
        self._writer.start()

    @property
    def dropped(self) -> int:
        """Lines that were not written."""
        return self._dropped_in_queue + self._dropped_in_sink

    def handle(self, record: logging.LogRecord) -> bool:
        """Without a lock: the queue takes records from any thread, and from signal handlers."""
        kept = bool(self.filter(record))
        if kept:
            self.emit(record)
        return kept

    def emit(self, record: logging.LogRecord) -> None:
        """Queue ``record``; its arguments and traceback become text here, as they may change later."""
        if record.levelno in self._silenced:
            return
        self._put(_frozen(record))

    def report(self, text: str) -> None:
        """Queue ``text`` as lines of their own, without time and place."""
        self._put(text)

    def _put(self, item: logging.LogRecord | str) -> None:
        if self._queue.qsize() >= MAX_QUEUED:
            self._dropped_in_queue += 1
        else:
            self._queue.put(item)

    def flush(self) -> None:
        """Wait until what is queued has been written, or for the close timeout."""
        if not self._closed:
            written = threading.Event()
            self._queue.put(written)
            written.wait(self._close_timeout_s)

    def install(self, levels: Mapping[str, int]) -> None:
        """Take the records of all loggers, at the level given by a logger's name ("" is the root)."""
        for name, level in levels.items():
            logger = logging.getLogger(name)
            self._previous_levels[name] = logger.level
            logger.setLevel(level)
        logging.getLogger().addHandler(self)

    def close(self) -> None:
        """Write what is queued, waiting at most the close timeout, and give ``logging`` back as it was."""
        if self._closed:
            return
        self._closed = True
        logging.getLogger().removeHandler(self)
        for name, level in self._previous_levels.items():
            logging.getLogger(name).setLevel(level)
        self._queue.put(None)
        self._writer.join(self._close_timeout_s)
        if not self._writer.is_alive():  # else a write hangs in the sink; the end of the process closes it
            self._sink.close()
        super().close()

    def _write_all(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._write(item)

    def _write(self, item: logging.LogRecord | str) -> None:
        try:
            text = item if isinstance(item, str) else self.format(item)
            if self.dropped > self._told:
                told = self.dropped
                self._sink.write(self._line(f"{told - self._told} log lines were dropped"))
                self._told = told
            self._sink.write(f"{text}\n".encode("utf-8", "backslashreplace"))
        except Exception:  # nothing that happens to the log may end the server, nor the log
            self._dropped_in_sink += 1

    def _line(self, message: str) -> bytes:
        here = logging.LogRecord("tritium.log", logging.WARNING, __file__, 0, message, None, None)
        return f"{self.format(here)}\n".encode()


def _frozen(record: logging.LogRecord) -> logging.LogRecord:
    """A copy whose message is final; a message that does not fit its arguments is shown as it is."""
    frozen = copy.copy(record)
    try:
        frozen.msg = logging.Formatter().format(record)
    except Exception:  # a mistake in a log call is no reason to fail the caller
        frozen.msg = f"{record.msg!r} does not fit its arguments {record.args!r:.200}"
    frozen.args = None
    frozen.exc_info = frozen.exc_text = frozen.stack_info = None
    return frozen


def configure(options: ServerOptions) -> ServerLog:
    """Send all records to the log that ``options`` describe, until the result is closed.

    Other packages' records are taken from WARNING on.

    Raises:
        InvalidArgumentError: the log file cannot be opened.
    """
    formatter = TritonFormatter(options.log_format, escape=os.environ.get(_ESCAPE_VARIABLE) != "0")
    silenced = frozenset(_LEVELS[name] for name in options.log_silenced)
    log = ServerLog(_sink(options), formatter, silenced=silenced)
    level = _LEVELS[options.log_level]
    log.install({"": max(level, logging.WARNING), "tritium": level})
    return log


def _sink(options: ServerOptions) -> DescriptorSink:
    if options.log_file is None:
        try:
            return DescriptorSink(os.dup(sys.stderr.fileno()), owned=True)
        except (AttributeError, OSError, ValueError):  # standard error is closed, or is no file
            return DescriptorSink(os.open(os.devnull, os.O_WRONLY), owned=True)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        return DescriptorSink(os.open(options.log_file, flags, 0o644), owned=True)
    except OSError as error:
        raise InvalidArgumentError(
            f"--log-file '{options.log_file}' cannot be opened: {error.strerror}; "
            "name a file that can be written"
        ) from error
