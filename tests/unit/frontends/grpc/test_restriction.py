from __future__ import annotations

from tritium.frontends.grpc.inference_service import InferenceService
from tritium.frontends.grpc.restriction import CATEGORY_OF, PREFIX, forwarded_metadata, restriction_refusal
from tritium.http2.headers import HeaderDecoder
from tritium.http2.limits import Http2Limits
from tritium.options import Restriction
from tritium.protocol.restrictions import CATEGORIES, Restrictions, forward_pattern

SERVICE = b"/inference.GRPCInferenceService/"
ALL = Restrictions([Restriction(CATEGORIES, "Key", "s")], prefix=PREFIX)


def test_every_call_of_the_service_has_a_category() -> None:
    service = InferenceService(None)  # type: ignore[arg-type]  # no call is made
    assert {SERVICE + name.encode() for name in CATEGORY_OF} == set(service.methods)
    assert set(CATEGORY_OF.values()) == set(CATEGORIES)


def test_every_restricted_call_wants_the_secret() -> None:
    health = (b"/grpc.health.v1.Health/Check", b"/grpc.health.v1.Health/Watch")
    for path in (*health, *(SERVICE + name.encode() for name in CATEGORY_OF)):
        block = restriction_refusal(ALL, path, {b"key": b"s"})
        assert block is not None
        fields = dict(HeaderDecoder(Http2Limits()).trailers(block.replace(b"\x00\x07:status\x03200", b"")))
        assert fields[b"grpc-status"] == b"14"
        assert fields[b"grpc-message"].endswith(b"expecting header 'triton-grpc-protocol-Key'")
        assert restriction_refusal(ALL, path, {b"triton-grpc-protocol-key": b"s"}) is None
        assert restriction_refusal(Restrictions(), path, {}) is None


def test_metadata_that_are_text_are_forwarded() -> None:
    metadata = [(b":path", b"/x"), (b"x-a", b"1"), (b"x-b-bin", b"AAE="), (b"y", b"2")]
    assert forwarded_metadata(forward_pattern("x|path"), metadata) == {"x-a": "1"}
