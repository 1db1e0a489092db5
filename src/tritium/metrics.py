"""Prometheus text: Triton's ``nv_*`` families, made from plain integers when somebody asks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence

from tritium.caching.interface import ResponseCache
from tritium.core.custom_metrics import CustomMetrics, Series
from tritium.core.model import Model
from tritium.core.statistics import ModelStatistics

CONTENT_TYPE = b"text/plain; charset=utf-8"

Counters = Sequence[tuple[str, str, Callable[[ModelStatistics], int]]]  # name, help, value

_COUNTERS: Counters = (
    (
        "nv_inference_count",
        "Number of inferences performed (does not include cached requests)",
        lambda s: s.inference_count,
    ),
    (
        "nv_inference_exec_count",
        "Number of model executions performed (does not include cached requests)",
        lambda s: s.execution_count,
    ),
    (
        "nv_inference_request_duration_us",
        "Cumulative inference request duration in microseconds (includes cached requests)",
        lambda s: s.success.ns // 1000,
    ),
    (
        "nv_inference_queue_duration_us",
        "Cumulative inference queuing duration in microseconds (includes cached requests)",
        lambda s: s.queue.ns // 1000,
    ),
    (
        "nv_inference_compute_input_duration_us",
        "Cumulative compute input duration in microseconds (does not include cached requests)",
        lambda s: s.compute_input.ns // 1000,
    ),
    (
        "nv_inference_compute_infer_duration_us",
        "Cumulative compute inference duration in microseconds (does not include cached requests)",
        lambda s: s.compute_infer.ns // 1000,
    ),
    (
        "nv_inference_compute_output_duration_us",
        "Cumulative inference compute output duration in microseconds (does not include cached requests)",
        lambda s: s.compute_output.ns // 1000,
    ),
)


_CACHE_COUNTERS: Counters = (
    (
        "nv_cache_num_hits_per_model",
        "Number of cache hits per model",
        lambda s: s.cache_hit.count,
    ),
    (
        "nv_cache_num_misses_per_model",
        "Number of cache misses per model",
        lambda s: s.cache_miss.count,
    ),
    (
        "nv_cache_hit_duration_per_model",
        "Total cache hit duration per model, in microseconds",
        lambda s: s.cache_hit.ns // 1000,
    ),
    (
        "nv_cache_miss_duration_per_model",
        "Total cache miss (insert+lookup) duration per model, in microseconds",
        lambda s: s.cache_miss.ns // 1000,
    ),
)


def prometheus_text(
    models: Sequence[Model],
    *,
    cpu: CpuMetrics | None = None,
    custom: CustomMetrics | None = None,
    cache: ResponseCache | None = None,
) -> bytes:
    """All families, every ready model in each, labels in alphabetical order; then those of models."""
    lines: list[str] = []
    name = "nv_inference_request_success"
    lines += _family(name, "counter", "Number of successful inference requests, all batch sizes")
    lines += [f"{name}{{{_labels(m)}}} {m.statistics.success.count}" for m in models]
    name = "nv_inference_request_failure"
    lines += _family(name, "counter", "Number of failed inference requests, all batch sizes")
    for m in models:
        for reason, count in m.statistics.failures.items():
            lines.append(f"{name}{{{_labels(m, reason=reason.value)}}} {count}")
    lines += _counter_lines(_COUNTERS, models)
    name = "nv_inference_pending_request_count"
    lines += _family(name, "gauge", "Instantaneous number of pending requests awaiting execution per-model.")
    lines += [f"{name}{{{_labels(m)}}} {m.scheduler.pending}" for m in models]
    name = "tritium_batch_release_total"
    lines += _family(name, "counter", "Number of batches that the dynamic batcher released, by reason")
    for m in models:
        if (releases := m.statistics.releases) is not None:
            lines += [f"{name}{{{_labels(m, reason=why.value)}}} {n}" for why, n in releases.counts.items()]
    name = "tritium_worker_restarts_total"
    lines += _family(name, "counter", "Number of times a worker process of the model ended and was replaced")
    for m in models:
        lines += [f"{name}{{{_labels(m, reason=reason)}}} {n}" for reason, n in m.restarts().items()]
    if cache is not None:
        lines += _cache_lines(models, cache)
    lines += _usage_lines(models)
    if cpu is not None:
        lines += cpu.lines()
    if custom is not None:
        lines += _custom_lines(custom)
    return ("\n".join(lines) + "\n").encode()


def _counter_lines(counters: Counters, models: Sequence[Model]) -> Iterator[str]:
    for name, help_text, value in counters:
        yield from _family(name, "counter", help_text)
        yield from (f"{name}{{{_labels(m)}}} {value(m.statistics)}" for m in models)


def _cache_lines(models: Sequence[Model], cache: ResponseCache) -> Iterator[str]:
    """Per model that may use the cache, and of the cache as a whole what it knows."""
    yield from _counter_lines(_CACHE_COUNTERS, [m for m in models if m.config.caches_responses])
    counts = cache.counts
    gauges: Sequence[tuple[str, str, float | None]] = (
        ("nv_cache_util", "Cache utilization [0.0 - 1.0]", cache.utilisation),
        ("nv_cache_num_entries", "Number of responses stored in response cache", cache.entries),
        ("nv_cache_num_lookups", "Number of cache lookups in response cache", counts.lookups),
        ("nv_cache_num_hits", "Number of cache hits in response cache", counts.hits),
        ("nv_cache_num_misses", "Number of cache misses in response cache", counts.lookups - counts.hits),
        ("nv_cache_num_evictions", "Number of cache evictions in response cache", counts.evictions),
        (
            "nv_cache_lookup_duration",
            "Total cache lookup duration, in microseconds",
            counts.lookup_ns // 1000,
        ),
        (
            "nv_cache_insertion_duration",
            "Total cache insertion duration, in microseconds",
            counts.insertion_ns // 1000,
        ),
    )
    for name, help_text, number in gauges:
        if number is not None:
            yield from _family(name, "gauge", help_text)
            yield f"{name} {number}"


def _usage_lines(models: Sequence[Model]) -> Iterator[str]:
    used = [(_labels(m, instance=usage.instance), usage) for m in models for usage in m.usage()]
    name = "tritium_worker_cpu_seconds_total"
    yield from _family(name, "counter", "Processor time of the worker process of an instance, in seconds")
    yield from (f"{name}{{{labels}}} {usage.cpu_s:.2f}" for labels, usage in used)
    name = "tritium_worker_resident_memory_bytes"
    yield from _family(name, "gauge", "Resident memory of the worker process of an instance, in bytes")
    yield from (f"{name}{{{labels}}} {usage.resident_bytes}" for labels, usage in used)


def _custom_lines(custom: CustomMetrics) -> Iterator[str]:
    for family in custom.families.values():
        description = family.description.replace("\\", "\\\\").replace("\n", "\\n")
        yield from _family(family.name, family.kind, description)
        for number in family.series.values():
            series = custom.series(number)
            if family.kind == "histogram":
                yield from _histogram_lines(family.name, series)
            else:
                yield f"{family.name}{_braced(series.labels)} {series.value:.15g}"


def _histogram_lines(name: str, series: Series) -> Iterator[str]:
    total = 0
    for bound, count in zip((*series.bounds, math.inf), series.counts, strict=True):
        total += count
        shown = "+Inf" if bound == math.inf else f"{bound:.15g}"
        yield f"{name}_bucket{_braced((*series.labels, ('le', shown)))} {total}"
    yield f"{name}_sum{_braced(series.labels)} {series.value:.15g}"
    yield f"{name}_count{_braced(series.labels)} {total}"


def _braced(labels: Sequence[tuple[str, str]]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}" if labels else ""


def _family(name: str, kind: str, help_text: str) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"


def _labels(model: Model, **more: str) -> str:
    """Model, version and the configuration's metric_tags, in alphabetical order."""
    labels = {**model.config.metric_tags, "model": model.config.name, "version": str(model.version), **more}
    return ",".join(f'{name}="{_escape(labels[name])}"' for name in sorted(labels))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class CpuMetrics:
    """Use of the machine's processors and memory, from /proc; empty where there is none."""

    def __init__(self) -> None:
        self._last = _cpu_times()

    def lines(self) -> list[str]:
        """Utilisation since the last call, and memory in bytes."""
        lines: list[str] = []
        times = _cpu_times()
        if times is not None and self._last is not None and times[1] > self._last[1]:
            busy = 1 - (times[0] - self._last[0]) / (times[1] - self._last[1])
            lines += _family("nv_cpu_utilization", "gauge", "CPU utilization rate [0.0 - 1.0]")
            lines.append(f"nv_cpu_utilization {max(0.0, busy)}")
        self._last = times
        memory = _memory_bytes()
        if memory is not None:
            lines += _family("nv_cpu_memory_total_bytes", "gauge", "CPU total memory (RAM), in bytes")
            lines.append(f"nv_cpu_memory_total_bytes {memory[0]}")
            lines += _family("nv_cpu_memory_used_bytes", "gauge", "CPU used memory (RAM), in bytes")
            lines.append(f"nv_cpu_memory_used_bytes {memory[1]}")
        return lines


def _cpu_times() -> tuple[int, int] | None:
    """Idle and total ticks of all processors."""
    try:
        with open("/proc/stat", encoding="ascii") as stat:
            ticks = [int(tick) for tick in stat.readline().split()[1:]]
    except (OSError, ValueError):
        return None
    return ticks[3] + ticks[4], sum(ticks)


def _memory_bytes() -> tuple[int, int] | None:
    """Total and used memory."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        with open("/proc/meminfo", encoding="ascii") as meminfo:
            available = next(
                int(line.split()[1]) << 10 for line in meminfo if line.startswith("MemAvailable")
            )
    except (OSError, ValueError, StopIteration):
        return None
    return total, total - available
