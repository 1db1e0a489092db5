"""The main loop of a worker whose model has an ``async def execute``: batches run side by side."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Dict, Optional

from tritium_worker import frames
from tritium_worker.calls import Calls
from tritium_worker.channel import Channel
from tritium_worker.executor import Executor
from tritium_worker.inbox import Inbox


class SideBySide:
    """Serves on an event loop until told to stop; batches that run are finished first."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        inbox: Inbox,
        channel: Channel,
        executor: Executor,
        calls: Calls,
    ) -> None:
        self._loop = loop
        self._inbox = inbox
        self._channel = channel
        self._executor = executor
        self._calls = calls
        self._thread = threading.current_thread()
        self._tasks: Dict[int, asyncio.Task[None]] = {}
        self._numbers = itertools.count()
        self._stopped: Optional[asyncio.Event] = None
        self._flushing = False

    def run(self) -> None:
        """Run the loop, which is this thread's."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        self._calls.loop = self._loop
        self._inbox.on_frames = self._on_frames
        self._loop.add_reader(self._channel.fileno(), self._inbox.poll)
        self._start_batches()
        self._flush()
        await self._stopped.wait()
        self._loop.remove_reader(self._channel.fileno())
        self._calls.loop = None
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _on_frames(self) -> None:
        if threading.current_thread() is self._thread:
            self._start_batches()
        else:
            self._loop.call_soon_threadsafe(self._start_batches)

    def _start_batches(self) -> None:
        while True:
            frame = self._inbox.take()
            if frame is None:
                break
            kind, body = frame
            if kind == frames.EXECUTE:
                number = next(self._numbers)
                self._tasks[number] = self._loop.create_task(self._run(number, body))
            elif kind == frames.STOP and self._stopped is not None:
                self._stopped.set()
        self._flush_soon()

    async def _run(self, number: int, body: memoryview) -> None:
        try:
            await self._executor.run_async(body)
        finally:
            del self._tasks[number]
            self._flush_soon()

    def _flush_soon(self) -> None:
        """What this turn of the loop has to send goes together, at its end."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self._channel.flush()
