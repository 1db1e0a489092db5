"""A worker process: reads frames, runs the model, answers. One instance, one batch at a time.

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
import time
import traceback
from typing import Any, Dict, List, Optional

from tritium_worker import frames, logger
from tritium_worker.board import Board
from tritium_worker.channel import Channel
from tritium_worker.frames import Part, PartView
from tritium_worker.model_host import HostError, ModelHost
from tritium_worker.request import InferenceRequest
from tritium_worker.tensor import input_tensor, wire_buffer

_INTERNAL = 1
_NO_META: Dict[str, Any] = {}


class Worker:
    """What one worker process does with each frame."""

    def __init__(self, channel: Channel, board: Optional[Board]) -> None:
        self._channel = channel
        self._board = board
        self._host: Optional[ModelHost] = None
        self._instance_name = ""

    def run(self) -> None:
        """Serve until told to stop."""
        while True:
            for kind, body in self._channel.receive():
                if kind == frames.EXECUTE:
                    self._execute(body)
                elif kind == frames.RELEASE:
                    self._channel.release(body)
                elif kind == frames.STOP:
                    self._stop()
                    return
                else:
                    self._control(kind, json.loads(bytes(body)))
            self._channel.flush()

    def _control(self, kind: int, message: Dict[str, Any]) -> None:
        try:
            answer = self._autocomplete(message) if kind == frames.AUTOCOMPLETE else self._load(message)
        except HostError as error:
            answer = {"error": [error.code, error.text], "traceback": error.traceback}
        except Exception as error:
            answer = {
                "error": [_INTERNAL, f"{type(error).__name__}: {error}"],
                "traceback": traceback.format_exc(),
            }
        self._channel.send_control(frames.ANSWER, answer)

    def _model(self, message: Dict[str, Any]) -> ModelHost:
        if self._host is None:
            place = message["model"]
            self._host = ModelHost(place["directory"], place["version"], place["filename"], place["name"])
            self._host.load()
        return self._host

    def _autocomplete(self, message: Dict[str, Any]) -> Dict[str, Any]:
        return {"config": self._model(message).autocomplete(message["config"])}

    def _load(self, message: Dict[str, Any]) -> Dict[str, Any]:
        self._instance_name = message["args"]["model_instance_name"]
        self._model(message).initialize(message["args"])
        gc.collect()
        gc.freeze()  # what is loaded stays; collections look at requests only
        return {}

    def _stop(self) -> None:
        error = self._host.finalize() if self._host is not None else None
        self._channel.send_control(frames.ANSWER, {"finalize": error} if error else {})

    def _execute(self, body: memoryview) -> None:
        started = time.perf_counter_ns()
        batch_id, count = frames.BATCH.unpack_from(body)
        if self._board is not None:
            self._board.start(batch_id)
        parts: List[Part]
        decoded = computed = started
        try:
            requests = [self._request(part) for part in frames.decode_parts(body, frames.BATCH.size, count)]
            decoded = time.perf_counter_ns()
            assert self._host is not None
            responses = self._host.execute(requests)
            computed = time.perf_counter_ns()
            parts = list(map(self._part, requests, responses))
        except HostError as error:
            computed = time.perf_counter_ns()
            self._report(error.traceback)
            who = f"model '{self._instance_name}'"
            text = f"Failed to process the request(s) for {who}, message: {error.text}"
            parts = [self._error_part(error.code, text)] * count
        except Exception as error:
            computed = time.perf_counter_ns()
            self._report(traceback.format_exc())
            parts = [self._error_part(_INTERNAL, f"{type(error).__name__}: {error}")] * count
        ended = time.perf_counter_ns()
        times = frames.TIMES.pack(decoded - started, computed - decoded, ended - computed)
        self._channel.queue(frames.encode_batch(frames.RESULT, batch_id, parts, times))

    def _request(self, part: PartView) -> InferenceRequest:
        wire_tensors, requested = self._channel.decode_tensors(part)
        meta = json.loads(part[1]) if part[1] else _NO_META
        return InferenceRequest._received(
            [input_tensor(*tensor) for tensor in wire_tensors],
            requested,
            meta,
            (self._board, part[4]) if self._board is not None else None,
        )

    def _part(self, request: InferenceRequest, response: Any) -> Part:
        try:
            if response.has_error():
                error = response.error()
                return self._error_part(error.code(), error.message())
            outputs = [(t.name(), *wire_buffer(t)) for t in ModelHost.filter_outputs(request, response)]
            parameters = response.parameters_or_none()
            meta = json.dumps({"parameters": parameters}).encode() if parameters else b""
            return self._channel.encode_tensors(outputs, meta)
        except Exception as error:
            self._report(traceback.format_exc())
            return self._error_part(_INTERNAL, f"{type(error).__name__}: {error}")

    def _error_part(self, code: int, text: str) -> Part:
        meta = json.dumps({"error": [int(code), text]}, ensure_ascii=False).encode("utf-8", "replace")
        return b"[[],[]]", meta, (), (), 0

    def _report(self, text: str) -> None:
        self._channel.send_control(frames.FAILURE, {"traceback": text})


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
    Worker(channel, Board(board_fd) if board_fd >= 0 else None).run()
    sys.stdout.flush()
    os._exit(0)  # a model's leftover threads must not keep the process
