"""The worker's end of the socket: blocking reads, gathered writes, tensors in and out of frames."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import deque
from typing import Any, Deque, Dict, List, Optional, Sequence, Tuple

from tritium_worker import frames
from tritium_worker.arena import THRESHOLD_BYTES, ArenaReader, ArenaWriter
from tritium_worker.frames import INLINE, Buffer, FrameReader, Part, PartView
from tritium_worker.linger import Linger

_RECEIVE_BYTES = 1 << 18
_APART_BYTES = 1 << 16  # a larger one would be mapped and unmapped each time
_CACHE_ENTRIES = 1024  # forms of requests or responses that are remembered; then the cache starts anew
_FLUSH_NS = 100_000  # a finished result waits at most this long for the ones behind it
_IOV_MAX = 512
_JOIN_BYTES = 16384

TensorSpec = Tuple[str, str, Tuple[int, ...], int]  # name, datatype, shape, bytes
WireTensor = Tuple[str, str, Tuple[int, ...], memoryview]


class Channel:
    """Frames to and from the server. Sending is safe from any thread of the model."""

    def __init__(self, sock: socket.socket, in_fd: int, out_fd: int, arena_bytes: int) -> None:
        self._sock = sock
        self._reader = FrameReader()
        self._piece = memoryview(
            bytearray(_RECEIVE_BYTES)
        )  # one for all reads: a new one each time costs three syscalls
        self._inputs = ArenaReader(in_fd) if in_fd >= 0 else None
        self._outputs = ArenaWriter(out_fd, arena_bytes) if out_fd >= 0 else None
        self._linger = Linger(sock)
        self._linger_apart = Linger(sock, mean_requests=1.0)  # one thread, one answer
        self._queued = 0  # results since the last read
        self._lock = threading.Lock()
        self._waiting: List[Buffer] = []
        self._left: Deque[List[Buffer]] = deque()  # by ``leave``
        self._flushed_ns = 0
        self._began_ns = 0  # work on the frame whose result is next; 0 where several are worked on
        self._longest_ns = 0  # that such work took of late
        self._parsed: Dict[bytes, Tuple[List[TensorSpec], List[str]]] = {}
        self._encoded: Dict[Tuple[Tuple[TensorSpec, ...], Tuple[str, ...]], bytes] = {}

    def receive(self) -> List[Tuple[int, memoryview]]:
        """The frames of the next piece of the stream, good until the next call. Ends with the server."""
        self._linger.note(self._queued)
        self._queued = 0
        self._linger.wait()
        try:
            count = self._sock.recv_into(self._piece)
        except ConnectionError:
            count = 0
        if not count:
            os._exit(0)
        self._flushed_ns = self._began_ns = time.perf_counter_ns()
        return self._feed(self._piece[:count])

    def receive_apart(self) -> List[Tuple[int, memoryview]]:
        """The same in memory of their own: what ``receive`` gave stays good. For a thread of the model."""
        self._linger_apart.wait()
        return self._feed(self._piece_apart(0))

    def receive_now(self) -> List[Tuple[int, memoryview]]:
        """As ``receive_apart``, without waiting: nothing when there is nothing. For coroutines."""
        self._began_ns = self._longest_ns = 0
        try:
            return self._feed(self._piece_apart(socket.MSG_DONTWAIT))
        except BlockingIOError:
            return []

    def _piece_apart(self, flags: int) -> memoryview:
        try:
            data = self._sock.recv(_APART_BYTES, flags)
        except ConnectionError:
            data = b""
        if not data:
            os._exit(0)
        return memoryview(data)

    def fileno(self) -> int:
        """The socket's descriptor, for an event loop."""
        return self._sock.fileno()

    def _feed(self, piece: memoryview) -> List[Tuple[int, memoryview]]:
        return list(self._reader.feed(piece))

    def send_control(self, kind: int, body: Dict[str, Any]) -> None:
        """Send a JSON frame, behind whatever waits."""
        encoded = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        self.send([frames.HEAD.pack(len(encoded), kind), encoded])

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send now, behind whatever waits."""
        with self._lock:
            self._send([*self._take_waiting(), *buffers])
        self._send_left()

    def leave(self, buffers: List[Buffer]) -> None:
        """Send as soon as possible; safe in a finalizer, which may run while this thread is sending."""
        self._left.append(buffers)
        self._send_left()

    def _send_left(self) -> None:
        while self._left and self._lock.acquire(blocking=False):
            try:
                while self._left:
                    self._send([*self._take_waiting(), *self._left.popleft()])
            finally:
                self._lock.release()

    def queue(self, buffers: Sequence[Buffer]) -> None:
        """Send soon: with the results that follow at once, or at ``flush``."""
        self._queued += 1
        now_ns = time.perf_counter_ns()
        if self._began_ns:  # what follows may take as long as anything did lately: no result waits for that
            self._longest_ns = max(now_ns - self._began_ns, self._longest_ns - self._longest_ns // 4)
            self._began_ns = now_ns
        with self._lock:
            self._waiting.extend(buffers)
            if now_ns - self._flushed_ns + self._longest_ns > _FLUSH_NS:
                self._send(self._take_waiting())
        if self._left:
            self._send_left()

    def flush(self) -> None:
        """Send what waits, and the arena blocks that the model has let go of."""
        with self._lock:
            released = self._inputs.take_released() if self._inputs else []
            if released:
                self._waiting.append(frames.encode_release(released))
            if self._waiting:
                self._send(self._take_waiting())
        if self._left:
            self._send_left()

    def release(self, body: memoryview) -> None:
        """The server is done with these blocks of the output arena."""
        if self._outputs is not None:
            with self._lock:
                for offset in frames.decode_release(body):
                    self._outputs.release(offset)

    def decode_tensors(self, part: PartView) -> Tuple[List[WireTensor], List[str]]:
        """Tensors of a request, writable, and the names of the outputs that it wants."""
        spec, _, places, inline, _ = part
        known = self._parsed.get(spec)
        if known is None:
            known = self._remember(spec)
        specs, requested = known
        tensors: List[WireTensor] = []
        position = 0
        for index, (name, datatype, shape, nbytes) in enumerate(specs):
            if places and places[index] != INLINE:
                assert self._inputs is not None
                tensors.append((name, datatype, shape, self._inputs.view(places[index], nbytes)))
                continue
            # A copy of its own: aligned, writable, and free to outlive the frame.
            data = memoryview(bytearray(inline[position : position + nbytes]))
            tensors.append((name, datatype, shape, data))
            position += nbytes
        return tensors, requested

    def _remember(self, spec: bytes) -> Tuple[List[TensorSpec], List[str]]:
        tensors, requested = json.loads(spec)
        known = [(n, d, tuple(shape), nbytes) for n, d, shape, nbytes in tensors], requested
        if len(self._parsed) >= _CACHE_ENTRIES:
            self._parsed.clear()
        self._parsed[bytes(spec)] = known
        return known

    def encode_tensors(
        self, tensors: Sequence[WireTensor], meta: bytes, requested: Sequence[str] = ()
    ) -> Part:
        """The part of a response, or of a request to another model: large tensors go through the arena.

        Args:
            requested: the outputs that a request asks for.
        """
        specs: List[TensorSpec] = []
        places: List[int] = []
        inline: List[Buffer] = []
        for name, datatype, shape, buffer in tensors:
            nbytes = len(buffer)
            specs.append((name, datatype, shape, nbytes))
            place = self._place(buffer) if nbytes >= THRESHOLD_BYTES else None
            if place is None:
                inline.append(buffer)
                place = INLINE
            places.append(place)
        key = tuple(specs), tuple(requested)
        spec = self._encoded.get(key)
        if spec is None:
            if len(self._encoded) >= _CACHE_ENTRIES:
                self._encoded.clear()
            spec = self._encoded[key] = json.dumps([specs, key[1]]).encode()
        return spec, meta, () if len(inline) == len(places) else tuple(places), inline, 0

    def _place(self, buffer: memoryview) -> Optional[int]:
        if self._outputs is None:
            return None
        with self._lock:
            return self._outputs.place(buffer)

    def _take_waiting(self) -> List[Buffer]:
        taken, self._waiting = self._waiting, []
        return taken

    def _send(self, buffers: List[Buffer]) -> None:
        self._flushed_ns = time.perf_counter_ns()
        try:
            self._send_all(buffers)
        except (BrokenPipeError, ConnectionError):
            os._exit(0)  # the server is gone, and nobody waits for results

    def _send_all(self, buffers: List[Buffer]) -> None:
        while buffers:
            window, buffers = buffers[:_IOV_MAX], buffers[_IOV_MAX:]
            size = sum(map(len, window))
            if size <= _JOIN_BYTES:  # cheaper than an iovec of each
                self._sock.sendall(b"".join(window))
                continue
            sent = self._sock.sendmsg(window)
            for buffer in window:
                if sent < len(buffer):
                    self._sock.sendall(memoryview(buffer)[sent:])
                sent = max(0, sent - len(buffer))
