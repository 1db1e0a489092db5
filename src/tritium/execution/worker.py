"""One worker process as the server sees it: frames over a non-blocking socket, on the loop, without tasks."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tritium.errors import WorkerDiedError, error_of
from tritium.execution.launcher import ARENA_BYTES, Launcher, WorkerHandle
from tritium.execution.process_state import ProcessState, process_state
from tritium.execution.worker_end import EndReason, WorkerEnd, worker_end
from tritium.execution.worker_output import WorkerOutput
from tritium.worker_root.tritium_worker import frames
from tritium.worker_root.tritium_worker.arena import ArenaReader, ArenaWriter
from tritium.worker_root.tritium_worker.board import Board
from tritium.worker_root.tritium_worker.frames import Buffer, FrameReader

logger = logging.getLogger("tritium.worker")

_RECEIVE_BYTES = 1 << 17
_IOV_MAX = 512
_JOIN_BYTES = 16384
_SHOWN_CHARS = 4000  # of an error
_LEVELS = {"VERBOSE": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}


class Worker:
    """A running worker. Tells its owner of results, and once of its end.

    Args:
        name: the instance's, which may change once.
        handlers: by kind, what is called with the bodies of frames that are not the worker's own business.
        on_end: called once, with how the process ended; not after ``close``.
        native: what it writes to its outputs is noise, but for the last words.
    """

    def __init__(
        self,
        name: Callable[[], str],
        handle: WorkerHandle,
        launcher: Launcher,
        *,
        handlers: Mapping[int, Callable[[memoryview], None]],
        on_end: Callable[[WorkerEnd], None],
        native: bool = False,
    ) -> None:
        self._name = name
        self.pid = handle.process.pid
        self.inputs = ArenaWriter(handle.input_fd, ARENA_BYTES) if handle.input_fd >= 0 else None
        self.outputs = ArenaReader(handle.output_fd) if handle.output_fd >= 0 else None
        self.board = Board(handle.board_fd) if handle.board_fd >= 0 else None
        self._handle = handle
        self._launcher = launcher
        self._handlers = handlers
        self._flush_planned = False
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._sock = handle.sock
        self._frames = FrameReader()
        self._heard = False  # something came since the watch looked
        self._piece = memoryview(bytearray(_RECEIVE_BYTES))
        self._queued: list[Buffer] = []
        self._backlog: deque[Buffer] = deque()
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._ended = False
        self._ending: asyncio.Task[None] | None = None
        self._native = native
        self._cause: WorkerEnd | None = None  # why this side killed it
        self._printed = self._outputs()
        self._loop.add_reader(self._sock.fileno(), self._readable)
        # The end of the process itself: a process that the model forked may hold the socket open.
        self._pid_fd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else -1
        if self._pid_fd >= 0:
            self._loop.add_reader(self._pid_fd, self._end)

    def _outputs(self) -> list[WorkerOutput]:
        """Standard output and standard error; nothing of a worker that has the terminal."""
        levels = (logging.DEBUG, logging.DEBUG) if self._native else (logging.INFO, logging.WARNING)
        streams = (self._handle.process.stdout, self._handle.process.stderr)
        return [
            WorkerOutput(self._name, name, stream.fileno(), level)
            for name, stream, level in zip(("stdout", "stderr"), streams, levels, strict=True)
            if stream is not None
        ]

    @property
    def name(self) -> str:
        """The instance's name."""
        return self._name()

    async def ask(self, kind: int, body: dict[str, Any], timeout_s: float | None = None) -> dict[str, Any]:
        """Send a control frame and wait for its answer.

        Raises:
            TritiumError: the worker answered with an error.
            WorkerDiedError: it ended instead, or before.
            TimeoutError: no answer in time.
        """
        if self._ended:
            raise WorkerDiedError(f"Stub process '{self.name}' is not healthy.")
        self._answer = self._loop.create_future()
        encoded = msgspec.json.encode(body)
        self.queue([frames.HEAD.pack(len(encoded), kind), encoded])
        self.flush()
        async with asyncio.timeout(timeout_s):
            answer = await self._answer
        if "error" in answer:
            if trace := answer.get("traceback"):
                logger.error("%s, worker %d: %s", self.name, self.pid, trace)
            code, text = answer["error"]
            raise error_of(code, _cut(text))
        return answer

    def queue(self, buffers: list[Buffer]) -> None:
        """Send with the next ``flush``."""
        self._queued += buffers

    def flush(self) -> None:
        """Send what is queued: now what the socket takes, and the rest as it can."""
        buffers, self._queued = self._queued, []
        if self._ended:
            return
        if self.outputs is not None and (released := self.outputs.take_released()):
            buffers.insert(0, frames.encode_release(released))
        if not self._backlog:
            buffers = self._send_some(buffers)
            if not buffers:
                return
            self._loop.add_writer(self._sock.fileno(), self._writable)
        self._backlog.extend(buffers)

    def flush_soon(self) -> None:
        """Send what is queued at the end of this turn of the loop."""
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_planned = False
        self.flush()

    def state(self) -> ProcessState | None:
        """How the process is; None where that cannot be seen."""
        return process_state(self.pid)

    def take_stalled(self) -> bool:
        """Whether a message has begun, and nothing of it came since the last call."""
        heard, self._heard = self._heard, False
        return not heard and self._frames.unfinished

    def kill(self, cause: WorkerEnd | None = None) -> None:
        """End the process at once; ``on_end`` follows.

        Args:
            cause: what ``on_end`` is told; without it, what the system says of the process.
        """
        if self._cause is None:
            self._cause = cause
        if self._handle.process.returncode is None:
            self._handle.process.kill()

    async def close(self) -> None:
        """Kill what is left of the process and release everything. ``on_end`` is not called."""
        self._on_end = lambda _: None
        self.kill()
        self._end()
        if self._ending is not None:
            await self._ending

    def _send_some(self, buffers: list[Buffer]) -> list[Buffer]:
        """Send without blocking; what did not go."""
        while buffers:
            window = buffers[:_IOV_MAX]
            size = sum(map(len, window))
            try:
                # One small buffer is cheaper to send than many: a copy of a few kilobytes against an iovec of
                # each.
                joined = size <= _JOIN_BYTES
                sent = self._sock.send(b"".join(window)) if joined else self._sock.sendmsg(window)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.kill()
                return []
            if sent < size:
                return _rest(buffers, sent)
            buffers = buffers[_IOV_MAX:]
        return buffers

    def _writable(self) -> None:
        rest = self._send_some(list(self._backlog))
        self._backlog = deque(rest)
        if not rest and not self._ended:
            self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        try:
            count = self._sock.recv_into(self._piece)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if not count:
            self._end()
            return
        self._heard = True
        try:
            # A copy, for outputs are views of it that live until they are sent.
            for kind, body in self._frames.feed(memoryview(bytes(self._piece[:count]))):
                handler = self._handlers.get(kind)
                if handler is not None:
                    handler(body)
                else:
                    self._control(kind, body)
        except Exception:  # a worker that sends nonsense is a dead worker
            logger.exception("%s: unreadable frame; the worker is ended", self.name)
            self.kill(worker_end(EndReason.PROTOCOL, "sent what cannot be read and was ended"))

    def _control(self, kind: int, body: memoryview) -> None:
        if kind == frames.RELEASE:
            if self.inputs is not None:
                for offset in frames.decode_release(body):
                    self.inputs.release(offset)
        elif kind == frames.ANSWER:
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(msgspec.json.decode(body))
        elif kind == frames.LOG:
            record = msgspec.json.decode(body)
            level = _LEVELS.get(record["level"], logging.INFO)
            where = {
                "model_file": record["file"],
                "model_line": record["line"],
            }  # the log shows the model's own place
            logger.log(level, "%s", record["message"], extra=where)
        elif kind == frames.FAILURE:
            failure = msgspec.json.decode(body)
            logger.error("%s, worker %d: %s", failure["about"] or self.name, self.pid, failure["traceback"])

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        if self._pid_fd >= 0:
            self._loop.remove_reader(self._pid_fd)
            os.close(self._pid_fd)
        self.kill()  # a socket that closed belongs to a process that is of no use
        self._ending = self._loop.create_task(self._finish(), name=f"end-{self.name}")

    async def _finish(self) -> None:
        status = await self._launcher.reap(self._handle)
        for output in self._printed:
            output.close()
        end = self._cause or self._how(status)
        self._handle.close()
        if self._answer is not None and not self._answer.done():
            if self._native:
                died = f"the worker of model instance '{self.name}' {end.log_text}"
            else:
                died = f"Stub process '{self.name}' is not healthy: it {end.log_text}"
            self._answer.set_exception(WorkerDiedError(died))
        self._on_end(end)

    def _how(self, status: int) -> WorkerEnd:
        telling = self._printed[-1].telling() if self._printed else ""
        wrote = f" after it wrote: {telling}" if telling else ""
        if status == -signal.SIGKILL and self._launcher.oom_kills.claim():
            reason, text = EndReason.OOM, "was killed by the system, which was out of memory"
        elif status < 0:
            reason, text = EndReason.SIGNAL, f"was killed by signal {-status}"
        else:
            reason, text = EndReason.EXIT, f"exited with status {status}"
        return WorkerEnd(reason, text + wrote if self._native else text, text + wrote)


def _cut(text: str) -> str:
    """The beginning and the end of a text that is too long for a client; the log has all of it."""
    if len(text) <= _SHOWN_CHARS:
        return text
    head, tail = _SHOWN_CHARS * 2 // 3, _SHOWN_CHARS // 4
    return f"{text[:head]} ... ({len(text) - head - tail} characters left out) ... {text[-tail:]}"


def _rest(buffers: list[Buffer], sent: int) -> list[Buffer]:
    """``buffers`` without their first ``sent`` bytes."""
    for index, buffer in enumerate(buffers):
        if sent < len(buffer):
            return [memoryview(buffer)[sent:], *buffers[index + 1 :]]
        sent -= len(buffer)
    return []
