"""``python -m benchmarks.oneflow_soak``: OneFlow's own runtime under load for a long time.

Two instances of a small ResNet behind HTTP, four clients that ask for batches of 1, 2 and 4 as fast as they
are answered. Every answer is compared. Exit code: 0 nothing was lost and nothing was wrong, 1 something was.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import oneflow_models, servers
from benchmarks.report import machine_facts, refresh, versions
from benchmarks.sockets import infer_request
from tritium.core.tensor import Array

MODEL = "resnet"
INSTANCES = 2
CLIENTS = 4
SIZES = (1, 1, 2, 1, 4)
FRAGMENT = Path(__file__).with_name("oneflow_soak.md")
_REPORT_S = 60.0
_TIMEOUT_S = 60.0
_TOLERANCE = 1e-4


@dataclass
class Counts:
    """What happened; several threads add to it."""

    answered: int = 0
    lost: int = 0  # not answered with 200
    wrong: int = 0  # answered with other numbers
    reasons: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, reason: str, *, wrong: bool = False) -> None:
        """One more request; ``reason`` is empty where all was well."""
        with self.lock:
            self.answered += not reason or wrong
            self.lost += bool(reason) and not wrong
            self.wrong += wrong
            if reason:
                self.reasons[reason] = self.reasons.get(reason, 0) + 1


class Client:
    """Asks one thing after another on one connection."""

    def __init__(self, port: int, inputs: Array, expected: Array, counts: Counts) -> None:
        self._port = port
        self._expected = expected
        self._counts = counts
        self._connection: http.client.HTTPConnection | None = None
        self._requests = [infer_request(MODEL, {"INPUT_0": inputs[:size]}, 40 * size) for size in SIZES]

    def run(self, done: threading.Event) -> None:
        """Ask until ``done``."""
        turn = 0
        while not done.is_set():
            index = turn % len(SIZES)
            turn += 1
            try:
                self._ask(index)
            except (OSError, http.client.HTTPException) as error:
                self._connection = None
                self._counts.add(type(error).__name__)

    def _ask(self, index: int) -> None:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)
        request = self._requests[index]
        headers = dict(line.split(": ", 1) for line in request.head.decode().split("\r\n")[1:] if line)
        self._connection.request("POST", f"/v2/models/{MODEL}/infer", request.body, headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            self._counts.add(f"status {response.status}: {body[:150]!r}")
            return
        skip = int(response.headers["Inference-Header-Content-Length"])
        found = np.frombuffer(body[skip:], np.float32).reshape(SIZES[index], -1)
        same = np.allclose(found, self._expected[: SIZES[index]], rtol=_TOLERANCE, atol=_TOLERANCE)
        self._counts.add("" if same else "wrong numbers", wrong=not same)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oneflow_soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="at least (default: %(default)s)")
    parser.add_argument("--inferences", type=int, default=500_000, help="at least (default: %(default)s)")
    parser.add_argument("--no-report", action="store_true", help="do not write the result into RESULTS.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tritium-soak-") as workspace:
        repository = Path(workspace) / "repository"
        inputs, expected = oneflow_models.write_resnet(repository, MODEL, INSTANCES)
        with servers.tritium(repository) as server:
            counts, elapsed_s = _soak(server, inputs, expected, options)
            restarts = _restarts(server)
    line = (
        f"{counts.answered} requests answered in {elapsed_s / 60:.1f} minutes by {INSTANCES} instances, "
        f"{counts.lost} lost, {counts.wrong} wrong, {restarts} worker restarts"
    )
    print(line)
    print("\n".join(f"  {count} x {reason}" for reason, count in counts.reasons.items()))
    if not options.no_report:
        _write_fragment(line, counts)
    return 1 if counts.lost or counts.wrong else 0


def _soak(
    server: servers.Server, inputs: Array, expected: Array, options: argparse.Namespace
) -> tuple[Counts, float]:
    counts, done = Counts(), threading.Event()
    clients = [Client(server.http_port, inputs, expected, counts) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=client.run, args=(done,)) for client in clients]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        while True:
            elapsed = time.monotonic() - began
            if elapsed >= options.minutes * 60 and counts.answered >= options.inferences:
                break
            if server.process.poll() is not None:
                counts.add("the server ended")
                break
            done.wait(min(_REPORT_S, max(1.0, options.minutes * 60 - elapsed)))
            print(
                f"{elapsed / 60:5.1f} min  {counts.answered} answered, {counts.lost} lost, "
                f"{counts.wrong} wrong",
                file=sys.stderr,
                flush=True,
            )
    finally:
        done.set()
        for thread in threads:
            thread.join()
    return counts, time.monotonic() - began


def _restarts(server: servers.Server) -> int:
    name = f'tritium_worker_restarts_total{{model="{MODEL}",'
    lines = server.get_text("/metrics", port=server.metrics_port).splitlines()
    counts = [int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(name)]
    if not counts:
        raise servers.ServerFailedError(f"{server.name}: /metrics has no {name}...}}")
    return sum(counts)


def _write_fragment(line: str, counts: Counts) -> None:
    facts = {"date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}", **machine_facts()}
    facts["versions"] = versions(("tritium-server", "numpy"))
    text = ["## OneFlow's own runtime, soaked", "", "Written by `python -m benchmarks.oneflow_soak`.", ""]
    text += [f"- {name}: {value}" for name, value in facts.items()]
    text += ["", f"A small ResNet at batches of 1, 2 and 4, {CLIENTS} clients over HTTP: {line}.", ""]
    text += [f"- {count} x {json.dumps(reason)}" for reason, count in counts.reasons.items()]
    FRAGMENT.write_text("\n".join(text).rstrip() + "\n")
    refresh()


if __name__ == "__main__":
    sys.exit(main())
