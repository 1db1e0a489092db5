"""The Redis cache against a real Redis server, on an event loop of each test."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.redis import RedisServer, needs_redis, redis_server
from tests.unit.builders import tensor
from tritium.caching.entry import Entry
from tritium.caching.redis_store import RedisCache, RedisSettings
from tritium.core.response import InferenceResponse
from tritium.errors import UnavailableError

pytestmark = needs_redis

ENTRY = Entry.of(InferenceResponse([tensor([1.0, 2.0], "OUT")], parameters={"a": 1}))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), "--requirepass", "secret") as server:
        yield server


class Clock:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def cache_of(redis: RedisServer, clock: Clock | None = None, **rest: Any) -> RedisCache:
    settings = RedisSettings(**{"host": "127.0.0.1", "port": redis.port, "password": "secret", **rest})
    return RedisCache(settings, clock or Clock())


async def found(cache: RedisCache, key: bytes) -> Entry | None:
    answer: asyncio.Future[Entry | None] = asyncio.get_running_loop().create_future()
    cache.lookup(key, answer.set_result)
    return await asyncio.wait_for(answer, 30)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_what_one_server_keeps_another_finds(redis: RedisServer) -> None:
    async def work() -> None:
        one, two = cache_of(redis), cache_of(redis)
        await one.open()
        await two.open()
        assert await found(one, b"shared") is None
        one.insert(b"shared", ENTRY)
        await one.close()
        assert await found(two, b"shared") == ENTRY
        assert (two.counts.lookups, two.counts.hits) == (1, 1)
        await two.close()

    run(work())


def test_a_value_that_is_no_entry_is_a_miss(redis: RedisServer) -> None:
    async def work() -> None:
        cache = cache_of(redis)
        await cache.open()
        await cache._client.execute_command("SET", b"tritium:bad", b"nonsense")
        assert await found(cache, b"bad") is None
        await cache.close()

    run(work())


@pytest.mark.parametrize("wrong", [{"password": "guess"}, {"port": 1}])
def test_a_server_that_cannot_be_reached_or_refuses_is_an_error_at_the_start(
    redis: RedisServer, wrong: dict[str, Any]
) -> None:
    async def work() -> None:
        with pytest.raises(
            UnavailableError, match="cannot reach the Redis server of the response cache"
        ) as e:
            await cache_of(redis, **wrong).open()
        assert "guess" not in str(e.value)

    run(work())


def test_a_server_that_fails_costs_one_wait_and_is_asked_again_later(tmp_path: Path) -> None:
    async def work() -> None:
        clock = Clock()
        with redis_server(tmp_path) as own:
            cache = cache_of(own, clock, password=None)
            await cache.open()
            cache.insert(b"k", ENTRY)
            own.stop()
            assert await found(cache, b"k") is None
            answers: list[Entry | None] = []
            cache.lookup(b"k", answers.append)
            assert answers == [None]  # at once: nobody waits for what has just failed
            own.start()
            clock.ns += 2_000_000_000
            cache.insert(b"k", ENTRY)
            for _ in range(100):
                if await found(cache, b"k") == ENTRY:
                    break
                clock.ns += 2_000_000_000
                cache.insert(b"k", ENTRY)
            assert await found(cache, b"k") == ENTRY
            await cache.close()

    run(work())
