from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from tests.unit.builders import FakeScheduler, model, request
from tritium.core.model import Model
from tritium.errors import ModelNotFoundError
from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.manager import ModelRepositoryManager
from tritium.server import EXTENSIONS, InferenceServer, product_version


class Models:
    """As much of a manager as the server asks."""

    def __init__(self, *versions: ModelVersion) -> None:
        self._versions = versions

    def versions(self, name: str | None = None) -> Iterator[ModelVersion]:
        yield from self._versions

    def get(self, name: str, version: int | None) -> Model:
        for found in self._versions:
            if found.name == name and found.model is not None and version in (None, found.version):
                return found.model
        raise ModelNotFoundError(name, version)


def server(*versions: ModelVersion, strict: bool = True, accepting: bool = True) -> InferenceServer:
    made = InferenceServer(
        cast(ModelRepositoryManager, Models(*versions)), server_id="triton", strict_readiness=strict
    )
    if accepting:
        made.open()
    return made


def version(state: VersionState, reason: str = "", *, ready: bool = True) -> ModelVersion:
    return ModelVersion("echo", 1, state, reason, model(ready=ready))


def test_a_server_says_who_it_is() -> None:
    assert (server().id, server().version, server().extensions) == ("triton", product_version(), EXTENSIONS)
    assert product_version()


def test_a_server_is_ready_between_opening_and_closing() -> None:
    one, seen = server(accepting=False), []
    seen.append(one.ready)
    one.open()
    seen.append(one.ready)
    one.close()
    seen.append(one.ready)
    assert seen == [False, True, False]


@pytest.mark.parametrize(
    ("state", "reason", "strict", "ready"),
    [
        (VersionState.READY, "", True, True),
        (VersionState.UNAVAILABLE, "unloaded", True, True),
        (VersionState.UNAVAILABLE, "Internal: broken", True, False),
        (VersionState.LOADING, "", True, True),
        (VersionState.UNLOADING, "", True, True),
        (VersionState.UNAVAILABLE, "Internal: broken", False, True),
    ],
)
def test_strict_readiness_wants_every_model_that_was_to_load(
    state: VersionState, reason: str, strict: bool, ready: bool
) -> None:
    assert server(version(VersionState.READY), version(state, reason), strict=strict).ready is ready


def test_a_worker_that_restarts_shows_in_its_models_readiness_only() -> None:
    one = server(version(VersionState.READY, ready=False))
    assert one.ready
    assert not one.model_ready("echo")


def test_a_model_is_ready_by_name_and_version() -> None:
    one = server(version(VersionState.READY))
    asked = [("echo", None), ("echo", 1), ("echo", 2), ("nope", None)]
    assert [one.model_ready(*what) for what in asked] == [True, True, False, False]


def test_a_model_that_is_not_there_is_not_found() -> None:
    with pytest.raises(ModelNotFoundError):
        server().model("nope")


def test_an_inference_is_stamped_and_queued() -> None:
    scheduler = FakeScheduler()
    one = request()
    server().infer(model(scheduler=scheduler), one)
    assert scheduler.requests == [one]
    assert one.arrival_ns > 0
