from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import cast

import pytest

from tritium.execution.ready_check import ReadyCheck
from tritium.execution.worker import Worker
from tritium.worker_root.tritium_worker import frames


class Line:
    """What a worker is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def queue(self, buffers: list[bytes]) -> None:
        self.sent += buffers

    def flush_soon(self) -> None:
        pass


def checked(act: Callable[[ReadyCheck, Line], None]) -> None:
    async def scenario() -> None:
        check, line = ReadyCheck(lambda: "m_0", lambda: False), Line()
        check.start(cast(Worker, line))
        try:
            act(check, line)
        finally:
            check.stop()

    asyncio.run(scenario())


def answer(**said: object) -> memoryview:
    return memoryview(json.dumps(said).encode())


def test_a_model_that_is_never_asked_is_ready() -> None:
    assert ReadyCheck(lambda: "m_0", lambda: False).ready


def test_a_model_is_asked_at_once_and_not_ready_before_it_says_so() -> None:
    def act(check: ReadyCheck, line: Line) -> None:
        assert line.sent == [frames.HEAD.pack(0, frames.CHECK)]
        assert not check.ready
        check.on_checked(answer(ready=True))
        assert check.ready

    checked(act)


@pytest.mark.parametrize(
    ("said", "why"),
    [({"ready": False}, "is_ready gave a false value"), ({"ready": False, "why": "no disk"}, "no disk")],
)
def test_the_log_says_once_why_a_model_is_not_ready(
    said: dict[str, object], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    def act(check: ReadyCheck, line: Line) -> None:
        check.on_checked(answer(ready=True))
        check.on_checked(answer(**said))
        check.on_checked(answer(**said))
        assert not check.ready

    with caplog.at_level(logging.WARNING, "tritium.execution"):
        checked(act)
    assert [record.getMessage() for record in caplog.records] == [
        f"model instance 'm_0' says that it is not ready: {why}"
    ]
