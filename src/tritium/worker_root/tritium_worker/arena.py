"""Large tensors between two processes, through anonymous shared memory that has no name to register or guess.

Each direction has one arena: a memfd, inherited by the worker. One side writes it (``ArenaWriter``), the
other reads it (``ArenaReader``) and says, over the socket, which blocks it is done with. A block stays as
long as anybody on the reading side holds a view of it, however long a model keeps its input.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections import deque
from typing import Deque, Dict, List, Optional, Tuple

import numpy as np

THRESHOLD_BYTES = 65536  # smaller tensors travel in the frame: measured, the two cost the same near here
_KEEP_FREE_BYTES = 1 << 28  # memory of idle blocks beyond this goes back to the system


def block_bytes(nbytes: int) -> int:
    """The size of the block that holds ``nbytes``: a power of two, at least the threshold."""
    return max(THRESHOLD_BYTES, 1 << (nbytes - 1).bit_length())


class ArenaWriter:
    """The side that places tensors."""

    def __init__(self, fd: int, limit_bytes: int) -> None:
        self._fd = fd
        self._limit_bytes = limit_bytes
        self._end = 0
        self._blocks: Dict[int, mmap.mmap] = {}
        self._held: Dict[int, int] = {}  # sizes of the blocks that the reader has
        self._free: Dict[int, List[int]] = {}
        self._free_bytes = 0

    def place(self, buffer: memoryview) -> Optional[int]:
        """Copy ``buffer`` (bytes) into a free block: its offset, or None when no more can be shared."""
        size = block_bytes(len(buffer))
        free = self._free.get(size)
        if free:
            offset = free.pop()
            self._free_bytes -= size
        else:
            offset = self._end
            if offset + size > self._limit_bytes or not self._extend(offset, size):
                return None
        self._held[offset] = size
        # numpy copies large blocks without the GIL's help of slicing, and twice as fast as mmap's own slices
        np.frombuffer(self._blocks[offset], np.uint8, len(buffer))[:] = np.frombuffer(buffer, np.uint8)
        return offset

    def _extend(self, offset: int, size: int) -> bool:
        """Add the block at ``offset``, the arena's end; False where a limit of the system forbids it."""
        try:
            os.ftruncate(self._fd, offset + size)
            self._blocks[offset] = mmap.mmap(self._fd, size, offset=offset)
        except OSError:
            return False
        self._end += size
        return True

    def release(self, offset: int) -> None:
        """The reader is done with the block at ``offset``; an offset that it does not have is ignored."""
        size = self._held.pop(offset, None)
        if size is None:
            return
        self._free.setdefault(size, []).append(offset)
        self._free_bytes += size
        if self._free_bytes > _KEEP_FREE_BYTES and hasattr(mmap, "MADV_REMOVE"):
            self._blocks[offset].madvise(mmap.MADV_REMOVE)


class ArenaReader:
    """The side that looks at them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._blocks: Dict[int, Tuple[int, mmap.mmap]] = {}
        self._done: Deque[int] = deque()

    def view(self, offset: int, nbytes: int) -> memoryview:
        """The tensor at ``offset``; its block is released when the last view of it is gone.

        Raises:
            ValueError: there is no such block in the arena.
        """
        size = block_bytes(nbytes)
        known = self._blocks.get(offset)
        if known is None or known[0] != size:
            known = size, mmap.mmap(self._fd, size, offset=offset)
            self._blocks[offset] = known
        lease = np.frombuffer(known[1], np.uint8, nbytes)
        weakref.finalize(lease, self._done.append, offset).atexit = False
        return lease.data

    def take_released(self) -> List[int]:
        """Offsets of blocks that nobody looks at any more, since the last call. Safe beside other threads."""
        taken: List[int] = []
        while self._done:
            taken.append(self._done.popleft())
        return taken
