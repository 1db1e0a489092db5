"""Tests for ``tritium.execution.worker_output``."""

from __future__ import annotations

import asyncio
import logging
import os

import pytest

from tritium.execution.worker_output import LINES_PER_PERIOD, WorkerOutput


def told(*pieces: bytes, ended: bool = True) -> str:
    """What ``telling`` gives after these writes; ``ended``: nobody holds the writing end any more."""

    async def scenario() -> str:
        reading, writing = os.pipe()
        output = WorkerOutput(lambda: "m_0", "stderr", reading, logging.WARNING)
        try:
            for piece in pieces:
                os.write(writing, piece)
                await asyncio.sleep(0)
            if not ended:
                output.close()
        finally:
            os.close(writing)
        output.close()
        os.close(reading)
        return output.telling()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((b"a warning\n",), ""),
        ((), ""),
        ((b'loc("/models/m/1/model/model.mlir":1:1): err', b"or: what\nfail to parse"),
         'loc("model.mlir":1:1): error: what'),
        ((b"F20261122 15:46:15.990895 12285 /ci/core/user_op_conf.cpp:48] Check failed: it\n  @ stack\n",),
         "user_op_conf.cpp:48] Check failed: it"),
        ((b"error: first\n" + b"x\n" * 100,), ""),
        ((b"error: not ended",), "error: not ended"),
        ((b"MemoryError\n",), "MemoryError"),
    ],
)  # fmt: skip
def test_the_last_line_that_says_why_is_kept_without_directories(
    pieces: tuple[bytes, ...], expected: str
) -> None:
    assert told(*pieces) == expected


@pytest.mark.parametrize("ended", [True, False])
def test_lines_are_logged_with_their_instance_and_stream(
    caplog: pytest.LogCaptureFixture, ended: bool
) -> None:
    told(b"one\n\ntw", b"o\nnot ended", ended=ended)
    assert caplog.messages == ["m_0 stderr: one", "m_0 stderr: two", "m_0 stderr: not ended"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_long_line_is_cut_however_it_arrives(caplog: pytest.LogCaptureFixture) -> None:
    told(b"x" * 5000, b"y" * 5000 + b"\n" + b"z" * 3000)
    assert [(message[12], len(message)) for message in caplog.messages] == [("x", 2069), ("z", 2069)]
    assert all(message.endswith("... (cut)") for message in caplog.messages)


def test_a_flood_is_counted_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    told(b"line\n" * 3000, b"line\n" * 3000, b"error: the last\n")
    assert len(caplog.messages) == LINES_PER_PERIOD + 1
    assert caplog.messages[-1] == f"m_0 stderr: {6001 - LINES_PER_PERIOD} lines dropped"


def test_the_last_lines_of_a_flood_still_say_why() -> None:
    assert told(b"line\n" * 3000 + b"error: the last\n") == "error: the last"
