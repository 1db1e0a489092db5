"""What is known of one model name: the versions that serve, and those that did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tritium.core.model import Model
from tritium.errors import TritiumError
from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.scan import ModelEntry

UNLOADED = "unloaded"


@dataclass(slots=True)
class Generation:
    """The versions that one load made, by number.

    ``source`` is the directory as it was then; None if what was loaded is not what a plain load would load.
    ``files`` is the directory to remove with the last version; None for a model of a repository.
    """

    source: ModelEntry | None
    files: Path | None = None
    versions: dict[int, ModelVersion] = field(default_factory=dict)

    def ready(self) -> list[ModelVersion]:
        """The versions that serve."""
        return [v for v in self.versions.values() if v.state is VersionState.READY and v.model is not None]

    def complete(self) -> bool:
        """Every version serves, and there is one."""
        return bool(self.versions) and len(self.ready()) == len(self.versions)

    def note(self, failure: TritiumError) -> None:
        """Say on what serves why nothing newer does."""
        for version in self.ready():
            version.reason = str(failure).rstrip()


class TrackedModel:
    """One name; replaced by another when a newer generation takes over from ``current``."""

    __slots__ = ("_past", "current", "serving")

    def __init__(self, current: Generation, before: TrackedModel | None = None) -> None:
        self.current = current
        self._past = [*before.versions()] if before is not None else []
        self.serving: Model | None = None  # the highest version that is ready
        self.refresh()

    def refresh(self) -> None:
        """Look again which version serves."""
        ready = {v.version: v.model for v in self.current.ready()}
        self.serving = ready[max(ready)] if ready else None

    def find(self, number: int) -> ModelVersion | None:
        """A version of the current generation, or else of an earlier one."""
        return self.current.versions.get(number) or next(
            (v for v in reversed(self._past) if v.version == number), None
        )

    def versions(self) -> Iterator[ModelVersion]:
        """By number: the current ones, those that are being unloaded, and those that are gone for good.

        Of an earlier generation, what is gone and came again is left out.
        """
        last = {v.version: v for v in self._past}
        past = [
            v
            for v in self._past
            if v.state is VersionState.UNLOADING
            or (v is last[v.version] and v.version not in self.current.versions)
        ]
        yield from sorted([*past, *self.current.versions.values()], key=lambda v: v.version)
