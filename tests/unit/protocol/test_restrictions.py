from __future__ import annotations

import pytest

from tritium.errors import InvalidArgumentError
from tritium.options import Restriction
from tritium.protocol.restrictions import (
    CATEGORIES,
    Restrictions,
    forward_pattern,
    forwarded_parameters,
)
from tritium.protocol.routes import Endpoint

SECRET = Restriction(("health", "model-repository"), "Admin-Key", "s3cret")


def test_a_restricted_category_wants_its_header_with_its_value() -> None:
    restrictions = Restrictions([SECRET])
    assert restrictions.missing("health", {}) == "Admin-Key"
    assert restrictions.missing("model-repository", {b"admin-key": b"S3cret"}) == "Admin-Key"
    assert restrictions.missing("health", {b"admin-key": b"s3cret"}) is None
    assert restrictions.missing("inference", {}) is None


def test_the_header_of_a_restriction_may_have_a_prefix() -> None:
    restrictions = Restrictions([SECRET], prefix="p-")
    assert restrictions.missing("health", {b"admin-key": b"s3cret"}) == "p-Admin-Key"
    assert restrictions.missing("health", {b"p-admin-key": b"s3cret"}) is None


def test_categories_are_known_and_restricted_once() -> None:
    with pytest.raises(InvalidArgumentError, match="unknown restricted api 'infer', expected one of health,"):
        Restrictions([Restriction(("infer",), "k", "v")])
    with pytest.raises(InvalidArgumentError, match="'health' can not be specified twice"):
        Restrictions([SECRET, Restriction(("health",), "k", "v")])


def test_every_endpoint_has_a_category() -> None:
    assert {endpoint.category for endpoint in Endpoint} <= set(CATEGORIES)


def test_headers_whose_names_match_somewhere_in_any_case_are_forwarded_as_they_are_spelled() -> None:
    fields = [(b"X-Foo", b"1"), (b"ax-b", b"\xff"), (b"y", b"x-"), (b"x-two", b"a"), (b"x-two", b"b")]
    assert forwarded_parameters(forward_pattern("x-"), fields) == {
        "X-Foo": "1",
        "ax-b": "�",
        "x-two": "b",
    }
    assert forwarded_parameters(forward_pattern("^X-f"), fields) == {"X-Foo": "1"}
    assert forwarded_parameters(forward_pattern(""), fields) == {}


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"pattern '\(' is no regular expression"):
        forward_pattern("(")
