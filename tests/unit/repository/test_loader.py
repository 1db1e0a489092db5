from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tests.unit.builders import Answers, echo_config, request, tensor
from tests.unit.repository.doubling import CONFIG, install_backend, write_model
from tritium.core.model import Model
from tritium.core.model_config import ModelInstanceGroup
from tritium.errors import ConfigError, TritiumError
from tritium.execution.cores import available_cores
from tritium.execution.launcher import Launcher
from tritium.repository.loader import LoadOptions, ModelLoader, instance_names
from tritium.repository.peers import Peers
from tritium.repository.prepare import PrepareOptions
from tritium.repository.scan import scan_model


@pytest.fixture(autouse=True)
def _doubling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_backend(tmp_path / "site", monkeypatch)


async def load(
    directory: Path, max_queue_size: int = 10
) -> tuple[dict[int, Model | TritiumError], list[int]]:
    """What came of each version, and the versions in the order in which they were begun."""
    launcher, begun = Launcher(), list[int]()
    try:
        loader = ModelLoader(LoadOptions(PrepareOptions(), max_queue_size, 5.0), launcher, Peers())
        entry = scan_model(directory)
        return await loader.load(entry, await loader.draft(entry), begun.append), begun
    finally:
        launcher.close()


async def loaded(directory: Path, max_queue_size: int = 10) -> Model:
    (result,) = (await load(directory, max_queue_size))[0].values()
    assert isinstance(result, Model), result
    return result


def test_a_model_that_is_loaded_serves_and_stops(tmp_path: Path) -> None:
    async def scenario() -> None:
        model = await loaded(write_model(tmp_path, "m"))
        assert (model.config.name, model.version, model.is_ready(), model.restarts()) == ("m", 1, True, {})
        assert model.document["backend"] == "doubling"
        answers = Answers()
        model.enqueue(request(tensor([[3.0]]), answers=answers), 0)
        await model.scheduler.stop()
        assert answers.responses[0].outputs[0].array().tolist() == [[6.0]]

    asyncio.run(scenario())


def test_versions_are_loaded_one_by_one_and_each_has_its_own_result(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = CONFIG + "version_policy { all {} }"
        write_model(tmp_path, "m", config, broken=True)
        directory = write_model(tmp_path, "m", config, version=2)
        results, begun = await load(directory)
        assert begun == [1, 2]
        assert str(results[1]) == "the model is broken"
        good = results[2]
        assert isinstance(good, Model)
        await good.scheduler.stop()

    asyncio.run(scenario())


def test_a_model_is_warm_before_it_is_loaded(tmp_path: Path) -> None:
    async def scenario() -> None:
        sample = 'inputs { key: "IN" value { data_type: TYPE_FP32 dims: 1 random_data: true } }'
        warmup = f'model_warmup {{ name: "w" batch_size: 2 count: 3 {sample} }}'
        model = await loaded(write_model(tmp_path, "m", CONFIG + warmup))
        assert (model.statistics.inference_count, model.statistics.execution_count) == (6, 3)
        await model.scheduler.stop()

    asyncio.run(scenario())


def test_a_model_whose_warm_up_fails_is_not_loaded(tmp_path: Path) -> None:
    async def scenario() -> None:
        warmup = 'model_warmup { name: "w" batch_size: 1 }'
        before = threading.enumerate()
        results, _ = await load(write_model(tmp_path, "m", CONFIG + warmup))
        assert "expected 1 inputs but got 0 inputs for model 'm'" in str(results[1])
        for thread in threading.enumerate():
            if thread not in before and "m_0" in thread.name:
                thread.join(30)  # it has closed its model and is about to end
                assert not thread.is_alive()

    asyncio.run(scenario())


def test_a_configuration_that_cannot_be_read_begins_no_version(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(ConfigError):
            await load(write_model(tmp_path, "m", "no such field: 1"))

    asyncio.run(scenario())


def test_a_time_limit_needs_an_execution_that_can_be_ended(tmp_path: Path) -> None:
    config = CONFIG + 'parameters { key: "TRITIUM_EXECUTION_TIMEOUT_SECS" value { string_value: "1" } }'

    async def scenario() -> None:
        results, _ = await load(write_model(tmp_path, "m", config))
        assert "runs in threads, which cannot be ended; remove the parameter" in str(results[1])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("batching", "max_queue_size", "accepted"),
    [
        ("", 2, 2),
        ("dynamic_batching { max_queue_delay_microseconds: 50 }", 2, 2),
        ("dynamic_batching { default_queue_policy { max_queue_size: 3 } }", 2, 3),
    ],
)
def test_queues_are_bounded_by_the_configuration_or_else_by_the_server(
    tmp_path: Path, batching: str, max_queue_size: int, accepted: int
) -> None:
    async def scenario() -> None:
        model = await loaded(write_model(tmp_path, "m", CONFIG + batching), max_queue_size)
        model.enqueue(request(tensor([[1.0]])), 0)
        await asyncio.sleep(0)  # it leaves the queue
        for _ in range(accepted - model.scheduler.pending):
            model.enqueue(request(tensor([[1.0]])), 0)
        with pytest.raises(TritiumError, match="Exceeds maximum queue size"):
            model.enqueue(request(tensor([[1.0]])), 0)
        await model.scheduler.stop()

    asyncio.run(scenario())


def test_instances_are_named_by_their_group_and_number() -> None:
    groups = (ModelInstanceGroup("a", count=2), ModelInstanceGroup("b", count=1))
    assert instance_names(echo_config(instance_group=groups)) == ["a_0", "a_1", "b_0"]


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1
