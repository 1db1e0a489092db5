from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tritium_worker.arena import THRESHOLD_BYTES, ArenaReader, ArenaWriter, block_bytes

KIB = 1024


@pytest.fixture
def fd() -> Iterator[int]:
    number = os.memfd_create("arena")
    yield number
    os.close(number)


def place(writer: ArenaWriter, raw: bytes) -> int:
    offset = writer.place(memoryview(raw))
    assert offset is not None
    return offset


@pytest.mark.parametrize(
    ("nbytes", "size"),
    [
        (0, 64),
        (1, 64),
        (64 * KIB, 64),
        (64 * KIB + 1, 128),
        (100 * KIB, 128),
        (128 * KIB, 128),
        (1 << 20, 1024),
    ],
)
def test_blocks_are_powers_of_two(nbytes: int, size: int) -> None:
    assert block_bytes(nbytes) == size * KIB


def test_what_one_side_places_the_other_sees(fd: int) -> None:
    writer, reader = ArenaWriter(fd, 1 << 20), ArenaReader(fd)
    first, second = place(writer, b"a" * 10), place(writer, b"b" * (70 * KIB))
    assert bytes(reader.view(first, 10)) == b"a" * 10
    assert bytes(reader.view(second, 70 * KIB)) == b"b" * (70 * KIB)


def test_an_arena_that_the_system_does_not_let_grow_is_full() -> None:
    sealed = os.memfd_create("arena", os.MFD_ALLOW_SEALING)
    try:
        writer = ArenaWriter(sealed, 1 << 20)
        first = place(writer, b"a")
        fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        assert writer.place(memoryview(b"b")) is None
        writer.release(first)
        assert place(writer, b"c") == first
    finally:
        os.close(sealed)


def test_a_full_arena_takes_nothing_until_a_block_is_released(fd: int) -> None:
    writer = ArenaWriter(fd, 2 * THRESHOLD_BYTES)
    first = place(writer, b"a")
    place(writer, b"b")
    assert writer.place(memoryview(b"c")) is None
    writer.release(first)
    assert place(writer, b"d") == first


def test_a_block_is_used_again_for_its_own_size_only(fd: int) -> None:
    writer = ArenaWriter(fd, 1 << 20)
    small = place(writer, b"a")
    writer.release(small)
    assert place(writer, bytes(THRESHOLD_BYTES + 1)) != small
    assert place(writer, b"b") == small


@pytest.mark.parametrize("offset", [5, 1 << 40, -1])
def test_an_offset_that_was_never_given_out_is_ignored(fd: int, offset: int) -> None:
    writer = ArenaWriter(fd, THRESHOLD_BYTES)
    place(writer, b"a")
    writer.release(offset)
    assert writer.place(memoryview(b"b")) is None


def test_a_block_that_is_released_twice_is_given_out_once(fd: int) -> None:
    writer = ArenaWriter(fd, 2 * THRESHOLD_BYTES)
    first = place(writer, b"a")
    writer.release(first)
    writer.release(first)
    assert place(writer, b"b") == first
    assert place(writer, b"c") != first


def test_memory_of_many_idle_blocks_goes_back_to_the_system(fd: int) -> None:
    writer = ArenaWriter(fd, 1 << 31)
    size = (1 << 28) + 1
    offset = writer.place(np.zeros(size, np.uint8).data)
    assert offset is not None
    before = os.fstat(fd).st_blocks
    writer.release(offset)
    assert os.fstat(fd).st_blocks < before


def test_a_view_is_released_when_the_last_slice_of_it_is_gone(fd: int) -> None:
    writer, reader = ArenaWriter(fd, 1 << 20), ArenaReader(fd)
    offset = place(writer, b"abcdef")
    view = reader.view(offset, 6)
    array = np.frombuffer(view[2:4], np.uint8)
    del view
    gc.collect()
    assert reader.take_released() == []
    assert array.tobytes() == b"cd"
    del array
    gc.collect()
    assert reader.take_released() == [offset]
    assert reader.take_released() == []


def test_a_place_outside_of_the_arena_is_refused(fd: int) -> None:
    with pytest.raises(ValueError):
        ArenaReader(fd).view(1 << 30, 10)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([1, 70 * KIB]), st.integers(-4, 5)), max_size=12))
def test_every_lease_is_released_exactly_once_and_no_block_is_held_twice(
    fd: int, steps: list[tuple[int, int]]
) -> None:
    writer, reader = ArenaWriter(fd, 1 << 20), ArenaReader(fd)
    leases: dict[int, memoryview] = {}
    for index, (nbytes, drop) in enumerate(steps):
        raw = bytes([index]) * nbytes
        offset = writer.place(memoryview(raw))
        if offset is not None:
            assert offset not in leases
            leases[offset] = reader.view(offset, nbytes)
            assert leases[offset] == raw
        dropped = [*leases][: max(0, drop)]
        for gone in dropped:
            del leases[gone]
        released = reader.take_released()
        assert sorted(released) == sorted(dropped)
        for gone in released:
            writer.release(gone)
    held = [*leases]
    leases.clear()
    assert sorted(reader.take_released()) == sorted(held)
