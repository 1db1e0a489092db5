"""What a model with an ``is_ready`` says of itself: asked once a second, so that nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from tritium.execution.worker import Worker
from tritium.worker_root.tritium_worker import frames

logger = logging.getLogger("tritium.execution")

PERIOD_S = 1.0
LIMIT_S = 3.0  # an idle model that has not answered for so long is not ready


class ReadyCheck:
    """The last word of one instance's model.

    Args:
        busy: whether a batch runs; the worker does not hear the question before it ends, and the last answer
            stands.
    """

    def __init__(self, name: Callable[[], str], busy: Callable[[], bool]) -> None:
        self.ready = True  # also of a model that is never asked
        self._name = name
        self._busy = busy
        self._worker: Worker | None = None
        self._waiting_since_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, worker: Worker) -> None:
        """Ask ``worker`` from now on; not ready until it says so."""
        self.stop()
        self._worker = worker
        self.ready = False
        self._waiting_since_s = None
        self._look()

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()

    def on_checked(self, body: memoryview) -> None:
        """A CHECKED frame came."""
        answer = msgspec.json.decode(body)
        self._waiting_since_s = None
        self._note(bool(answer["ready"]), answer.get("why") or "is_ready gave a false value")

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._look)
        now_s = time.monotonic()
        if self._waiting_since_s is None:
            self._ask(now_s)
        elif self._busy():
            self._waiting_since_s = now_s
        elif now_s - self._waiting_since_s >= LIMIT_S:
            self._note(False, f"is_ready has not answered for {LIMIT_S:g} s")

    def _ask(self, now_s: float) -> None:
        assert self._worker is not None
        self._waiting_since_s = now_s
        self._worker.queue([frames.HEAD.pack(0, frames.CHECK)])
        self._worker.flush_soon()

    def _note(self, ready: bool, why: str) -> None:
        if self.ready and not ready:
            logger.warning("model instance '%s' says that it is not ready: %s", self._name(), why)
        self.ready = ready
