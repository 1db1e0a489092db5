"""Batches of any size on graphs that each take one size. Nothing here knows OneFlow.

A batch runs on the smallest of the sizes 1, 2, 4, ... that holds it, filled up with zeros, and in parts
where it is larger than all of them. A size is compiled when it is first needed and compared with the saved
graph before it is used; where that fails, all batches run in parts of the saved size.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Protocol, Sequence, Tuple

import numpy as np

_TOLERANCE = 1e-3
_ROUNDING = 1e-6


class Graph(Protocol):
    """A graph that takes one number of rows."""

    activation_bytes: int  # of memory, which it keeps

    def run(self, arrays: Sequence[np.ndarray[Any, Any]]) -> List[np.ndarray[Any, Any]]:
        """Run once; the results are overwritten by the next run."""
        ...


class Batches:
    """Runs batches of up to ``max_rows``.

    Args:
        saved_rows: how many rows the saved graph takes, >= 1.
        types: shape and dtype of each input at the saved size.
        compile_graph: makes the graph for a number of rows; raises where it cannot.
        memory_bytes: what the tensors of all graphs together may take; the saved graph is exempt.
        warn: told once of whatever makes batches slower.
    """

    def __init__(
        self,
        saved_rows: int,
        max_rows: int,
        types: Sequence[Tuple[Tuple[int, ...], str]],
        compile_graph: Callable[[int], Graph],
        memory_bytes: int,
        warn: Callable[[str], None],
    ) -> None:
        self._saved_rows = saved_rows
        self._types = types
        self._compile = compile_graph
        self._free_bytes = memory_bytes
        self._warn = warn
        self._saved = compile_graph(saved_rows)
        self._graphs: Dict[int, Graph] = {saved_rows: self._saved}
        self._sizes = sorted({*_powers(max_rows), saved_rows})
        if max_rows > 1 or saved_rows > 1:
            self._graph(next(size for size in self._sizes if size != saved_rows))

    @property
    def sizes(self) -> List[int]:
        """The numbers of rows that there are graphs for, or can be."""
        return list(self._sizes)

    def run(self, arrays: Sequence[np.ndarray[Any, Any]]) -> List[np.ndarray[Any, Any]]:
        """Run one batch; the results are the caller's own."""
        rows = arrays[0].shape[0]
        parts = []
        start = 0
        while start < rows:
            size = self._size(rows - start)
            stop = min(rows, start + size)
            parts.append(self._part(self._graphs[size], size, [array[start:stop] for array in arrays]))
            start = stop
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(pieces) for pieces in zip(*parts)]

    def _size(self, rows: int) -> int:
        """The size to run next, with its graph compiled, when ``rows`` are left."""
        while True:
            size = next((size for size in self._sizes if size >= rows), self._sizes[-1])
            if self._graph(size):
                return size

    def _part(self, graph: Graph, size: int, arrays: List[Any]) -> List[Any]:
        rows = arrays[0].shape[0]
        return [result[:rows].copy() for result in graph.run([_filled(array, size) for array in arrays])]

    def _graph(self, size: int) -> bool:
        """Whether there is a graph for ``size``; if not, the size is given up."""
        if size in self._graphs:
            return True
        needed = self._saved.activation_bytes * size // self._saved_rows
        if needed > self._free_bytes:
            self._sizes = [kept for kept in self._sizes if kept < size or kept in self._graphs]
            text = "batches of %d rows would take %d MB of memory, %d MB are left: they run in smaller parts"
            self._warn(text % (size, needed >> 20, self._free_bytes >> 20))
            return False
        try:
            graph = self._compile(size)
            self._compare(graph, size)
        except Exception as error:
            self._sizes = [self._saved_rows]
            text = "the graph cannot be run at another batch size, batches run in parts of %d: %s"
            self._warn(text % (self._saved_rows, error))
            return False
        self._free_bytes -= needed
        self._graphs[size] = graph
        return True

    def _compare(self, graph: Graph, size: int) -> None:
        """Raise ValueError unless ``graph`` computes what the saved graph does."""
        random = np.random.RandomState(size)
        arrays = [random.randint(0, 2, (size, *shape[1:])).astype(dtype) for shape, dtype in self._types]
        found = [result.copy() for result in graph.run(arrays)]
        for start in range(0, size, self._saved_rows):
            stop = min(size, start + self._saved_rows)
            expected = self._part(self._saved, self._saved_rows, [array[start:stop] for array in arrays])
            for index, (result, right) in enumerate(zip(found, expected)):
                if not _same(result[start:stop], right):
                    raise ValueError(
                        "output %d differs between batch %d and %d" % (index, size, stop - start)
                    )


def _same(found: Any, expected: Any) -> bool:
    if found.shape != expected.shape:
        return False
    if expected.dtype.kind != "f":
        return bool(np.array_equal(found, expected))
    size = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
    margin = _TOLERANCE * size + _ROUNDING
    return bool(np.allclose(found, expected, rtol=_TOLERANCE, atol=margin, equal_nan=True))


def _filled(rows: Any, size: int) -> Any:
    if rows.shape[0] == size:
        return rows
    full = np.zeros((size, *rows.shape[1:]), rows.dtype)
    full[: rows.shape[0]] = rows
    return full


def _powers(limit: int) -> List[int]:
    """1, 2, 4, ... up to ``limit``, which is the last."""
    sizes = [1]
    while sizes[-1] * 2 < limit:
        sizes.append(sizes[-1] * 2)
    return sizes if limit <= 1 else [*sizes, limit]
