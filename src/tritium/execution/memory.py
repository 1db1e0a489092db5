"""Memory that loading used and serving does not need, back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys

# Requests make no cycles, so there is little to find. The interpreter's own 700 is every thirtieth request.
_YOUNG_OBJECTS = 20_000


def settle() -> None:
    """Collect what loading left behind, keep the rest out of later collections, and trim the heap (glibc)."""
    gc.collect()
    gc.freeze()  # models and code stay; collections look at requests only
    gc.set_threshold(_YOUNG_OBJECTS)
    trim()  # measured: 29 of 116 MB after loading one model of 15


def trim() -> None:
    """Give freed memory back to the system, where glibc keeps it: the allocator does so only at its end."""
    if sys.platform.startswith("linux"):
        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if malloc_trim is not None:
            malloc_trim(0)
