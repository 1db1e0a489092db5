"""Frames from the server, read by whichever thread of the worker needs one.

There is no thread that only reads: on the way of a small request that would cost more than the model. The
main thread reads while it waits for work. While it runs the model, a thread that waits for the answer of
another model reads; what it finds for the main thread is kept for it.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Deque, Dict, Optional, Tuple

from tritium_worker.channel import Channel

Frame = Tuple[int, memoryview]


class Inbox:
    """The worker's incoming frames.

    Args:
        handlers: by kind, for frames that are dealt with at once on the thread that reads; they must not
            block. All others are for the main thread.
    """

    def __init__(self, channel: Channel, handlers: Dict[int, Callable[[memoryview], None]]) -> None:
        self._channel = channel
        self._handlers = handlers
        self._frames: Deque[Frame] = deque()
        self._turn = threading.Condition()
        self._reading = False
        self._waiting = 0  # threads that wait for their turn
        self._expected = 0  # answers that no thread of its own waits for
        self._helper: Optional[threading.Thread] = None
        self.on_frames: Optional[Callable[[], None]] = None  # frames for the main thread came

    def next(self) -> Frame:
        """The next frame for the main thread, which must be the caller; good until the next call."""
        frames = self._frames
        while not frames:
            self._channel.flush()
            self._read_until(lambda: bool(frames), self._channel.receive)
        return frames.popleft()

    def take(self) -> Optional[Frame]:
        """The next frame for the main thread if one has been read."""
        return self._frames.popleft() if self._frames else None

    def poll(self) -> None:
        """Read what is there without waiting; nothing if another thread reads."""
        with self._turn:
            if self._reading:
                return
            self._reading = True
        self._read(self._channel.receive_now)

    def wait(self, ready: Callable[[], bool]) -> None:
        """Return when ``ready()``, which a handler makes true; reads if nobody else does."""
        self._read_until(ready, self._channel.receive_apart)

    def expect(self) -> None:
        """An answer will be handled that no thread waits for: somebody must read until ``received``."""
        with self._turn:
            self._expected += 1
            if self._helper is None:
                self._helper = threading.Thread(target=self._help, name="tritium-inbox", daemon=True)
                self._helper.start()
            self._turn.notify_all()

    def received(self) -> None:
        """That answer came; called by handlers."""
        self._expected -= 1

    def _help(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._expected > 0)
            self.wait(lambda: self._expected <= 0)

    def _read_until(self, ready: Callable[[], bool], receive: Callable[[], "list[Frame]"]) -> None:
        while True:
            with self._turn:
                while self._reading and not ready():
                    self._waiting += 1
                    self._turn.wait()
                    self._waiting -= 1
                if ready():
                    return
                self._reading = True
            self._read(receive)

    def _read(self, receive: Callable[[], "list[Frame]"]) -> None:
        found = False
        try:
            for frame in receive():
                handler = self._handlers.get(frame[0])
                if handler is not None:
                    handler(frame[1])
                else:
                    self._frames.append(frame)
                    found = True
        finally:
            with self._turn:
                self._reading = False
                if self._waiting:
                    self._turn.notify_all()
        if found and self.on_frames is not None:
            self.on_frames()
