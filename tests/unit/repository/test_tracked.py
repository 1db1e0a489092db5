from __future__ import annotations

from tests.unit.builders import model
from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.tracked import Generation, TrackedModel


def version(number: int, state: VersionState, reason: str = "") -> ModelVersion:
    there = state in (VersionState.READY, VersionState.UNLOADING)
    return ModelVersion("m", number, state, reason, model(version=number) if there else None)


def generation(*versions: ModelVersion) -> Generation:
    return Generation(None, None, {v.version: v for v in versions})


def shown(tracked: TrackedModel) -> list[tuple[int, str]]:
    return [(v.version, v.state.value) for v in tracked.versions()]


def test_the_highest_version_that_is_ready_serves() -> None:
    states = {1: VersionState.READY, 3: VersionState.READY, 7: VersionState.UNAVAILABLE}
    tracked = TrackedModel(generation(*(version(number, state) for number, state in states.items())))
    assert tracked.serving is not None
    assert tracked.serving.version == 3


def test_nothing_serves_without_a_version_that_is_ready() -> None:
    tracked = TrackedModel(generation(version(1, VersionState.READY)))
    tracked.current.versions[1].to(VersionState.UNLOADING)
    tracked.refresh()
    assert tracked.serving is None


def test_a_generation_is_complete_when_all_of_it_serves() -> None:
    ready, failed = version(1, VersionState.READY), version(2, VersionState.UNAVAILABLE)
    found = [generation(ready).complete(), generation(ready, failed).complete(), Generation(None).complete()]
    assert found == [True, False, False]


def test_versions_of_earlier_generations_are_listed_until_they_come_again() -> None:
    first = TrackedModel(generation(version(1, VersionState.UNAVAILABLE), version(2, VersionState.UNLOADING)))
    second = TrackedModel(generation(version(2, VersionState.READY)), first)
    assert shown(second) == [(1, "UNAVAILABLE"), (2, "UNLOADING"), (2, "READY")]
    first.current.versions[2].to(VersionState.UNAVAILABLE, "unloaded")
    assert shown(second) == [(1, "UNAVAILABLE"), (2, "READY")]
    third = TrackedModel(generation(version(1, VersionState.READY)), second)
    second.current.versions[2].to(VersionState.UNLOADING)
    assert shown(third) == [(1, "READY"), (2, "UNLOADING")]


def test_a_version_is_found_in_the_current_generation_first() -> None:
    first = TrackedModel(generation(version(1, VersionState.UNLOADING), version(2, VersionState.UNAVAILABLE)))
    second = TrackedModel(generation(version(1, VersionState.READY)), first)
    assert second.find(1) is second.current.versions[1]
    assert second.find(2) is first.current.versions[2]
    assert second.find(3) is None
