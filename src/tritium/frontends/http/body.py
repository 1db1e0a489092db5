"""A request body on its way in: chunks without copying twice, and the bounds on it."""

from __future__ import annotations

from tritium.core.tensor import Buffer
from tritium.frontends.http.exchange import HttpRefusal


class RequestBody:
    """Collects a body of known or unknown length.

    A body whose length is announced and which did not come whole in the first read is received straight into
    its final buffer: ``space`` is where the transport writes, ``received`` says how much it wrote.
    """

    __slots__ = (
        "_chunk_limit",
        "_chunks",
        "_filled",
        "_limit",
        "_target",
        "announced",
        "chunk_count",
        "size",
    )

    def __init__(self, announced: int | None, *, limit: int, chunk_limit: int) -> None:
        if announced is not None and announced > limit:
            raise too_large(announced, limit)
        self.announced = announced
        self.size = 0
        self.chunk_count = 0
        self._limit = limit
        self._chunk_limit = chunk_limit
        self._chunks: list[bytes] = []
        self._target: memoryview | None = None
        self._filled = 0

    def feed(self, chunk: bytes) -> None:
        """A piece from the parser.

        Raises:
            HttpRefusal: the body passes its limit.
        """
        self.size += len(chunk)
        if self.size > self._limit:
            raise too_large(self.size, self._limit)
        self._chunks.append(chunk)

    def count_chunk(self) -> None:
        """Another chunk of a chunked body begins.

        Raises:
            HttpRefusal: there are too many of them.
        """
        self.chunk_count += 1
        if self.chunk_count > self._chunk_limit + 1:  # the last chunk, which is empty, counts as well
            raise HttpRefusal(
                413,
                f"Chunked request body exceeds maximum of {self._chunk_limit} non-empty chunks. Send fewer "
                "or larger HTTP chunks.",
            )

    def go_direct(self, target: memoryview, filled: int) -> None:
        """Receive an announced body into ``target``, which is as long and has its first ``filled`` bytes."""
        self._target = target
        self._filled = self.size = filled

    def space(self) -> memoryview:
        """Where the next bytes go."""
        assert self._target is not None
        return self._target[self._filled :]

    def received(self, count: int) -> bool:
        """``count`` bytes were written into ``space``; whether the body is whole."""
        self._filled += count
        self.size = self._filled
        return self._filled == self.announced

    def take(self) -> Buffer:
        """The whole body."""
        if self._target is not None:
            return self._target
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)


def too_large(size: int, limit: int) -> HttpRefusal:
    """A body or a decompressed body passes its limit."""
    return HttpRefusal(
        413,
        f"request body of {size} bytes exceeds the maximum of {limit} bytes. Use --http-max-input-size to "
        "increase the limit.",
    )
