from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from tritium.errors import UnavailableError
from tritium.repository.manager import ModelRepositoryManager
from tritium.repository.peers import Peers


class NotingManager:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def load(self, name: str, parameters: Mapping[str, object], *, within_load_of: str | None) -> None:
        self.asked.append((name, parameters, within_load_of))

    async def unload(self, name: str, *, dependents: bool, within_load_of: str | None) -> None:
        self.asked.append((name, dependents, within_load_of))


def test_a_model_may_load_and_unload_others() -> None:
    async def scenario() -> None:
        manager, peers = NotingManager(), Peers()
        peers.bind(cast(ModelRepositoryManager, manager))
        await peers.load("a", "", {})
        await peers.load("a", "{}", {"file:1/model.py": b"x"}, within_load_of="b")
        await peers.unload("a", dependents=True)
        assert manager.asked == [
            ("a", {}, None),
            ("a", {"config": "{}", "file:1/model.py": b"x"}, "b"),
            ("a", True, None),
        ]

    asyncio.run(scenario())


def test_nothing_is_loaded_before_the_server_has_models() -> None:
    with pytest.raises(UnavailableError, match="the server is starting"):
        asyncio.run(Peers().load("a", "", {}))
