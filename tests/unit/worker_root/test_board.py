from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tritium_worker.board import BYTES, SLOTS, Board


@pytest.fixture
def sides() -> Iterator[tuple[Board, Board]]:
    """The server's and the worker's view of one page."""
    fd = os.memfd_create("board")
    os.ftruncate(fd, BYTES)
    yield Board(fd), Board(fd)
    os.close(fd)


def test_the_server_sees_which_batch_the_worker_runs(sides: tuple[Board, Board]) -> None:
    server, worker = sides
    assert server.current() == 0
    worker.start(0xFFFFFFFF)
    assert server.current() == 0xFFFFFFFF
    worker.start(0)
    assert server.current() == 0


@pytest.mark.parametrize("slot", [0, 1, SLOTS - 1])
def test_the_worker_sees_which_request_was_cancelled(sides: tuple[Board, Board], slot: int) -> None:
    server, worker = sides
    server.cancel(slot)
    assert [s for s in (0, 1, SLOTS - 1) if worker.cancelled(s)] == [slot]
    server.clear(slot)
    assert not worker.cancelled(slot)


def test_flags_and_the_current_batch_do_not_touch(sides: tuple[Board, Board]) -> None:
    server, worker = sides
    worker.start(0xFFFFFFFF)
    assert not any(worker.cancelled(slot) for slot in range(SLOTS))
    for slot in range(100):
        server.cancel(slot)
    assert server.current() == 0xFFFFFFFF
