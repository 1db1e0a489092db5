from __future__ import annotations

from tests.unit.builders import Answers, request
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse
from tritium.scheduling.ordering import ResponseOrder


def requests(answers: Answers, count: int) -> list[InferenceRequest]:
    return [request(answers=answers) for _ in range(count)]


def response(text: str) -> InferenceResponse:
    return InferenceResponse(parameters={"text": text})


def texts(answers: Answers) -> list[object]:
    return [(one.parameters or {})["text"] for one in answers.responses]


def test_an_answer_waits_for_those_before_it() -> None:
    order, answers = ResponseOrder(10), Answers()
    a, b, c = requests(answers, 3)
    order.begin([a, b])
    order.begin([c])
    order.send(c, response("c"), True)
    order.send(b, response("b"), True)
    assert texts(answers) == []
    order.send(a, response("a"), True)
    assert texts(answers) == ["a", "b", "c"]


def test_a_stream_of_answers_goes_on_when_its_turn_comes() -> None:
    order, answers = ResponseOrder(10), Answers()
    a, b = requests(answers, 2)
    order.begin([a, b])
    order.send(a, response("a1"), False)
    order.send(b, response("b1"), False)
    order.send(a, response("a2"), True)
    assert texts(answers) == ["a1", "a2", "b1"]
    order.send(b, response("b2"), True)
    assert texts(answers) == ["a1", "a2", "b1", "b2"]


def test_a_request_that_runs_once_more_keeps_its_turn() -> None:
    order, answers = ResponseOrder(10), Answers()
    a, b = requests(answers, 2)
    order.begin([a, b])
    order.begin([a])
    order.send(b, response("b"), True)
    order.send(a, response("a"), True)
    assert texts(answers) == ["a", "b"]


def test_an_answer_that_nobody_wants_holds_nobody_up() -> None:
    order, answers = ResponseOrder(10), Answers()
    a, b = requests(answers, 2)
    order.begin([a, b])
    a.stream.cancel()
    order.send(b, response("b"), True)
    order.send(a, response("a"), True)
    assert texts(answers) == ["b"]


def test_no_more_than_the_limit_is_on_its_way() -> None:
    order, answers = ResponseOrder(2), Answers()
    a, b = requests(answers, 2)
    order.begin([a])
    full = [order.full]
    order.begin([b])
    full.append(order.full)
    order.send(b, response("b"), True)
    full.append(order.full)
    order.send(a, response("a"), True)
    full.append(order.full)
    assert full == [False, True, True, False]


def test_a_request_that_will_not_run_again_gives_up_its_turn() -> None:
    order, answers = ResponseOrder(10), Answers()
    a, b = requests(answers, 2)
    order.begin([a, b])
    order.send(b, response("b"), True)
    a.stream.cancel()
    order.end(a)
    assert texts(answers) == ["b"]
    order.end(a)
    assert not order.full
