"""The cache in a Redis server, which several servers may share. Needs the extra ``redis``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tritium.caching.entry import Entry
from tritium.caching.interface import CacheCounts, Found
from tritium.errors import InternalError, UnavailableError, UnsupportedError

logger = logging.getLogger("tritium.caching")

_PREFIX = b"tritium:"
_PAUSE_NS = 1_000_000_000  # how long nothing is asked after a failure: no request waits for a dead store


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where the Redis server is. Times in milliseconds."""

    host: str
    port: int = 6379
    user: str | None = None
    password: str | None = None
    db: int = 0
    connect_timeout_ms: int = 1000
    socket_timeout_ms: int = 1000
    pool_size: int = 16
    tls: bool = False


class RedisCache:
    """A ResponseCache. What Redis cannot do now is a miss, never an error of a request."""

    shared = True
    entries = None
    utilisation = None

    def __init__(self, settings: RedisSettings, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.counts = CacheCounts()
        self._settings = settings
        self._now_ns = now_ns
        self._client: Any = None  # redis.asyncio.Redis, whose commands have no types
        self._paused_until_ns = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def lookup(self, key: bytes, found: Found) -> None:
        """Ask Redis; ``found`` is called later, or at once while Redis is not to be asked."""
        self.counts.lookups += 1
        if self._paused:
            found(None)
        else:
            self._start(self._lookup(key, found))

    def at_hand(self, key: bytes) -> Entry | None:
        """None: everything is with Redis."""
        return None

    async def _lookup(self, key: bytes, found: Found) -> None:
        began_ns = self._now_ns()
        entry = None
        data = await self._ask("GET", _PREFIX + key)
        if isinstance(data, bytes):
            try:
                entry = Entry.decode(data)
            except InternalError as error:
                logger.warning("%s; it is computed anew", error)
        self.counts.hits += entry is not None
        self.counts.lookup_ns += self._now_ns() - began_ns
        found(entry)

    def insert(self, key: bytes, entry: Entry) -> None:
        """Send ``entry`` to Redis, in the background."""
        if not self._paused:
            self._start(self._insert(key, entry))

    async def _insert(self, key: bytes, entry: Entry) -> None:
        began_ns = self._now_ns()
        await self._ask("SET", _PREFIX + key, entry.encode())
        self.counts.insertion_ns += self._now_ns() - began_ns

    async def open(self) -> None:
        """Connect.

        Raises:
            UnsupportedError: the package redis is missing.
            UnavailableError: Redis does not answer, or refuses.
        """
        try:
            from redis.asyncio import BlockingConnectionPool, Redis
            from redis.asyncio.connection import Connection, SSLConnection
            from redis.exceptions import RedisError
        except ImportError as error:
            raise UnsupportedError(
                "the Redis cache needs the package redis; install it: pip install 'tritium-server[redis]'"
            ) from error
        settings = self._settings
        pool = BlockingConnectionPool(
            max_connections=settings.pool_size,
            timeout=settings.socket_timeout_ms / 1000,
            connection_class=SSLConnection if settings.tls else Connection,
            host=settings.host,
            port=settings.port,
            username=settings.user,
            password=settings.password,
            db=settings.db,
            socket_connect_timeout=settings.connect_timeout_ms / 1000,
            socket_timeout=settings.socket_timeout_ms / 1000,
        )
        self._client = Redis(connection_pool=pool)
        try:
            await self._client.execute_command("PING")
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            raise UnavailableError(
                f"cannot reach the Redis server of the response cache at {settings.host}:{settings.port}: "
                f"{error}; check --cache-config=redis,... and that the server runs"
            ) from error

    async def close(self) -> None:
        """Let what was sent arrive, and disconnect."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._client is not None:
            await self._client.connection_pool.disconnect()
            self._client = None

    @property
    def _paused(self) -> bool:
        return self._client is None or self._now_ns() < self._paused_until_ns

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="redis-cache")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, *command: str | bytes) -> object:
        """The reply of Redis, or None if there is none."""
        from redis.exceptions import RedisError

        try:
            return await self._client.execute_command(*command)
        except (RedisError, OSError, TimeoutError) as error:
            if not self._paused:
                self._paused_until_ns = self._now_ns() + _PAUSE_NS
                logger.warning("the Redis server of the response cache fails, requests go past it: %s", error)
            return None
