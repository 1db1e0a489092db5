"""``--cache-config <cache>,<setting>=<value>``: which cache, and how it is set up."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from tritium.caching.interface import ResponseCache
from tritium.caching.local import LocalCache
from tritium.caching.redis_store import RedisCache, RedisSettings
from tritium.errors import InvalidArgumentError

LOCAL = "local"
REDIS = "redis"
MIN_LOCAL_BYTES = 1024
USER_VARIABLE = "TRITONCACHE_REDIS_USERNAME"  # Triton's names
PASSWORD_VARIABLE = "TRITONCACHE_REDIS_PASSWORD"
_REDIS_SETTINGS = (
    "host", "port", "user", "password", "db", "connect_timeout", "socket_timeout", "pool_size", "tls_enabled",
)  # fmt: skip

CacheSetting = tuple[str, str, str]  # cache, setting, value


def make_cache(settings: Iterable[CacheSetting]) -> ResponseCache | None:
    """The cache that the settings ask for; None without any.

    Raises:
        InvalidArgumentError: a cache or setting is not known, a value is not valid, or there are two caches.
    """
    by_cache: dict[str, dict[str, str]] = {}
    for cache, name, value in settings:
        by_cache.setdefault(cache, {})[name] = value
    if not by_cache:
        return None
    if len(by_cache) > 1:
        raise InvalidArgumentError(
            f"--cache-config names {len(by_cache)} caches, {', '.join(sorted(by_cache))}; a server has one, "
            "remove the others"
        )
    [(cache, given)] = by_cache.items()
    if cache == LOCAL:
        return _local(given)
    if cache == REDIS:
        return _redis(given, os.environ)
    raise InvalidArgumentError(
        f"unable to find cache '{cache}' of --cache-config; the caches are {LOCAL} and {REDIS}"
    )


def _local(given: Mapping[str, str]) -> LocalCache:
    _check_names(LOCAL, given, ("size",))
    size = _number(LOCAL, given, "size", 0)
    if size < MIN_LOCAL_BYTES:
        raise InvalidArgumentError(
            f"--cache-config=local,size={size}: expected at least {MIN_LOCAL_BYTES} bytes, write for example "
            "--cache-config=local,size=104857600"
        )
    return LocalCache(size)


def _redis(given: Mapping[str, str], environment: Mapping[str, str]) -> RedisCache:
    _check_names(REDIS, given, _REDIS_SETTINGS)
    if not given.get("host"):
        raise InvalidArgumentError("the redis cache needs its server: --cache-config=redis,host=<host>")
    defaults = RedisSettings(host="")
    tls = given.get("tls_enabled", "false")
    if tls not in ("true", "false"):
        raise InvalidArgumentError(f"--cache-config=redis,tls_enabled={tls}: expected true or false")
    return RedisCache(
        RedisSettings(
            host=given["host"],
            port=_number(REDIS, given, "port", defaults.port),
            user=given.get("user", environment.get(USER_VARIABLE)),
            password=given.get("password", environment.get(PASSWORD_VARIABLE)),
            db=_number(REDIS, given, "db", defaults.db),
            connect_timeout_ms=_number(REDIS, given, "connect_timeout", defaults.connect_timeout_ms),
            socket_timeout_ms=_number(REDIS, given, "socket_timeout", defaults.socket_timeout_ms),
            pool_size=max(1, _number(REDIS, given, "pool_size", defaults.pool_size)),
            tls=tls == "true",
        )
    )


def _check_names(cache: str, given: Iterable[str], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidArgumentError(
                f"--cache-config={cache},{name}=...: the {cache} cache has no setting '{name}'; it has "
                f"{', '.join(known)}"
            )


def _number(cache: str, given: Mapping[str, str], name: str, default: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if not value.isascii() or not value.isdigit():
        raise InvalidArgumentError(f"--cache-config={cache},{name}={value}: expected a whole number")
    return int(value)
