from __future__ import annotations

from tritium.repository.index import IndexEntry, index_of
from tritium.repository.lifecycle import ModelVersion, VersionState

TRACKED = {
    "b": [
        ModelVersion("b", 1, VersionState.UNAVAILABLE, "unloaded"),
        ModelVersion("b", 2, VersionState.READY),
    ],
    "gone": [ModelVersion("gone", 1, VersionState.READY)],
    "twice": [ModelVersion("twice", 1, VersionState.READY)],
}
NAMES = {"a": 1, "b": 1, "twice": 2}


def index(*, ready_only: bool = False) -> list[IndexEntry]:
    return index_of(NAMES, lambda name: TRACKED.get(name, []), ready_only=ready_only)


def test_the_index_shows_what_the_repositories_hold_loaded_or_not() -> None:
    assert index() == [
        IndexEntry("a"),
        IndexEntry("b", 1, VersionState.UNAVAILABLE, "unloaded"),
        IndexEntry("b", 2, VersionState.READY),
        IndexEntry(
            "twice", state=VersionState.UNAVAILABLE, reason="model appears in two or more repositories"
        ),
    ]


def test_the_index_can_be_limited_to_what_serves() -> None:
    assert index(ready_only=True) == [IndexEntry("b", 2, VersionState.READY)]
