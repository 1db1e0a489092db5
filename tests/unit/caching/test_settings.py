from __future__ import annotations

import pytest

from tritium.caching.local import LocalCache
from tritium.caching.redis_store import RedisCache
from tritium.caching.settings import CacheSetting, make_cache
from tritium.errors import InvalidArgumentError


def test_without_settings_there_is_no_cache() -> None:
    assert make_cache([]) is None


def test_a_cache_is_made_of_its_settings() -> None:
    assert isinstance(make_cache([("local", "size", "4096")]), LocalCache)
    assert isinstance(make_cache([("redis", "host", "h"), ("redis", "port", "1")]), RedisCache)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ([("nope", "size", "1")], "unable to find cache 'nope'"),
        ([("local", "size", "4096"), ("redis", "host", "h")], "names 2 caches, local, redis"),
        ([("local", "size", "12")], "expected at least 1024 bytes"),
        ([("local", "size", "many")], "size=many: expected a whole number"),
        ([("local", "colour", "red")], "the local cache has no setting 'colour'; it has size"),
        ([("redis", "port", "1")], "needs its server: --cache-config=redis,host=<host>"),
        ([("redis", "host", "h"), ("redis", "port", "-1")], "port=-1: expected a whole number"),
        ([("redis", "host", "h"), ("redis", "tls_enabled", "yes")], "expected true or false"),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_to_write(settings: list[CacheSetting], text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="^" + ".*" + text.replace("(", r"\(")):
        make_cache(settings)
