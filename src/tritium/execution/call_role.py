"""Whether the instances of one model ask other models (BLS), and are asked by models themselves.

A model that does both may wait for itself: what it was asked must then never lie behind what waits for it, in
an instance, while another instance is idle. So its instances take nothing in advance.
"""

from __future__ import annotations

from collections.abc import Callable


class CallRole:
    """What is known of one model so far.

    Args:
        on_both: called once, when it asks and is asked.
    """

    def __init__(self, on_both: Callable[[], None]) -> None:
        self._on_both = on_both
        self._asks = False
        self._asked = False
        self.both = False

    def asks(self) -> None:
        """An instance is about to ask a model."""
        if not self._asks:
            self._asks = True
            self._look()

    def asked(self) -> None:
        """A model is about to ask this one."""
        if not self._asked:
            self._asked = True
            self._look()

    def _look(self) -> None:
        if self._asks and self._asked:
            self.both = True
            self._on_both()
