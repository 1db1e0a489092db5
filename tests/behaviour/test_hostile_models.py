"""Models that attack the server through their worker's channel (CVE-2025-23318/23319/23333/23334, T5)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json, request, wait_until
from tests.harness.models import write_python_model

# IN is the number of an attack; 0 is none.
HOSTILE = """
import struct, sys
from tritium_worker import frames

def caller(attribute, variable=None):
    # the functions of the worker itself are above those of the model on the stack
    found = sys._getframe(1)
    while not hasattr(found.f_locals.get("self"), attribute):
        found = found.f_back
    return found.f_locals[variable or "self"]

def frame(kind, body):
    return frames.HEAD.pack(len(body), kind) + body

def result(batch_id, count, part=b""):
    return frame(frames.RESULT, frames.BATCH.pack(batch_id, count) + frames.TIMES.pack(1, 1, 1) + part)

def part(spec, places, inline=b"", claimed=None):
    packed = struct.pack("<%dq" % len(places), *places)
    size = len(inline) if claimed is None else claimed
    return frames.PART.pack(0, len(spec), 0, size, len(places)) + spec + packed + inline

OUT = b'[[["OUT","FP32",[1,20000],80000]],[]]'
ATTACKS = [
    b"",
    frame(99, b"nonsense"),
    frame(frames.RESULT, b""),
    result(123456, 1),
    result(1, 1),
    result(1, 0xFFFFFFFF),
    frame(frames.ANSWER, b"{}"),
    frame(frames.ANSWER, b"not JSON"),
    frame(frames.LOG, b"{}"),
    frame(frames.LOG, b"[" * 100_000),
    frame(frames.FAILURE, b"1"),
    frame(frames.RELEASE, struct.pack("<4q", -1, 1 << 40, 12345, 0)),
    frame(frames.RELEASE, b"123"),
    "place -2", "place at the end", "place beyond the arena", "misaligned place", "huge size",
    "negative size", "bad datatype", "shape that does not fit", "negative shape",
    "missing places", "inline size that lies",
]

def answer_falsely(name, batch_id):
    lies = {
        "place -2": part(OUT, [-2]),
        "place at the end": part(OUT, [1 << 30]),
        "place beyond the arena": part(OUT, [1 << 62]),
        "misaligned place": part(OUT, [12345]),
        "huge size": part(b'[[["OUT","FP32",[1,4611686018427387904],18446744073709551616]],[]]', [0]),
        "negative size": part(b'[[["OUT","FP32",[1,1],-4]],[]]', [0]),
        "bad datatype": part(b'[[["OUT","NOPE",[1,1],4]],[]]', [], b"1234"),
        "shape that does not fit": part(b'[[["OUT","FP32",[1,1000],4]],[]]', [], b"1234"),
        "negative shape": part(b'[[["OUT","FP32",[-1,-1],4]],[]]', [], b"1234"),
        "missing places": part(OUT, []),
        "inline size that lies": part(b'[[["OUT","FP32",[1,1],4]],[]]', [], b"", claimed=1 << 40),
    }
    return result(batch_id, 1, lies[name])

class TritonPythonModel:
    def execute(self, requests):
        number = int(values(requests[0]).max())
        attack = ATTACKS[number]
        if isinstance(attack, str):
            attack = answer_falsely(attack, caller("_channel", "batch_id"))
        caller("_channel")._channel._sock.sendall(attack)
        return [answer(values(request)) for request in requests]
"""
ATTACKS = 24


@pytest.mark.parametrize("first", range(0, ATTACKS, 4))
def test_cve_2025_23318_a_model_that_forges_frames_harms_only_itself(
    start_server: StartServer, repository: Path, first: int
) -> None:
    """Four attacks at a time, for five crashes would open the breaker."""
    write_python_model(repository, "hostile", HOSTILE)
    server = start_server(repository)
    for number in range(first, min(first + 4, ATTACKS)):
        before = server.rss_bytes()
        with server.connect(timeout_s=10) as connection:
            connection.send(request("POST", "/v2/models/hostile/infer", infer_json([number])))
            reply = connection.reply()
        assert reply is not None
        server.noted(reply)
        assert server.rss_bytes() - before < 20 << 20
        wait_until(lambda: server.ready("hostile"), 30, "the model is ready again")
        assert server.infer("hostile", infer_json([0])).status == 200, number
        server.assert_three_ok()


GREEDY = """
import resource
class TritonPythonModel:
    def execute(self, requests):
        if values(requests[0]).max() == 1:
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
            hog = [bytearray(1 << 26) for _ in range(1000)]
        if values(requests[0]).max() == 2:
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            self.files = [open("/dev/null") for _ in range(1000)]
        return [answer(values(request)) for request in requests]
"""


@pytest.mark.parametrize("fault", [1, 2], ids=["T5 memory", "T8 descriptors"])
def test_t05_a_model_that_takes_too_much_fails_alone(
    start_server: StartServer, repository: Path, fault: int
) -> None:
    write_python_model(repository, "greedy", GREEDY)
    server = start_server(repository)
    before = server.rss_bytes()
    reply = server.infer("greedy", infer_json([fault]))
    assert reply.status in {500, 503}
    assert server.rss_bytes() - before < 10 << 20
    server.assert_three_ok()
    deadline = time.monotonic() + 10
    while (again := server.infer("greedy", infer_json([0]))).status != 200:
        assert time.monotonic() < deadline, again
