"""Memory for long messages, used again: the system has to clear every page of new memory."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from tritium.core.tensor import Buffer

_MIN_BYTES = 1 << 20  # shorter messages get memory of their own
_MAX_BYTES = 32 << 20  # longer ones too, so that what is kept is bounded
_SPARE = 4  # buffers that are kept
_STEP_BYTES = 1 << 20
_WASTE = 4  # a spare buffer of at most so many times the size is good enough
_KEEP_S = 5.0  # how long one is kept that nobody needs


class MessageBuffers:
    """Lends buffers, and gets each back when the last view of it is gone, on whichever thread that is."""

    def __init__(self) -> None:
        self._spare: deque[npt.NDArray[np.uint8]] = deque(maxlen=_SPARE)
        self._used_s: float | None = None  # when the last sweep found that some were lent since
        self._lent = False

    def lend(self, size: int) -> Buffer:
        """A writable buffer of ``size`` bytes that hold anything.

        Raises:
            MemoryError: there is no memory for it.
        """
        if not _MIN_BYTES <= size <= _MAX_BYTES:
            return np.empty(size, np.uint8).data
        self._lent = True
        whole = self._take(size)
        if whole is None:
            whole = np.empty(-(-size // _STEP_BYTES) * _STEP_BYTES, np.uint8)
        lease = whole[:size].view(_Lease)
        lease.spare = self._spare
        return lease.data

    @property
    def spare_bytes(self) -> int:
        """What is kept to be lent again."""
        return sum(map(len, self._spare))

    def sweep(self, now_s: float) -> None:
        """Let go of what nobody has needed for a while; called now and then."""
        if self._lent or self._used_s is None:
            self._lent = False
            self._used_s = now_s
        elif now_s - self._used_s > _KEEP_S:
            self._spare.clear()

    def _take(self, size: int) -> npt.NDArray[np.uint8] | None:
        for _ in range(len(self._spare)):
            try:
                whole = self._spare.pop()
            except IndexError:
                return None
            if size <= len(whole) <= _WASTE * size:
                return whole
            self._spare.appendleft(whole)
        return None


class _Lease(np.ndarray[Any, np.dtype[np.uint8]]):
    """A view of a lent buffer, of which all other views are made; its end gives the buffer back."""

    spare: deque[npt.NDArray[np.uint8]] | None = None

    def __del__(self) -> None:
        if self.spare is not None and isinstance(self.base, np.ndarray):
            self.spare.append(self.base)
