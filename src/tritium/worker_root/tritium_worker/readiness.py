"""Answers whether the model is ready, beside whatever the model does."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Optional

from tritium_worker import frames
from tritium_worker.channel import Channel
from tritium_worker.errors import HostError
from tritium_worker.model_host import ModelHost


class Readiness:
    """Asks the model's ``is_ready``, on a thread: it may take its time, and batches go on."""

    def __init__(self, host: Callable[[], Optional[ModelHost]], channel: Channel) -> None:
        self._host = host
        self._channel = channel

    def on_check(self, _: memoryview) -> None:
        """A CHECK frame came; there is one at a time."""
        threading.Thread(target=self._check, name="tritium-readiness", daemon=True).start()

    def _check(self) -> None:
        host = self._host()
        answer: Dict[str, Any] = {"ready": False}
        try:
            if host is not None:
                answer["ready"] = host.is_ready()
        except HostError as error:
            answer["why"] = error.text
        self._channel.send_control(frames.CHECKED, answer)
