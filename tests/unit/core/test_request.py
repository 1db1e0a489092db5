from __future__ import annotations

from tests.unit.builders import request


def test_an_error_text_names_the_request_by_its_id() -> None:
    assert request(name="q").label == "[request id: q]"


def test_a_request_without_an_id_is_named_as_triton_does() -> None:
    assert request().label == "[request id: <id_unknown>]"


def test_requests_do_not_share_their_parameters() -> None:
    one, other = request(), request()
    one.parameters["x"] = 1
    assert other.parameters == {}
