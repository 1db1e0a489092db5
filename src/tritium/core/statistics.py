"""Counts and durations of one model version, as Triton's statistics extension defines them.

Plain integers, touched only on the loop; text and JSON are made from them when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from tritium.core.interfaces import Batch, Outcome


class FailureReason(Enum):
    """The ``reason`` label of nv_inference_request_failure."""

    REJECTED = "REJECTED"  # refused by the queue's policy after it was accepted
    CANCELED = "CANCELED"  # the client went away
    BACKEND = "BACKEND"  # the model, or what runs it, failed
    OTHER = "OTHER"


class ReleaseReason(Enum):
    """Why a batch was formed and not added to: the ``reason`` label of tritium_batch_release_total."""

    FULL = "full"  # no more rows fit
    PREFERRED = "preferred"  # it has a preferred size
    DELAY = "delay"  # somebody in it has waited as long as the queue delay
    NO_MORE = "no_more"  # nothing else waits, or what comes next cannot run with it


@dataclass(slots=True)
class BatchReleases:
    """How often batches of a dynamic batcher were released for which reason."""

    counts: dict[ReleaseReason, int] = field(default_factory=lambda: dict.fromkeys(ReleaseReason, 0))


@dataclass(slots=True)
class Duration:
    """How often, and how long in all."""

    count: int = 0
    ns: int = 0

    def add(self, count: int, ns: int) -> None:
        """``count`` events that took ``ns`` together."""
        self.count += count
        self.ns += ns


@dataclass(slots=True)
class BatchStatistics:
    """Executions of one batch size."""

    compute_input: Duration = field(default_factory=Duration)
    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)


@dataclass(slots=True)
class ModelStatistics:
    """Statistics of one model version."""

    last_inference_ms: int = 0  # since the epoch; 0 for never
    inference_count: int = 0  # rows of successful requests
    execution_count: int = 0  # batches run, whatever came of them
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    compute_input: Duration = field(default_factory=Duration)
    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)
    cache_hit: Duration = field(default_factory=Duration)  # lookups that found the response
    cache_miss: Duration = field(default_factory=Duration)  # lookups that did not, and keeping it afterwards
    batches: dict[int, BatchStatistics] = field(default_factory=dict)
    releases: BatchReleases | None = None  # of a model that is batched dynamically
    failures: dict[FailureReason, int] = field(default_factory=lambda: dict.fromkeys(FailureReason, 0))

    def record_batch(self, batch: Batch, outcome: Outcome, *, now_ns: int, wall_ms: int) -> None:
        """Count one execution. Durations count once per successful request and once per batch size."""
        self.execution_count += 1
        self.last_inference_ms = wall_ms
        succeeded = rows = arrivals_ns = 0
        for place, (request, response) in enumerate(zip(batch.requests, outcome.responses, strict=True)):
            if place in outcome.again:
                continue
            if response.error is not None:
                self.record_failure(FailureReason.BACKEND, now_ns - request.arrival_ns)
                continue
            succeeded += 1
            rows += request.batch_size
            arrivals_ns += request.arrival_ns
            if request.observer is not None:
                request.observer.executed(
                    batch.dispatched_ns - request.arrival_ns,
                    outcome.compute_input_ns,
                    outcome.compute_infer_ns,
                    outcome.compute_output_ns,
                )
        self._record_batch_size(batch.rows, outcome)
        if not succeeded:
            return
        self.inference_count += rows
        self.success.add(succeeded, now_ns * succeeded - arrivals_ns)
        self.queue.add(succeeded, batch.dispatched_ns * succeeded - arrivals_ns)
        # Written out from here on: a call for each would be a microsecond of every request.
        compute_input, compute_infer, compute_output = (
            self.compute_input,
            self.compute_infer,
            self.compute_output,
        )
        compute_input.count += succeeded
        compute_input.ns += outcome.compute_input_ns * succeeded
        compute_infer.count += succeeded
        compute_infer.ns += outcome.compute_infer_ns * succeeded
        compute_output.count += succeeded
        compute_output.ns += outcome.compute_output_ns * succeeded

    def record_cache_hit(self, arrival_ns: int, began_ns: int, now_ns: int, *, wall_ms: int) -> None:
        """Count a request that the cache answered: a success that no model ran."""
        self.last_inference_ms = wall_ms
        self.success.add(1, now_ns - arrival_ns)
        self.queue.add(1, began_ns - arrival_ns)
        self.cache_hit.add(1, now_ns - began_ns)

    def record_failure(self, reason: FailureReason, elapsed_ns: int) -> None:
        """Count a request that was accepted and not answered with outputs."""
        self.fail.add(1, elapsed_ns)
        self.failures[reason] += 1

    def _record_batch_size(self, rows: int, outcome: Outcome) -> None:
        by_size = self.batches.get(rows)
        if by_size is None:
            by_size = self.batches[rows] = BatchStatistics()
        compute_input, compute_infer = by_size.compute_input, by_size.compute_infer
        compute_output = by_size.compute_output
        compute_input.count += 1
        compute_input.ns += outcome.compute_input_ns
        compute_infer.count += 1
        compute_infer.ns += outcome.compute_infer_ns
        compute_output.count += 1
        compute_output.ns += outcome.compute_output_ns
