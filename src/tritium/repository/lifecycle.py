"""The states of one model version, and which follow which.

UNKNOWN     -> LOADING
LOADING     -> READY | UNAVAILABLE
READY       -> UNLOADING
UNLOADING   -> UNAVAILABLE
UNAVAILABLE -> LOADING
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tritium.core.model import Model
from tritium.errors import InternalError


class VersionState(Enum):
    """Triton's names, as the repository index shows them."""

    UNKNOWN = "UNKNOWN"
    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


_NEXT = {
    VersionState.UNKNOWN: {VersionState.LOADING},
    VersionState.LOADING: {VersionState.READY, VersionState.UNAVAILABLE},
    VersionState.READY: {VersionState.UNLOADING},
    VersionState.UNLOADING: {VersionState.UNAVAILABLE},
    VersionState.UNAVAILABLE: {VersionState.LOADING},
}


@dataclass(slots=True)
class ModelVersion:
    """One version as the repository tracks it. ``model`` is there while it is READY or UNLOADING."""

    name: str
    version: int
    state: VersionState = VersionState.UNKNOWN
    reason: str = ""
    model: Model | None = None

    def to(self, state: VersionState, reason: str = "", model: Model | None = None) -> None:
        """Go to ``state``.

        Raises:
            InternalError: the table above has no such transition.
        """
        if state not in _NEXT[self.state]:
            raise InternalError(
                f"model '{self.name}' version {self.version} cannot go from {self.state.value} to "
                f"{state.value}"
            )
        self.state = state
        self.reason = reason
        if state is not VersionState.UNLOADING:  # which drains the model that it has
            self.model = model
