"""The head of a request: all before its body, read once for all requests that begin with the same bytes.

A client that keeps its connection sends the same head again and again. Its bytes decide how the request is
framed, routed and answered, so what was made of them the first time holds for every time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tritium.frontends.http.exchange import Exchange

_ENTRIES = 512  # heads that are remembered; then the cache starts anew
_MAX_BYTES = 2048


@dataclass(slots=True)
class RequestHead:
    """A parsed head. ``headers`` are by lower-case name; ``plan`` is what the application does with it."""

    method: bytes
    path: str
    headers: dict[bytes, bytes]
    http_1_0: bool
    keep_alive: bool
    length: int | None  # bytes of the body; None for a chunked body or none at all
    plan: Callable[[Exchange], None] = lambda exchange: None
    spelled: Sequence[tuple[bytes, bytes]] = ()  # the headers with their names as they came

    @property
    def chunked(self) -> bool:
        """The length of the body shows only at its end."""
        return b"transfer-encoding" in self.headers

    @property
    def has_body(self) -> bool:
        """A body follows."""
        return self.chunked or bool(self.length)


class HeadCache:
    """Heads by their bytes, for all connections of a listener."""

    def __init__(self) -> None:
        self._heads: dict[bytes, RequestHead] = {}
        # The head that some bytes, blank line included, were parsed to, or None. It is the dictionary's own
        # method, for every request asks it.
        self.find = self._heads.get

    def remember(self, raw: bytes, head: RequestHead) -> None:
        """Keep a head whose request is framed by its bytes alone and needs no answer before its body."""
        if head.chunked or b"expect" in head.headers or not head.keep_alive or len(raw) > _MAX_BYTES:
            return
        if len(self._heads) >= _ENTRIES:
            self._heads.clear()
        self._heads[raw] = head
