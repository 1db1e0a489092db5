"""The repository index: every model that the repositories hold, loaded or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.scan import DUPLICATE


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A version, or a model of which no version was ever loaded: then there is nothing but its name."""

    name: str
    version: int | None = None
    state: VersionState | None = None
    reason: str = ""


def index_of(
    names: Mapping[str, int], versions: Callable[[str], Iterable[ModelVersion]], *, ready_only: bool
) -> list[IndexEntry]:
    """The index, by name and version.

    Args:
        names: of the models in the repositories, with the number of repositories that have each. As in
            Triton, a model that came with a load request and is in none of them is not listed.
        versions: the tracked versions of a name.
    """
    entries: list[IndexEntry] = []
    for name, count in names.items():
        if count > 1:
            entries.append(IndexEntry(name, state=VersionState.UNAVAILABLE, reason=DUPLICATE))
            continue
        tracked = [IndexEntry(v.name, v.version, v.state, v.reason) for v in versions(name)]
        entries += tracked or [IndexEntry(name)]
    if ready_only:
        return [entry for entry in entries if entry.state is VersionState.READY]
    return entries
