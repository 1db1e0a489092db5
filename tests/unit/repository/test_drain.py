from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.builders import FakeScheduler, model
from tritium.repository.drain import Drains
from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.tracked import Generation


class FailingScheduler(FakeScheduler):
    async def stop(self) -> None:
        raise RuntimeError("it does not stop")


def generation(*versions: ModelVersion, files: Path | None = None) -> Generation:
    return Generation(None, files, {version.version: version for version in versions})


def ready(number: int, scheduler: FakeScheduler | None = None) -> ModelVersion:
    return ModelVersion("m", number, VersionState.READY, model=model(scheduler=scheduler))


def test_what_is_ready_is_unloaded_and_its_files_are_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        scheduler, drains = FakeScheduler(), Drains()
        failed = ModelVersion("m", 2, VersionState.UNAVAILABLE, "broken")
        leaving = generation(ready(1, scheduler), failed, files=tmp_path / "files")
        drains.start(leaving)
        assert [v.state.value for v in leaving.versions.values()] == ["UNLOADING", "UNAVAILABLE"]
        await drains.finish()
        assert scheduler.stopped
        assert [v.reason for v in leaving.versions.values()] == ["unloaded", "broken"]
        assert not (tmp_path / "files").exists()

    (tmp_path / "files").mkdir()
    asyncio.run(scenario())


def test_a_model_that_does_not_stop_keeps_no_other_from_being_unloaded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        drains, leaving = Drains(), generation(ready(1, FailingScheduler()), ready(2))
        drains.start(leaving)
        await drains.finish()
        assert {v.state for v in leaving.versions.values()} == {VersionState.UNAVAILABLE}

    asyncio.run(scenario())
    assert "unloading 'm' version 1 failed" in caplog.text


def test_what_is_gone_already_is_not_drained_again() -> None:
    async def scenario() -> None:
        drains, leaving = Drains(), generation(ready(1))
        drains.start(leaving)
        drains.start(leaving)
        await drains.finish()
        drains.start(leaving)
        await drains.finish()

    asyncio.run(scenario())
