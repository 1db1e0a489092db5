"""Bytes of every kind: nothing is raised, what is written are frames, and what is over is over."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.http2.fuzzing import FRAMES, check_session, mutated, plausible
from tests.unit.http2.peers import REQUEST_BLOCK, frame
from tritium.http2.frames import PREFACE, SETTINGS


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_after_the_preface(data: bytes) -> None:
    check_session(PREFACE + frame(SETTINGS) + data, 1 << 20)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_at_all(data: bytes) -> None:
    check_session(data, 3)


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAMES, max_size=30), st.sampled_from([1, 10, 1000, 1 << 20]))
def test_any_frames_in_any_order(frames: list[bytes], step: int) -> None:
    check_session(PREFACE + frame(SETTINGS) + b"".join(frames), step)


@settings(max_examples=200, deadline=None)
@given(plausible(), st.sampled_from([1, 10, 1000, 1 << 20]))
def test_clients_that_mostly_keep_the_rules(frames: list[bytes], step: int) -> None:
    check_session(PREFACE + frame(SETTINGS) + b"".join(frames), step)


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAMES, min_size=1, max_size=15), st.data())
def test_frames_with_some_bytes_changed(frames: list[bytes], data: st.DataObject) -> None:
    check_session(PREFACE + frame(SETTINGS) + mutated(b"".join(frames), data), 50)


def test_the_fuzzer_reaches_requests() -> None:
    whole = frame(1, 5, 1, REQUEST_BLOCK)
    assert check_session(PREFACE + frame(SETTINGS) + whole, 1) == 1
