"""Loading and unloading by request: the second half of ``ModelRepositoryManager``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.unit.repository.test_manager import Rig
from tritium.core.model import Model
from tritium.errors import InvalidArgumentError, ModelNotFoundError, TritiumError, UnavailableError
from tritium.repository.load_error import LoadFailedError, LoadRefusedError
from tritium.repository.versions import NoVersionError

POLL_FAILED = "failed to load '{}', failed to poll from model repository"


def run(scenario: Callable[[Rig], Awaitable[None]], root: Path, *models: str) -> None:
    """``scenario`` over a server under explicit control; models that are left are stopped."""

    async def main() -> None:
        rig = Rig(root, *models, explicit=True)
        try:
            await asyncio.wait_for(scenario(rig), 30)
        finally:
            for gate in rig.loader.gates.values():
                gate.set()
            await rig.manager.stop()

    asyncio.run(main())


async def failure(operation: Awaitable[None]) -> str:
    with pytest.raises(LoadFailedError) as caught:
        await operation
    return str(caught.value)


async def turn() -> None:
    await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Other tasks and threads go on until ``condition`` holds; ``run`` bounds how long."""
    while not condition():
        await turn()


async def begun(rig: Rig, count: int) -> None:
    await until(lambda: len(rig.loader.loads) >= count)


async def unloaded(rig: Rig) -> None:
    await until(lambda: not any(state == "UNLOADING" for _, _, state, _ in rig.states()))


def test_models_come_and_go_by_request(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load_all([])
        assert rig.states() == []
        await rig.manager.load("a")
        assert rig.manager.get("a", None).version == 1
        await rig.manager.unload("a")
        with pytest.raises(ModelNotFoundError, match="'a' has no available versions"):
            rig.manager.get("a", None)
        await unloaded(rig)
        assert rig.states() == [("a", 1, "UNAVAILABLE", "unloaded")]
        await rig.manager.load("a")
        assert rig.states() == [("a", 1, "READY", "")]

    run(scenario, tmp_path / "r", "a/1", "b/1")


def test_without_explicit_control_requests_are_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        manager = Rig(tmp_path, "a/1").manager
        with pytest.raises(LoadRefusedError):
            await manager.load("a")
        with pytest.raises(LoadRefusedError):
            await manager.unload("a")

    asyncio.run(scenario())


def test_a_model_that_serves_and_is_unchanged_is_not_loaded_again(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        for _ in range(3):
            await rig.manager.load("a")
        assert rig.loader.loads == ["a"]
        (tmp_path / "r" / "a" / "1" / "file").touch()
        await rig.manager.load("a")
        assert rig.loader.loads == ["a", "a"]

    run(scenario, tmp_path / "r", "a/1")


def test_a_new_generation_is_complete_before_it_replaces_the_old_one(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("a")
        old = rig.manager.get("a", None)
        rig.loader.gates["a"] = asyncio.Event()
        (tmp_path / "r" / "a" / "2").mkdir()
        loading = asyncio.ensure_future(rig.manager.load("a"))
        await begun(rig, 2)
        assert rig.manager.get("a", None) is old
        assert rig.states() == [("a", 1, "READY", "")]
        rig.loader.gates["a"].set()
        await loading
        assert rig.manager.get("a", None).version == 2

    run(scenario, tmp_path / "r", "a/1")


def test_the_old_generation_drains_before_it_is_unloaded(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("a")
        rig.manager.get("a", None).hold()
        old = rig.manager.get("a", None)
        (tmp_path / "r" / "a" / "1" / "file").touch()
        await rig.manager.load("a")
        await turn()
        assert rig.states() == [("a", 1, "UNLOADING", ""), ("a", 1, "READY", "")]
        assert [scheduler.stopped for scheduler in rig.loader.schedulers] == [False, False]
        old.release()
        await unloaded(rig)
        assert [scheduler.stopped for scheduler in rig.loader.schedulers] == [True, False]
        assert rig.states() == [("a", 1, "READY", "")]

    run(scenario, tmp_path / "r", "a/1")


def test_a_version_that_is_no_longer_there_stays_listed_as_unloaded(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("a")
        (tmp_path / "r" / "a" / "1").rename(tmp_path / "r" / "a" / "2")
        for _ in range(3):
            (tmp_path / "r" / "a" / "2" / "file").write_text("x" * len(rig.loader.loads))
            await rig.manager.load("a")
        await unloaded(rig)
        assert rig.states() == [("a", 1, "UNAVAILABLE", "unloaded"), ("a", 2, "READY", "")]

    run(scenario, tmp_path / "r", "a/1")


def test_a_load_that_fails_leaves_what_serves_with_the_reason(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("a")
        old = rig.manager.get("a", None)
        (tmp_path / "r" / "a" / "2").mkdir()
        (tmp_path / "r" / "a" / "1" / "broken").touch()
        text = "load failed for model 'a': version 1 is at UNAVAILABLE state: Internal: it does not load;"
        assert await failure(rig.manager.load("a")) == f"{text}\n"
        assert rig.manager.get("a", None) is old
        assert rig.states() == [("a", 1, "READY", text)]
        await until(lambda: rig.loader.schedulers[1].stopped)
        (tmp_path / "r" / "a" / "1" / "broken").unlink()
        await rig.manager.load("a")
        await unloaded(rig)
        assert rig.states() == [("a", 1, "READY", ""), ("a", 2, "READY", "")]

    run(scenario, tmp_path / "r", "a/1")


def test_a_first_load_that_fails_in_part_serves_what_it_can(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        assert "version 13 is at UNAVAILABLE state" in await failure(rig.manager.load("a"))
        assert rig.states() == [
            ("a", 1, "READY", ""),
            ("a", 13, "UNAVAILABLE", "Internal: it does not load"),
        ]
        assert rig.manager.get("a", None).version == 1

    run(scenario, tmp_path / "r", "a/1", "a/13")


def test_a_failure_is_tried_again_and_forgotten_when_it_is_unloaded(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        for _ in range(2):
            await failure(rig.manager.load("broken"))
        assert rig.loader.loads == ["broken", "broken"]
        await rig.manager.unload("broken")
        assert rig.states() == [("broken", 1, "UNAVAILABLE", "unloaded")]

    run(scenario, tmp_path / "r", "broken/1")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nope", POLL_FAILED.format("nope")),
        ("badconfig", POLL_FAILED.format("badconfig") + ": the configuration is odd"),
        (".hidden", POLL_FAILED.format(".hidden")),
        ("empty", f"load failed for model 'empty': {NoVersionError('empty')}\n"),
    ],
)
def test_what_cannot_be_tried_is_told_in_tritons_words(tmp_path: Path, name: str, text: str) -> None:
    async def scenario(rig: Rig) -> None:
        assert await failure(rig.manager.load(name)) == text
        assert rig.states() == []

    run(scenario, tmp_path / "r", "badconfig/1", "empty", ".hidden/1")


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\\b", "../root", "a\0b", "x" * 300])
def test_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(InvalidArgumentError, match="odel name"):
            await rig.manager.load(name)
        await rig.manager.unload(name)

    run(scenario, tmp_path / "root" / "r", "a/1")


def test_the_index_lists_the_whole_repository_and_follows_the_disk(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("a")
        await failure(rig.manager.load("badconfig"))
        (tmp_path / "r" / "late").mkdir()
        found = await rig.manager.index()
        assert [(e.name, e.version) for e in found] == [
            ("a", 1),
            ("b", None),
            ("badconfig", None),
            ("late", None),
        ]
        assert [e.name for e in await rig.manager.index(ready_only=True)] == ["a"]

    run(scenario, tmp_path / "r", "a/1", "b/1", "badconfig/1")


def test_a_slow_load_keeps_no_other_model_waiting(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        rig.loader.gates["slow"] = asyncio.Event()
        slow = asyncio.ensure_future(rig.manager.load("slow"))
        await begun(rig, 1)
        await rig.manager.load("a")
        await rig.manager.unload("a")
        assert not slow.done()
        rig.loader.gates["slow"].set()
        await slow

    run(scenario, tmp_path / "r", "slow/1", "a/1")


def test_an_unload_that_comes_during_a_load_happens_after_it(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        rig.loader.gates["a"] = asyncio.Event()
        loading = asyncio.ensure_future(rig.manager.load("a"))
        await begun(rig, 1)
        unloading = asyncio.ensure_future(rig.manager.unload("a"))
        await turn()
        assert not unloading.done()
        rig.loader.gates["a"].set()
        await asyncio.gather(loading, unloading)
        await unloaded(rig)
        assert rig.states() == [("a", 1, "UNAVAILABLE", "unloaded")]

    run(scenario, tmp_path / "r", "a/1")


def test_many_loads_of_one_model_are_one(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await asyncio.gather(*(rig.manager.load("a") for _ in range(50)))
        assert rig.loader.loads == ["a"]

    run(scenario, tmp_path / "r", "a/1")


def test_loads_and_unloads_in_any_order_end_in_a_state_that_is_one(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        operations = [
            rig.manager.load("a") if number % 3 else rig.manager.unload("a") for number in range(60)
        ]
        await asyncio.gather(*operations)
        await rig.manager.load("a")
        await unloaded(rig)
        assert rig.states() == [("a", 1, "READY", "")]
        assert sum(not scheduler.stopped for scheduler in rig.loader.schedulers) == 1

    run(scenario, tmp_path / "r", "a/1")


def test_a_load_goes_on_when_its_caller_goes_away(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        rig.loader.gates["a"] = asyncio.Event()
        loading = asyncio.ensure_future(rig.manager.load("a"))
        await begun(rig, 1)
        loading.cancel()
        await asyncio.wait([loading])
        rig.loader.gates["a"].set()
        await rig.manager.load("a")
        assert rig.loader.loads == ["a"]

    run(scenario, tmp_path / "r", "a/1")


def test_a_server_that_stops_gives_up_loads_and_takes_no_more(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        rig.loader.gates["a"] = asyncio.Event()
        await rig.manager.load("b")
        loading = asyncio.ensure_future(rig.manager.load("a"))
        await begun(rig, 2)
        await rig.manager.stop()
        assert isinstance((await asyncio.gather(loading, return_exceptions=True))[0], asyncio.CancelledError)
        assert {state for _, _, state, _ in rig.states()} == {"UNAVAILABLE"}
        with pytest.raises(UnavailableError, match="the server is stopping"):
            await rig.manager.load("b")

    run(scenario, tmp_path / "r", "a/1", "b/1")


# -- overrides --


def written(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "temporary").iterdir()]


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


FILES: dict[str, object] = {"config": "{}", "file:5/model.py": b"x"}


def test_a_configuration_that_a_request_brings_is_kept_while_the_directory_is_unchanged(
    tmp_path: Path,
) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("a")
        await rig.manager.load("a", {"config": "{}"})
        assert rig.loader.loads == ["a", "a"]
        kept: Model = rig.manager.get("a", None)
        await rig.manager.load("a")
        assert rig.manager.get("a", None) is kept

    run(scenario, tmp_path / "r", "a/1")


def test_files_that_a_request_brings_are_the_model_until_it_is_unloaded(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("new", FILES)
        assert rig.manager.get("new", None).version == 5
        assert await rig.manager.index() == []  # as Triton: it is in no repository
        assert len(written(tmp_path)) == 1
        assert await failure(rig.manager.load("new")) == POLL_FAILED.format("new")
        assert rig.manager.get("new", None).version == 5
        await rig.manager.unload("new")
        await until(lambda: not written(tmp_path))

    (tmp_path / "r").mkdir()
    run(scenario, tmp_path / "r")


def test_a_plain_load_returns_to_the_directory(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("a")
        await rig.manager.load("a", FILES)
        await unloaded(rig)
        assert rig.states() == [("a", 1, "UNAVAILABLE", "unloaded"), ("a", 5, "READY", "")]
        await rig.manager.load("a")
        await unloaded(rig)
        assert rig.states() == [("a", 1, "READY", ""), ("a", 5, "UNAVAILABLE", "unloaded")]
        await until(lambda: not written(tmp_path))

    run(scenario, tmp_path / "r", "a/1")


def test_files_of_a_load_that_fails_are_removed(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await failure(rig.manager.load("broken", FILES))
        await failure(rig.manager.load("badconfig", FILES))
        await rig.manager.load("a")
        await failure(rig.manager.load("a", {**FILES, "file:5/broken": b"", "file:6/x": b""}))
        assert rig.manager.get("a", None).version == 1
        await until(lambda: not written(tmp_path))
        assert rig.manager.failures == {}

    run(scenario, tmp_path / "r", "a/1")


def test_files_are_removed_when_the_server_stops(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("new", FILES)

    (tmp_path / "r").mkdir()
    run(scenario, tmp_path / "r")
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"foo": "1"}, "unrecognized load parameter 'foo'."),
        ({"file:1/x": b""}, POLL_FAILED.format("a") + ": files are given without a configuration"),
        ({"config": "{}", "file:../x": b""}, POLL_FAILED.format("a") + ": 'file:../x' of the load request"),
    ],
)
def test_parameters_that_are_none_change_nothing(
    tmp_path: Path, parameters: dict[str, object], text: str
) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(TritiumError) as caught:
            await rig.manager.load("a", parameters)
        assert str(caught.value).startswith(text)
        assert rig.states() == []
        assert written(tmp_path) == []

    run(scenario, tmp_path / "r", "a/1")
