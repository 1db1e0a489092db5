from __future__ import annotations

import pytest

from tests.unit.frontends.grpc.rig import Rig, changed, message
from tritium.frontends.grpc.health import HealthService
from tritium.http2.frames import DATA, END_HEADERS, END_STREAM

CHECK = changed(b":path", b"/grpc.health.v1.Health/Check")
WATCH = changed(b":path", b"/grpc.health.v1.Health/Watch")
SERVING, NOT_SERVING = (0, b"\x08\x01"), (0, b"\x08\x02")


class Readiness:
    """What is ready, and the service that says so."""

    def __init__(self) -> None:
        self.ready = {""}
        self.service = HealthService(lambda name: name in self.ready)
        self.rig = Rig(self.service.methods)

    def watch(self, name: bytes = b"") -> int:
        stream_id = self.rig.begin(headers=WATCH)
        self.rig.h2.send_data(stream_id, message(b"\x0a" + bytes([len(name)]) + name), end_stream=True)
        self.rig.exchange()
        return stream_id

    def change(self, *ready: str) -> None:
        self.ready = {*ready}
        self.service.refresh()
        self.rig.exchange()


@pytest.mark.parametrize(("request_", "answer"), [(b"", SERVING), (b"\x0a\x01m", NOT_SERVING)])
def test_check_answers_for_a_name(request_: bytes, answer: tuple[int, bytes]) -> None:
    reply = Readiness().rig.call(message(request_), headers=CHECK)
    assert reply.messages == [answer]
    assert reply.status == (0, "")


def test_garbage_is_refused() -> None:
    for headers in (CHECK, WATCH):
        reply = Readiness().rig.call(message(b"\xff\xff"), headers=headers)
        assert reply.status == (3, "the message is no HealthCheckRequest")


def test_watch_tells_every_change_once() -> None:
    readiness = Readiness()
    stream_id = readiness.watch(b"m")
    readiness.change("", "m")
    readiness.change("m")
    readiness.change()
    assert readiness.rig.replies[stream_id].messages == [NOT_SERVING, SERVING, NOT_SERVING]
    assert not readiness.rig.replies[stream_id].ended


def test_a_watcher_that_leaves_is_forgotten() -> None:
    readiness = Readiness()
    stream_id = readiness.watch()
    assert readiness.service.watchers == 1
    readiness.rig.h2.reset_stream(stream_id, 8)
    readiness.rig.exchange()
    assert readiness.service.watchers == 0


def test_watchers_are_told_the_last_state_when_the_server_stops() -> None:
    readiness = Readiness()
    stream_id = readiness.watch()
    readiness.ready.clear()
    readiness.rig.connection.stop()
    written = readiness.rig.written()
    assert [f.payload for f in written if f.kind == DATA] == [message(b"\x08\x02")]
    assert [f.flags for f in written if f.stream_id == stream_id][-1] == END_HEADERS | END_STREAM
    assert readiness.service.watchers == 0


def test_a_watcher_that_asks_twice_is_refused_and_forgotten() -> None:
    readiness = Readiness()
    reply = readiness.rig.call(message(b"") * 2, headers=WATCH)
    assert reply.status == (3, "Watch takes one request message")
    assert readiness.service.watchers == 0


def test_a_watch_without_a_request_is_refused() -> None:
    assert Readiness().rig.call(b"", headers=WATCH).status[0] == 12


def test_a_watcher_that_reads_slowly_gets_the_latest_state() -> None:
    readiness = Readiness()
    readiness.rig.h2.update_settings({4: 0})
    readiness.rig.exchange()
    stream_id = readiness.watch()
    for _ in range(50_000):
        readiness.change()
        readiness.change("")
    readiness.rig.h2.update_settings({4: 1 << 24})
    readiness.rig.exchange()
    received = readiness.rig.replies[stream_id].messages
    assert received[-1] == SERVING
    assert len(received) < 50_000
