from __future__ import annotations

import numpy as np
import pytest

from tritium.core.tensor import Buffer
from tritium.frontends.grpc.buffers import MessageBuffers

LARGE_BYTES = 3 << 20


def address(view: Buffer) -> int:
    return int(np.frombuffer(view, np.uint8).ctypes.data)


def test_a_buffer_has_the_size_that_was_asked_for_and_can_be_filled() -> None:
    for size in (0, 1, 1 << 20, LARGE_BYTES + 1, (32 << 20) + 1):
        lent = memoryview(MessageBuffers().lend(size))
        assert (len(lent), lent.readonly, lent.format) == (size, False, "B")
        lent[:] = b"x" * size
        assert lent == b"x" * size


def test_a_buffer_is_lent_again_when_the_last_view_of_it_is_gone() -> None:
    buffers = MessageBuffers()
    lent = memoryview(buffers.lend(LARGE_BYTES))
    first = address(lent)
    tensor = lent[100:200].toreadonly()
    del lent
    assert address(buffers.lend(LARGE_BYTES)) != first
    del tensor
    assert address(buffers.lend(LARGE_BYTES - 5000)) == first


def test_an_array_over_a_buffer_keeps_it() -> None:
    buffers = MessageBuffers()
    lent = buffers.lend(LARGE_BYTES)
    first = address(lent)
    array = np.frombuffer(lent, np.float32)
    del lent
    assert address(buffers.lend(LARGE_BYTES)) != first
    array[:] = 1.0


def test_much_larger_buffers_are_not_lent_for_short_messages() -> None:
    buffers = MessageBuffers()
    lent = buffers.lend(30 << 20)
    first = address(lent)
    del lent
    short = buffers.lend(2 << 20)
    assert address(short) != first
    assert address(buffers.lend(29 << 20)) == first


@pytest.mark.parametrize("size", [(1 << 20) - 1, (32 << 20) + 1])
def test_short_and_very_long_messages_have_memory_of_their_own(size: int) -> None:
    buffers = MessageBuffers()
    for _ in range(8):
        buffers.lend(size)
    assert buffers.spare_bytes == 0


def test_few_spare_buffers_are_kept_and_none_that_nobody_has_needed_for_a_while() -> None:
    buffers = MessageBuffers()
    lent = [buffers.lend(LARGE_BYTES) for _ in range(9)]
    lent.clear()
    assert buffers.spare_bytes == 4 * LARGE_BYTES
    buffers.sweep(1000.0)
    buffers.sweep(1004.0)
    assert buffers.spare_bytes == 4 * LARGE_BYTES
    buffers.lend(LARGE_BYTES)
    for now_s in (1006.0, 1010.0):
        buffers.sweep(now_s)
    assert buffers.spare_bytes == 4 * LARGE_BYTES
    buffers.sweep(1012.0)
    assert buffers.spare_bytes == 0
