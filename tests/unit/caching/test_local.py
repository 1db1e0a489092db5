from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.builders import tensor
from tritium.caching.entry import Entry
from tritium.caching.local import LocalCache
from tritium.core.response import InferenceResponse


def entry(elements: int = 1) -> Entry:
    return Entry.of(InferenceResponse([tensor([0.0] * elements)]))


ONE = entry().nbytes


def found(cache: LocalCache, key: bytes) -> Entry | None:
    answers: list[Entry | None] = []
    cache.lookup(key, answers.append)
    assert len(answers) == 1
    return answers[0]


def test_what_was_inserted_is_found() -> None:
    cache, kept = LocalCache(10 * ONE), entry()
    assert found(cache, b"a") is None
    cache.insert(b"a", kept)
    assert found(cache, b"a") is kept
    assert (cache.counts.lookups, cache.counts.hits, cache.entries) == (2, 1, 1)


def test_what_is_not_at_hand_is_not_counted() -> None:
    cache, kept = LocalCache(3 * ONE), entry()
    assert cache.at_hand(b"a") is None
    cache.insert(b"a", kept)
    assert cache.at_hand(b"a") is kept
    assert (cache.counts.lookups, cache.counts.hits) == (1, 1)


def test_the_entry_that_was_not_used_for_the_longest_time_goes_first() -> None:
    cache = LocalCache(3 * ONE)
    for key in (b"a", b"b", b"c"):
        cache.insert(key, entry())
    found(cache, b"a")
    cache.insert(b"d", entry())
    assert [found(cache, key) is not None for key in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert cache.counts.evictions == 1


def test_an_entry_that_is_larger_than_the_cache_displaces_nothing() -> None:
    cache = LocalCache(2 * ONE)
    cache.insert(b"a", entry())
    cache.insert(b"b", entry(10_000))
    assert found(cache, b"a") is not None
    assert (found(cache, b"b"), cache.counts.evictions) == (None, 0)


def test_an_entry_replaces_the_one_before_it() -> None:
    cache, second = LocalCache(2 * ONE), entry()
    cache.insert(b"a", entry())
    cache.insert(b"a", second)
    assert (found(cache, b"a"), cache.entries, cache.utilisation) == (second, 1, 0.5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.integers(0, 400)), max_size=60))
def test_the_budget_is_never_exceeded_and_nothing_goes_without_need(
    inserted: list[tuple[bytes, int]],
) -> None:
    cache = LocalCache(4000)
    for key, elements in inserted:
        cache.insert(key, entry(elements))
        assert cache.utilisation <= 1
        assert found(cache, key) is not None
    sizes = {key: entry(elements).nbytes for key, elements in inserted}
    if sum(sizes.values()) <= 4000 and len({key for key, _ in inserted}) == len(inserted):
        assert cache.entries == len(sizes)


def test_durations_are_counted() -> None:
    clock = iter(range(0, 1000, 7))
    cache = LocalCache(10 * ONE, now_ns=lambda: next(clock))
    cache.insert(b"a", entry())
    found(cache, b"a")
    assert (cache.counts.insertion_ns, cache.counts.lookup_ns) == (7, 7)
