"""A line that shows how far something is: drawn over itself on a terminal, a line per step elsewhere."""

from __future__ import annotations

from typing import TextIO

_WIDTH = 30


class Progress:
    """Steps with names; one at a time.

    Args:
        stream: where to draw.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._drawn = 0
        self._step = ""

    def step(self, text: str) -> None:
        """A step begins."""
        self.clear()
        self._step = text
        if self._live:
            self._draw(text)
        else:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def at(self, done_bytes: int, total_bytes: int) -> None:
        """The step has come this far; it never looks finished before it is."""
        if not self._live:
            return
        share = min(done_bytes / total_bytes, 0.99)
        filled = int(share * _WIDTH)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        self._draw(
            f"{self._step} [{bar}] {share:3.0%} {done_bytes / 1e9:.1f} of about {total_bytes / 1e9:.1f} GB"
        )

    def clear(self) -> None:
        """Remove what is drawn."""
        if self._live and self._drawn:
            self._draw("")
            self._stream.write("\r")
            self._stream.flush()

    def _draw(self, text: str) -> None:
        self._stream.write(f"\r{text.ljust(self._drawn)}")
        self._stream.flush()
        self._drawn = len(text)
