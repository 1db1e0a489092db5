"""Ensembles in a repository: what they load, when they go, and when they come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.unit.repository.test_control import begun, failure, run, unloaded, until
from tests.unit.repository.test_manager import Rig
from tritium.errors import ModelNotFoundError

TENSORS = """
max_batch_size: 8
input { name: "IN" data_type: TYPE_FP32 dims: -1 }
output { name: "OUT" data_type: TYPE_FP32 dims: -1 }
"""
INT_MODEL = 'backend: "python"' + TENSORS.replace("FP32", "INT32")
DECOUPLED = 'backend: "python" model_transaction_policy { decoupled: true }' + TENSORS


def ensemble(*models: str, version: int = -1, more: str = "") -> str:
    """A chain of these models."""
    tensors = ["IN", *(f"t{place}" for place in range(len(models) - 1)), "OUT"]
    steps = "".join(
        f'step {{ model_name: "{name}" model_version: {version} '
        f'input_map {{ key: "IN" value: "{tensors[place]}" }} '
        f'output_map {{ key: "OUT" value: "{tensors[place + 1]}" }} }}'
        for place, name in enumerate(models)
    )
    return f'platform: "ensemble" {TENSORS} ensemble_scheduling {{ {steps} {more} }}'


def write(root: Path, **configs: str) -> None:
    for name, config in configs.items():
        (root / name / "1").mkdir(parents=True, exist_ok=True)
        (root / name / "config.pbtxt").write_text(config)


def states(rig: Rig) -> dict[str, str]:
    """The last known state of each model."""
    return {name: state for name, _, state, _ in rig.states()}


def check(root: Path, scenario: Callable[[Rig], Awaitable[None]], *models: str, **configs: str) -> None:
    write(root, **configs)
    run(scenario, root, *models)


def test_an_ensemble_loads_what_it_needs_before_itself(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("e")
        assert states(rig) == {"a": "READY", "b": "READY", "e": "READY"}
        loaded = rig.manager.get("e", None)
        assert loaded.config.is_ensemble
        assert [m.model.config.name for m in loaded.scheduler.members] == ["a", "b"]  # type: ignore[attr-defined]

    check(tmp_path, scenario, "a/1", "b/1", "c/1", e=ensemble("a", "b"))


def test_at_start_every_model_is_loaded_once_whichever_comes_first(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path, "a/1", "b/1", load_threads=1)
        await asyncio.wait_for(rig.manager.load_all(), 30)
        assert set(states(rig).values()) == {"READY"}
        assert sorted(rig.loader.loads) == ["a", "b"]
        await rig.manager.stop()

    write(tmp_path, a0=ensemble("a", "b"), z=ensemble("a0", "b"))
    asyncio.run(main())


def test_a_model_that_goes_takes_its_ensembles_along_and_brings_them_back(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("outer")
        await rig.manager.unload("b")
        with pytest.raises(ModelNotFoundError):
            rig.manager.get("outer", None)
        await unloaded(rig)
        assert states(rig) == {"a": "READY", "b": "UNAVAILABLE", "e": "UNAVAILABLE", "outer": "UNAVAILABLE"}
        reasons = {name: reason for name, _, _, reason in rig.states()}
        assert reasons["e"] == "unloaded: ensemble 'e' depends on 'b' which has no loaded version."
        await rig.manager.load("b")
        assert set(states(rig).values()) == {"READY"}

    check(tmp_path, scenario, "a/1", "b/1", e=ensemble("a", "b"), outer=ensemble("e"))


def test_a_new_generation_of_a_model_is_used_at_once(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("e")
        before = rig.manager.get("e", None)
        (tmp_path / "a/1/new").touch()
        await rig.manager.load("a")
        after = rig.manager.get("e", None)
        assert after is not before
        members = after.scheduler.members  # type: ignore[attr-defined]
        assert members[0].model is rig.manager.get("a", None)
        await unloaded(rig)
        assert [s.stopped for s in rig.loader.schedulers] == [True, False]

    check(tmp_path, scenario, "a/1", e=ensemble("a"))


def test_an_ensemble_that_is_loaded_and_unchanged_is_left_alone(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("e")
        before = rig.manager.get("e", None)
        await rig.manager.load("e")
        assert rig.manager.get("e", None) is before
        assert rig.loader.loads == ["a"]

    check(tmp_path, scenario, "a/1", e=ensemble("a"))


def test_a_model_that_no_longer_fits_takes_its_ensemble_out_of_service(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("e")
        write(tmp_path, a=INT_MODEL)
        await rig.manager.load("a")
        await unloaded(rig)
        (reason,) = [reason for name, _, _, reason in rig.states() if name == "e"]
        assert reason.startswith("unloaded: in ensemble e, ensemble tensor IN: inconsistent data type")

    check(tmp_path, scenario, "a/1", e=ensemble("a"))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (ensemble("nowhere"), "ensemble e contains models that are not available or ambiguous: nowhere"),
        (ensemble("broken"), "ensemble 'e' depends on 'broken' which has no loaded version. Model 'broken' "),
        (ensemble("broken"), "with error: version 1 is at UNAVAILABLE state: Internal: it does not load;"),
        (ensemble("a", version=7), "ensemble 'e' depends on 'a' whose required version 7 is not loaded."),
        (ensemble("number"), "inconsistent data type: TYPE_FP32 is inferred from model e while TYPE_INT32"),
        (ensemble("e"), "circular dependency between ensembles: e -> e"),
        (ensemble("f"), "circular dependency between ensembles: f -> e -> f"),
        (ensemble("stream", "stream", more="max_inflight_requests: 2"), "so it would wait for itself"),
    ],
)
def test_an_ensemble_that_cannot_work_says_why(tmp_path: Path, config: str, text: str) -> None:
    async def scenario(rig: Rig) -> None:
        told = await failure(rig.manager.load("e"))
        assert told.startswith("load failed for model 'e': ")
        assert text in told
        assert "e" not in states(rig)
        assert text in rig.manager.failures["e"]

    check(
        tmp_path, scenario, "a/1", "broken/1", e=config, f=ensemble("e"), number=INT_MODEL, stream=DECOUPLED
    )


def test_an_ensemble_that_failed_serves_as_soon_as_its_models_do(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await failure(rig.manager.load("e"))
        (tmp_path / "late/1").mkdir(parents=True)
        await rig.manager.load("late")
        assert states(rig) == {"e": "READY", "late": "READY"}
        assert rig.manager.failures == {}

    check(tmp_path, scenario, e=ensemble("late"))


def test_an_ensemble_that_was_unloaded_does_not_come_back_by_itself(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("e")
        await rig.manager.unload("e")
        await rig.manager.unload("a")
        await rig.manager.load("a")
        await unloaded(rig)
        assert states(rig) == {"a": "READY", "e": "UNAVAILABLE"}

    check(tmp_path, scenario, "a/1", e=ensemble("a"))


def test_a_failed_reload_leaves_the_old_ensemble_serving(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("e")
        before = rig.manager.get("e", None)
        write(tmp_path, e=ensemble("nowhere"))
        await failure(rig.manager.load("e"))
        assert rig.manager.get("e", None) is before

    check(tmp_path, scenario, "a/1", e=ensemble("a"))


def test_unloading_dependents_leaves_what_was_asked_for_or_is_still_needed(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("own")
        await rig.manager.load("outer")
        await rig.manager.load("other")
        await rig.manager.unload("outer", dependents=True)
        await unloaded(rig)
        assert states(rig) == {
            "own": "READY",
            "shared": "READY",
            "other": "READY",
            "brought": "UNAVAILABLE",
            "e": "UNAVAILABLE",
            "outer": "UNAVAILABLE",
        }

    configs = {
        "e": ensemble("own", "shared", "brought"),
        "outer": ensemble("e"),
        "other": ensemble("shared"),
    }
    check(tmp_path, scenario, "own/1", "shared/1", "brought/1", **configs)


def test_without_dependents_only_the_ensemble_goes(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("e")
        await rig.manager.unload("e")
        await unloaded(rig)
        assert states(rig) == {"a": "READY", "e": "UNAVAILABLE"}

    check(tmp_path, scenario, "a/1", e=ensemble("a"))


def test_an_ensemble_is_decoupled_when_a_step_is(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("e")
        assert rig.manager.get("e", None).config.decoupled
        assert rig.manager.get("e", None).document["model_transaction_policy"] == {"decoupled": True}

    check(tmp_path, scenario, e=ensemble("stream"), stream=DECOUPLED)


def test_a_step_that_changes_while_its_ensemble_loads_is_the_one_that_is_used(tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.load("a")
        gate = rig.loader.gates["b"] = asyncio.Event()
        loading = asyncio.ensure_future(rig.manager.load("e"))
        await begun(rig, 2)
        (tmp_path / "a/1/new").touch()
        await rig.manager.load("a")
        gate.set()
        await loading
        members = rig.manager.get("e", None).scheduler.members  # type: ignore[attr-defined]
        assert members[0].model is rig.manager.get("a", None)
        await unloaded(rig)
        await until(lambda: rig.loader.schedulers[0].stopped)

    check(tmp_path, scenario, "a/1", "b/1", e=ensemble("a", "b"))
