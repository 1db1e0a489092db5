"""Tests for ``tritium.execution.last_words``."""

from __future__ import annotations

import asyncio
import os

import pytest

from tritium.execution.last_words import LastWords


def told(*pieces: bytes) -> str:
    async def scenario() -> str:
        reading, writing = os.pipe()
        words = LastWords("m_0", reading)
        try:
            for piece in pieces:
                os.write(writing, piece)
                await asyncio.sleep(0)
        finally:
            os.close(writing)
        words.close()
        os.close(reading)
        return words.telling()

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
    ],
)  # fmt: skip
def test_the_last_line_that_says_why_is_kept_without_directories(
    pieces: tuple[bytes, ...], expected: str
) -> None:
    assert told(*pieces) == expected
