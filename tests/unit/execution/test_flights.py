from __future__ import annotations

import pytest

from tests.unit.builders import Answers
from tritium.core.interfaces import Batch, Outcome
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.errors import WorkerDiedError
from tritium.execution.flights import Flights, Retry
from tritium.worker_root.tritium_worker.board import SLOTS

DIED = WorkerDiedError("the worker died")


class Tower:
    """Flights, and what became of their batches."""

    def __init__(self) -> None:
        self.done: list[tuple[Batch, Outcome]] = []
        self.flights = Flights(lambda batch, outcome: self.done.append((batch, outcome)))

    def send(self, size: int) -> tuple[int, Batch]:
        requests = [InferenceRequest("m", [], ResponseStream(lambda r, f: None)) for _ in range(size)]
        batch = Batch(requests, size, 0, lambda batch, outcome: None)
        return self.flights.depart(self.flights.plan(batch)), batch


def answers(count: int) -> Outcome:
    return Outcome([InferenceResponse(parameters={"n": n}) for n in range(count)])


def test_a_batch_that_arrives_is_finished_with_its_outcome() -> None:
    tower = Tower()
    flight_id, batch = tower.send(2)
    outcome = answers(2)
    tower.flights.arrive(flight_id, outcome)
    assert tower.done == [(batch, outcome)]
    assert len(tower.flights) == 0


def test_an_unknown_flight_cannot_arrive() -> None:
    with pytest.raises(KeyError):
        Tower().flights.arrive(7, answers(1))


def test_the_oldest_flight_is_the_one_that_was_sent_first() -> None:
    tower = Tower()
    assert tower.flights.oldest == 0
    first, _ = tower.send(1)
    second, _ = tower.send(1)
    assert tower.flights.oldest == first
    tower.flights.arrive(first, answers(1))
    assert tower.flights.oldest == second


def test_a_single_request_that_ran_in_the_crash_fails_and_the_others_are_kept_in_order() -> None:
    tower = Tower()
    current, running = tower.send(1)
    _, second = tower.send(3)
    _, third = tower.send(1)
    tower.flights.crash(current, DIED, retry=Retry.NEIGHBOURS)
    assert [(batch, outcome.responses[0].error) for batch, outcome in tower.done] == [(running, DIED)]
    assert [flight.batch for flight in tower.flights.release()] == [second, third]


def test_neighbours_in_a_crashed_batch_run_once_more_alone_and_are_answered_together() -> None:
    tower = Tower()
    current, batch = tower.send(3)
    tower.flights.crash(current, DIED, retry=Retry.NEIGHBOURS)
    assert tower.done == []
    ids = []
    for flight, request in zip(tower.flights.release(), batch.requests, strict=True):
        assert flight.batch.requests == [request]
        ids.append(tower.flights.depart(flight))
    tower.flights.arrive(ids[2], answers(1))
    tower.flights.crash(ids[0], DIED, retry=Retry.NEIGHBOURS)  # the poisonous one, alone this time
    (kept,) = tower.flights.release()
    tower.flights.arrive(tower.flights.depart(kept), answers(1))
    ((finished, outcome),) = tower.done
    assert finished is batch
    assert [response.error for response in outcome.responses] == [DIED, None, None]


def test_without_retry_the_whole_batch_that_ran_fails() -> None:
    tower = Tower()
    current, _ = tower.send(2)
    tower.flights.crash(current, DIED, retry=Retry.NONE)
    assert [response.error for response in tower.done[0][1].responses] == [DIED, DIED]


def test_everything_can_be_failed_flying_or_held() -> None:
    tower = Tower()
    tower.send(1)
    _, held = tower.send(2)
    tower.flights.crash(1, DIED, retry=Retry.NEIGHBOURS)
    tower.flights.fail_all(DIED)
    assert [batch for batch, _ in tower.done][1] is held
    assert len(tower.flights) == 0


def test_slots_of_flights_in_the_air_do_not_overlap() -> None:
    tower = Tower()
    batches = [tower.flights.plan(tower.send(n)[1]).slots for n in (1, 5, 2)]
    taken = [slot for slots in batches for slot in slots]
    assert len(set(taken)) == len(taken)


def left_open(count: int, *places: int) -> Outcome:
    outcome = answers(count)
    outcome.delivered = frozenset(places)
    return outcome


def test_a_batch_with_requests_left_to_senders_lands_first_and_is_done_when_they_are_answered() -> None:
    events: list[str] = []
    flights = Flights(
        lambda batch, outcome: events.append("finished"),
        lambda: events.append("landed"),
        lambda batch, outcome: events.append(f"answered {sorted(outcome.delivered)}"),
    )
    answered = Answers()
    requests = [InferenceRequest("m", [], ResponseStream(answered)) for _ in range(2)]
    flight_id = flights.depart(flights.plan(Batch(requests, 2, 0, lambda batch, outcome: None)))
    flights.respond(flight_id, 0, InferenceResponse(parameters={"n": 1}), final=False)
    flights.arrive(flight_id, left_open(2, 0, 1))
    flights.respond(flight_id, 1, InferenceResponse(empty=True), final=True)
    assert events == ["landed"]
    flights.respond(flight_id, 0, InferenceResponse(empty=True), final=True)
    assert events == ["landed", "answered [0, 1]"]
    assert answered.finals == [False, True, True]
    assert len(flights) == 0


def test_a_batch_whose_senders_were_quick_is_finished_when_it_arrives() -> None:
    tower = Tower()
    flight_id, batch = tower.send(1)
    last = InferenceResponse(parameters={"n": 7})
    tower.flights.respond(flight_id, 0, last, final=True)
    tower.flights.respond(flight_id, 0, InferenceResponse(), final=True)
    tower.flights.arrive(flight_id, left_open(1, 0))
    assert tower.done[0][1].responses == [last]
    assert batch.requests[0].stream.closed


def test_a_crash_fails_what_senders_have_not_answered() -> None:
    tower = Tower()
    flight_id, batch = tower.send(2)
    tower.flights.respond(flight_id, 1, InferenceResponse(), final=True)
    tower.flights.arrive(flight_id, left_open(2, 0, 1))
    tower.flights.crash(0, DIED, retry=Retry.NEIGHBOURS)
    assert batch.requests[0].stream.closed
    assert len(tower.flights) == 0


def test_a_batch_that_has_answered_in_part_is_not_run_again() -> None:
    tower = Tower()
    flight_id, _ = tower.send(2)
    tower.flights.respond(flight_id, 0, InferenceResponse(), final=False)
    tower.flights.crash(flight_id, DIED, retry=Retry.NEIGHBOURS)
    assert [response.error for response in tower.done[0][1].responses] == [DIED, DIED]
    assert tower.flights.release() == []


def test_a_worker_that_ran_batches_side_by_side_loses_all_of_them() -> None:
    tower = Tower()
    for _ in range(3):
        tower.send(1)
    tower.flights.crash(None, DIED, retry=Retry.NEIGHBOURS)
    assert len(tower.done) == 3
    assert tower.flights.release() == []


def test_a_slot_stays_with_its_request_while_that_is_open() -> None:
    tower = Tower()
    first, _ = tower.send(1)
    kept = tower.flights.flying(first).slots
    tower.flights.arrive(first, left_open(1, 0))
    seen: set[int] = set()
    for _ in range(SLOTS // 500 + 2):
        flight_id, _ = tower.send(500)
        seen.update(tower.flights.flying(flight_id).slots)
        tower.flights.arrive(flight_id, answers(500))
    assert not seen & set(kept)


def test_an_idempotent_request_runs_once_more_and_no_more() -> None:
    tower = Tower()
    current, batch = tower.send(1)
    tower.flights.crash(current, DIED, retry=Retry.ALL)
    assert tower.done == []
    (again,) = tower.flights.release()
    assert again.batch is batch
    current = tower.flights.depart(again)
    tower.flights.crash(current, DIED, retry=Retry.ALL)
    ((failed, outcome),) = tower.done
    assert failed is batch
    assert outcome.responses[0].error is DIED


def test_idempotent_requests_that_ran_side_by_side_all_run_once_more() -> None:
    tower = Tower()
    tower.send(1)
    tower.send(2)
    tower.flights.crash(None, DIED, retry=Retry.ALL)
    assert tower.done == []
    assert [len(flight.batch.requests) for flight in tower.flights.release()] == [1, 1, 1]


def test_nothing_that_ran_in_the_crash_is_run_again_where_that_is_not_wanted() -> None:
    tower = Tower()
    current, batch = tower.send(2)
    tower.flights.crash(current, DIED, retry=Retry.NONE)
    ((failed, outcome),) = tower.done
    assert failed is batch
    assert [response.error for response in outcome.responses] == [DIED, DIED]
