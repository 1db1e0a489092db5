"""A worker process: reads frames, runs the model, answers. One instance.

It runs one batch at a time, or many side by side where ``execute`` is a coroutine.

Started by the server as ``python -c "…; main()" SOCKET_FD IN_FD OUT_FD BOARD_FD ARENA_BYTES PARENT_PID``; -1
stands for shared memory that the system does not have.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any, Dict, Optional, Type

from tritium_worker import frames, logger
from tritium_worker.board import Board
from tritium_worker.calls import Calls
from tritium_worker.channel import Channel
from tritium_worker.errors import HostError, TritonError
from tritium_worker.executor import Executor
from tritium_worker.inbox import Inbox
from tritium_worker.model_host import ModelHost
from tritium_worker.oneflow_host import OneFlowHost
from tritium_worker.oneflow_module_host import OneFlowModuleHost
from tritium_worker.process import PROCESS
from tritium_worker.readiness import Readiness
from tritium_worker.side_by_side import SideBySide

_HOSTS: Dict[str, Type[ModelHost]] = {
    "python": ModelHost,
    "oneflow": OneFlowHost,
    "oneflow_python": OneFlowModuleHost,
}


class Worker:
    """What one worker process does with each frame."""

    def __init__(self, channel: Channel, board: Optional[Board]) -> None:
        self._channel = channel
        self._board = board
        self._host: Optional[ModelHost] = None
        self._executor: Optional[Executor] = None
        self._readiness = Readiness(lambda: self._host, channel)
        self._inbox = Inbox(
            channel,
            {
                frames.CHECK: self._readiness.on_check,
                frames.RELEASE: channel.release,
                frames.REPLY: lambda body: self.calls.on_reply(body),
                frames.TOLD: lambda body: self.calls.on_told(body),
            },
        )
        self.calls = Calls(channel, self._inbox)

    def run(self) -> None:
        """Serve until told to stop."""
        while True:
            kind, body = self._inbox.next()
            if kind == frames.EXECUTE:
                assert self._executor is not None
                self._executor.run(body)
            elif kind == frames.STOP:
                self._stop()
                return
            else:
                self._control(kind, json.loads(bytes(body)))
                if self._host is not None and self._host.is_async and self._executor is not None:
                    SideBySide(
                        self._host.loop(), self._inbox, self._channel, self._executor, self.calls
                    ).run()
                    self._stop()
                    return

    def _control(self, kind: int, message: Dict[str, Any]) -> None:
        try:
            answer = self._autocomplete(message) if kind == frames.AUTOCOMPLETE else self._load(message)
        except HostError as error:
            answer = {"error": [error.code, error.text], "traceback": error.traceback}
        except Exception as error:
            answer = {
                "error": [TritonError.INTERNAL, f"{type(error).__name__}: {error}"],
                "traceback": traceback.format_exc(),
            }
        self._channel.send_control(frames.ANSWER, answer)

    def _model(self, message: Dict[str, Any]) -> ModelHost:
        if self._host is None:
            place = message["model"]
            make_host = _HOSTS[place["host"]]
            self._host = make_host(
                place["directory"],
                place["version"],
                place["filename"],
                place["name"],
                debug_errors=place["debug_errors"] == "1",
            )
            self._host.load()
        return self._host

    def _autocomplete(self, message: Dict[str, Any]) -> Dict[str, Any]:
        return {"config": self._model(message).autocomplete(message["config"])}

    def _load(self, message: Dict[str, Any]) -> Dict[str, Any]:
        host = self._model(message)
        host.initialize(message["args"])
        self._executor = Executor(host, self._channel, self._board, message["args"]["model_instance_name"])
        gc.collect()
        gc.freeze()  # what is loaded stays; collections look at requests only
        return {"concurrent": host.is_async, "checks": host.has_is_ready}

    def _stop(self) -> None:
        error = self._host.finalize() if self._host is not None else None
        self._channel.send_control(frames.ANSWER, {"finalize": error} if error else {})


def die_with_parent(parent_pid: int) -> None:
    """End this process when the server's does, whatever the model does (Linux; elsewhere, end of file)."""
    if sys.platform.startswith("linux"):
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent_pid:
            os._exit(0)


def main() -> None:
    """Entry point of the process; see the module's first lines for the arguments."""
    socket_fd, in_fd, out_fd, board_fd, arena_bytes, parent_pid = map(int, sys.argv[1:7])
    die_with_parent(parent_pid)
    # Ctrl-C and a service manager's SIGTERM reach the whole group, but when a worker ends is the server's to
    # say. A handler, and not SIG_IGN, which programs that the model starts would inherit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    sys.argv = sys.argv[:1]
    channel = Channel(socket.socket(fileno=socket_fd), in_fd, out_fd, arena_bytes)
    logger.install(lambda record: channel.send_control(frames.LOG, record))
    worker = Worker(channel, Board(board_fd) if board_fd >= 0 else None)
    PROCESS.connect(worker.calls)
    worker.run()
    sys.stdout.flush()
    os._exit(0)  # a model's leftover threads must not keep the process
