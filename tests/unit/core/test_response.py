from __future__ import annotations

from tests.unit.builders import Answers
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.errors import InternalError


def ignore(slot: int, paused: bool) -> None:
    pass


def test_the_last_response_is_marked_final() -> None:
    answers = Answers()
    stream = ResponseStream(answers)
    first, last, closed = InferenceResponse(), InferenceResponse(), []
    for response in (first, last):
        stream.send(response, final=response is last)
        closed.append(stream.closed)
    assert closed == [False, True]
    assert (answers.responses, answers.finals) == ([first, last], [False, True])


def test_nothing_follows_the_final_response() -> None:
    answers = Answers()
    stream = ResponseStream(answers)
    stream.send(InferenceResponse(), final=True)
    stream.send(InferenceResponse(), final=True)
    stream.fail(InternalError("late"))
    assert answers.finals == [True]


def test_an_error_ends_the_stream() -> None:
    answers = Answers()
    stream = ResponseStream(answers)
    stream.fail(InternalError("broken"))
    assert answers.errors == ["broken"]
    assert stream.closed


def test_after_cancelling_nothing_is_delivered_and_answering_is_no_error() -> None:
    answers = Answers()
    stream = ResponseStream(answers)
    stream.cancel()
    stream.send(InferenceResponse(), final=True)
    assert stream.cancelled and stream.closed
    assert answers.responses == []


def test_who_runs_the_request_is_told_once_when_it_is_cancelled() -> None:
    stream = ResponseStream(Answers())
    told: list[int] = []
    stream.attach(1, told.append, ignore)
    stream.attach(2, told.append, ignore)
    stream.cancel()
    stream.cancel()
    assert told == [2]


def test_cancelling_a_finished_stream_does_nothing() -> None:
    stream = ResponseStream(Answers())
    told: list[int] = []
    stream.attach(1, told.append, ignore)
    stream.send(InferenceResponse(), final=True)
    stream.cancel()
    assert not stream.cancelled
    assert told == []


def test_who_runs_the_request_is_told_when_its_owner_cannot_keep_up() -> None:
    stream = ResponseStream(Answers())
    told: list[tuple[int, bool]] = []
    stream.attach(3, lambda slot: None, lambda slot, paused: told.append((slot, paused)))
    stream.pause(True)
    assert stream.paused
    stream.pause(False)
    stream.send(InferenceResponse(), final=True)
    stream.pause(True)
    assert told == [(3, True), (3, False)]
