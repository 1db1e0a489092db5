"""Starts worker processes: an argument list, one end of a socketpair, and shared memory without a name.

All workers are started from one thread that lives as long as the server: Linux delivers the parent-death
signal when the *thread* that started a process ends.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tritium import worker_root
from tritium.environments.interpreter import Interpreter
from tritium.execution.worker_end import OomKills
from tritium.worker_root.tritium_worker.board import BYTES as BOARD_BYTES

WORKER_ROOT = str(Path(worker_root.__file__).parent)
ARENA_BYTES = 1 << 31  # address space for each direction; memory is taken as tensors need it
SOCKET_BUFFER_BYTES = 1 << 20
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from tritium_worker.main import main; main()"


@dataclass(slots=True)
class WorkerHandle:
    """A process that was started, and the server's side of what it shares; -1 for memory that is missing."""

    process: subprocess.Popen[bytes]
    sock: socket.socket
    input_fd: int
    output_fd: int
    board_fd: int

    def close(self) -> None:
        """Give back the server's descriptors."""
        self.sock.close()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        for fd in (self.input_fd, self.output_fd, self.board_fd):
            if fd >= 0:
                os.close(fd)


class Launcher:
    """Owns the thread from which all workers start."""

    def __init__(self) -> None:
        self.oom_kills = OomKills()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tritium-launcher")

    async def start(self, interpreter: Interpreter) -> WorkerHandle:
        """Start a worker; both outputs are pipes to the server, but those of one that has the terminal.

        Raises:
            OSError: the interpreter cannot be run, or the system is out of descriptors or processes.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, _start, interpreter)

    async def reap(self, handle: WorkerHandle) -> int:
        """Wait for a process that is ending: its exit status, negative for a signal."""
        return await asyncio.get_running_loop().run_in_executor(None, handle.process.wait)

    def close(self) -> None:
        """End the thread, and with it any worker that is left."""
        self._thread.shutdown(wait=False)


def _start(interpreter: Interpreter) -> WorkerHandle:
    ours, theirs = socket.socketpair()
    fds: list[int] = []
    try:
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        ours.setblocking(False)
        fds = [_shared_memory("input", 0), _shared_memory("output", 0), _shared_memory("board", BOARD_BYTES)]
        numbers = map(str, (theirs.fileno(), *fds, ARENA_BYTES, os.getpid()))
        process = subprocess.Popen(
            # -u: what the model prints is not lost in a buffer when the process is killed
            [*interpreter.command, "-u", "-c", _BOOT, WORKER_ROOT, *numbers],
            pass_fds=[theirs.fileno(), *(fd for fd in fds if fd >= 0)],
            stdin=None if interpreter.terminal else subprocess.DEVNULL,
            stdout=None if interpreter.terminal else subprocess.PIPE,
            stderr=None if interpreter.terminal else subprocess.PIPE,
            env=interpreter.environ,
            bufsize=0,
        )
    except BaseException:
        ours.close()
        for fd in fds:
            if fd >= 0:
                os.close(fd)
        raise
    finally:
        theirs.close()
    return WorkerHandle(process, ours, *fds)


def _shared_memory(purpose: str, size: int) -> int:
    if not hasattr(os, "memfd_create"):
        return -1
    fd = os.memfd_create(f"tritium-{purpose}", os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    return fd
