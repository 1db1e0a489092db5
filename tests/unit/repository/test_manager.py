from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from tests.unit.builders import FakeScheduler, echo_config, model
from tritium.core.model import Model
from tritium.errors import (
    ConfigError,
    InternalError,
    ModelNotFoundError,
    ModelNotReadyError,
    TritiumError,
    UnavailableError,
)
from tritium.repository.lifecycle import VersionState
from tritium.repository.loader import ModelLoader
from tritium.repository.manager import ModelRepositoryManager
from tritium.repository.prepare import Draft, Prepared, PrepareOptions, draft, finish
from tritium.repository.scan import ModelEntry
from tritium.repository.versions import NoVersionError


class FakeLoader:
    """Loads every version, but those of models whose names or files say otherwise."""

    cache = None

    def __init__(self) -> None:
        self.gates: dict[str, asyncio.Event] = {}  # loads of these models wait
        self.loads: list[str] = []
        self.schedulers: list[FakeScheduler] = []
        self.at_once = self.most_at_once = 0

    async def draft(self, entry: ModelEntry) -> Draft:
        if entry.config_text is None:
            return Draft(echo_config(entry.name), None, entry.versions)
        return draft(entry, PrepareOptions(auto_complete=False))

    async def prepare_ensemble(self, entry: ModelEntry, found: Draft) -> Prepared:
        return finish(entry, found.config, PrepareOptions())

    async def load(
        self, entry: ModelEntry, found: Draft, on_version: Callable[[int], None]
    ) -> dict[int, Model | TritiumError]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.loads.append(entry.name)
        if entry.name in self.gates:
            await self.gates[entry.name].wait()
        self.at_once -= 1
        if entry.name == "badconfig":
            raise ConfigError("the configuration is odd")
        if not entry.versions:
            raise NoVersionError(entry.name)
        loaded: dict[int, Model | TritiumError] = {}
        for version in entry.versions:
            on_version(version)
            if entry.name.startswith("broken") or (entry.directory / str(version) / "broken").exists():
                loaded[version] = InternalError("it does not load")
                continue
            self.schedulers.append(FakeScheduler())
            loaded[version] = model(found.config, version=version, scheduler=self.schedulers[-1])
        return loaded


class Rig:
    """A manager over directories ``<name>/<version>``."""

    def __init__(self, root: Path, *models: str, load_threads: int = 4, explicit: bool = False) -> None:
        for path in models:
            (root / path).mkdir(parents=True)
            if path.endswith("/13"):
                (root / path / "broken").touch()
        self.loader = FakeLoader()
        self.manager = ModelRepositoryManager(
            [root],
            cast(ModelLoader, self.loader),
            config_name=None,
            load_threads=load_threads,
            explicit=explicit,
        )

    def states(self) -> list[tuple[str, int, str, str]]:
        return [(v.name, v.version, v.state.value, v.reason) for v in self.manager.versions()]


def test_every_version_is_tracked_by_name_and_number(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, "b/1", "a/10", "a/2")
        await rig.manager.load_all()
        assert rig.states() == [("a", 2, "READY", ""), ("a", 10, "READY", ""), ("b", 1, "READY", "")]
        assert [(m.config.name, m.version) for m in rig.manager.ready_models("a")] == [("a", 2), ("a", 10)]
        assert len(rig.manager.ready_models()) == 3

    asyncio.run(scenario())


def test_the_highest_version_that_is_ready_serves(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, "a/2", "a/10", "a/13")
        await rig.manager.load_all()
        assert rig.manager.get("a", None).version == 10
        assert rig.manager.get("a", 2).version == 2

    asyncio.run(scenario())


def test_a_version_that_failed_keeps_its_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, "broken/1")
        await rig.manager.load_all()
        assert rig.states() == [("broken", 1, "UNAVAILABLE", "Internal: it does not load")]
        assert rig.manager.ready_models() == []

    asyncio.run(scenario())


def test_a_model_that_has_no_version_to_show_a_reason_is_a_failure_by_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, "badconfig/1", "good/1")
        await rig.manager.load_all()
        assert rig.manager.failures == {"badconfig": "the configuration is odd"}
        assert rig.states() == [("good", 1, "READY", "")]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("nope", None, "Request for unknown model: 'nope' is not found"),
        ("nope", 1, "Request for unknown model: 'nope' version 1 is not found"),
        ("good", 9, "Request for unknown model: 'good' version 9 is not found"),
        ("broken", None, "Request for unknown model: 'broken' has no available versions"),
    ],
)
def test_what_does_not_serve_is_not_found_in_tritons_words(
    tmp_path: Path, name: str, version: int | None, text: str
) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, "good/1", "broken/1")
        await rig.manager.load_all()
        with pytest.raises(ModelNotFoundError) as caught:
            rig.manager.get(name, version)
        assert str(caught.value) == text

    asyncio.run(scenario())


def test_a_version_that_is_known_and_does_not_serve_is_not_ready_in_tritons_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, "broken/1")
        await rig.manager.load_all()
        with pytest.raises(ModelNotReadyError) as caught:
            rig.manager.get("broken", 1)
        assert str(caught.value) == "Request for unknown model: 'broken' version 1 is not at ready state"

    asyncio.run(scenario())


def test_some_models_can_be_chosen(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, "a/1", "b/1", "c/1")
        await rig.manager.load_all(["c", "a"])
        assert [name for name, *_ in rig.states()] == ["a", "c"]

    asyncio.run(scenario())


def test_a_chosen_model_that_is_nowhere_is_a_failure_in_tritons_words_and_the_others_are_loaded(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, "a/1")
        await rig.manager.load_all(["a", "nope"])
        assert rig.manager.failures == {
            "nope": "failed to poll model 'nope': model not found in any model repository."
        }
        assert [name for name, *_ in rig.states()] == ["a"]

    asyncio.run(scenario())


def test_a_repository_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path / "gone")
        with pytest.raises(UnavailableError):
            await rig.manager.load_all()

    asyncio.run(scenario())


def test_what_the_scan_finds_odd_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        (tmp_path / "a\nb").mkdir()
        await Rig(tmp_path).manager.load_all()

    asyncio.run(scenario())
    assert any(record.levelname == "WARNING" for record in caplog.records)


def test_no_more_models_load_at_a_time_than_there_are_threads_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, *(f"m{n}/1" for n in range(6)), load_threads=2)
        await rig.manager.load_all()
        assert rig.loader.most_at_once == 2

    asyncio.run(scenario())


def test_stopping_unloads_what_is_ready_and_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path, "a/1", "a/2", "broken/1")
        await rig.manager.load_all()
        await rig.manager.stop()
        assert all(scheduler.stopped for scheduler in rig.loader.schedulers)
        assert {v.state for v in rig.manager.versions()} == {VersionState.UNAVAILABLE}
        assert [reason for *_, reason in rig.states()] == [
            "unloaded",
            "unloaded",
            "Internal: it does not load",
        ]
        with pytest.raises(ModelNotFoundError, match="has no available versions"):
            rig.manager.get("a", None)

    asyncio.run(scenario())


def test_a_model_that_is_unknown_has_no_versions(tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = Rig(tmp_path)
        assert list(rig.manager.versions("nope")) == []
        assert rig.manager.ready_models("nope") == []

    asyncio.run(scenario())
