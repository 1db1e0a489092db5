"""Which models get the cache in front of their schedulers."""

from __future__ import annotations

from tritium.caching.interface import ResponseCache
from tritium.caching.key import KeyMaker
from tritium.caching.scheduler import CachedScheduler
from tritium.core.interfaces import Scheduler
from tritium.core.model import Recall
from tritium.core.model_config import ModelConfig
from tritium.core.statistics import ModelStatistics


def behind_cache(
    scheduler: Scheduler,
    cache: ResponseCache | None,
    config: ModelConfig,
    statistics: ModelStatistics,
    fingerprint: bytes,
) -> Scheduler:
    """``scheduler``, behind the server's cache if there is one and the model's responses may be kept."""
    if cache is None or not config.caches_responses:
        return scheduler
    keys = KeyMaker(fingerprint, frozenset(output.name for output in config.output))
    return CachedScheduler(scheduler, cache, keys, statistics)


def recall_of(scheduler: Scheduler) -> Recall | None:
    """How to ask the cache in front of ``scheduler`` for what is at hand; None without one."""
    return scheduler.recall if isinstance(scheduler, CachedScheduler) else None


def uncached(scheduler: Scheduler) -> Scheduler:
    """What is behind the cache, or ``scheduler`` itself."""
    return scheduler.inner if isinstance(scheduler, CachedScheduler) else scheduler
