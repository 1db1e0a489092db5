from __future__ import annotations

from tests.unit.builders import request
from tritium.core.interfaces import Batch, Outcome
from tritium.core.response import InferenceResponse
from tritium.core.statistics import Duration, FailureReason, ModelStatistics
from tritium.errors import InternalError

TIMES = (1, 20, 300)  # input, infer, output


def batch_of(*rows: int) -> Batch:
    requests = [request(rows=size, arrival_ns=100) for size in rows]
    return Batch(requests, sum(rows), 150, lambda batch, outcome: None)


def record(statistics: ModelStatistics, batch: Batch, *responses: InferenceResponse) -> None:
    statistics.record_batch(batch, Outcome(list(responses), *TIMES), now_ns=1100, wall_ms=77)


def test_a_model_that_never_ran_has_zeros_and_all_reasons() -> None:
    statistics = ModelStatistics()
    assert (statistics.last_inference_ms, statistics.inference_count, statistics.execution_count) == (0, 0, 0)
    assert statistics.failures == dict.fromkeys(FailureReason, 0)


def test_a_batch_counts_its_time_for_every_request_and_once_for_its_size() -> None:
    statistics = ModelStatistics()
    record(statistics, batch_of(1, 2), InferenceResponse(), InferenceResponse())
    assert statistics.inference_count == 3
    assert statistics.execution_count == 1
    assert statistics.last_inference_ms == 77
    assert statistics.success == Duration(2, 2000)
    assert statistics.queue == Duration(2, 100)
    assert statistics.compute_input == Duration(2, 2)
    assert statistics.compute_infer == Duration(2, 40)
    assert statistics.compute_output == Duration(2, 600)
    assert list(statistics.batches) == [3]
    assert statistics.batches[3].compute_infer == Duration(1, 20)


def test_requests_that_failed_in_a_batch_count_as_failures_of_the_backend() -> None:
    statistics = ModelStatistics()
    record(statistics, batch_of(1, 4), InferenceResponse(error=InternalError("x")), InferenceResponse())
    assert statistics.fail == Duration(1, 1000)
    assert statistics.failures[FailureReason.BACKEND] == 1
    assert statistics.success.count == 1
    assert statistics.inference_count == 4
    assert statistics.execution_count == 1


def test_a_batch_that_failed_as_a_whole_is_an_execution_without_inferences() -> None:
    statistics = ModelStatistics()
    record(statistics, batch_of(2), InferenceResponse(error=InternalError("x")))
    assert (statistics.inference_count, statistics.execution_count) == (0, 1)
    assert statistics.success == statistics.queue == statistics.compute_infer == Duration()


def test_batches_of_one_size_add_up() -> None:
    statistics = ModelStatistics()
    for _ in range(3):
        record(statistics, batch_of(2), InferenceResponse())
    assert statistics.batches[2].compute_output == Duration(3, 900)


def test_a_request_that_never_ran_counts_with_its_reason() -> None:
    statistics = ModelStatistics()
    statistics.record_failure(FailureReason.CANCELED, 5)
    statistics.record_failure(FailureReason.REJECTED, 7)
    assert statistics.fail == Duration(2, 12)
    assert statistics.failures[FailureReason.CANCELED] == statistics.failures[FailureReason.REJECTED] == 1
    assert statistics.execution_count == 0
