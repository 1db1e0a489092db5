"""Record a run of the sequence batcher and draw it: ``python -m docs.record_sequence_batching``.

It writes ``pictures/sequence_batching.json``, the times as they were, and the picture made of it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tritonclient.http as http

from benchmarks.servers import tritium
from docs.draw_timeline import Bar, draw

_PICTURES = Path(__file__).with_name("pictures")
_TITLE = "direct strategy, two slots, one instance; a sequence is forgotten when it idles for 150 ms"
_CONFIG = """
backend: "python"
max_batch_size: 2
input { name: "IN" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "OUT" data_type: TYPE_FP64 dims: [ 3 ] }
sequence_batching { direct { } max_sequence_idle_microseconds: 150000 }
"""
# Works for 40 ms, and answers when the batch began and ended (monotonic seconds), and the request's row.
_MODEL = """
import time
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        began = time.monotonic()
        time.sleep(0.04)
        ended = time.monotonic()
        rows = [np.array([[began, ended, row]]) for row in range(len(requests))]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", row)]) for row in rows]
"""


class Step(NamedTuple):
    """A request: when it is sent, in seconds, of which sequence, and the flags START (S) and END (E)."""

    at: float
    sequence: str
    flags: str = ""


_STEPS = (
    Step(0.0, "A", "S"),
    Step(0.02, "B", "S"),
    Step(0.03, "C", "S"),
    Step(0.06, "A"),
    Step(0.07, "B"),
    Step(0.15, "A", "E"),
    Step(0.16, "B"),
    Step(0.22, "D", "S"),
    Step(0.26, "C"),
)


def main() -> int:
    """Record, and draw."""
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory) / "model"
        (model / "1").mkdir(parents=True)
        (model / "1" / "model.py").write_text(_MODEL)
        (model / "config.pbtxt").write_text(_CONFIG)
        with tritium(Path(directory)) as server, ThreadPoolExecutor(len(_STEPS)) as pool:
            address = f"127.0.0.1:{server.http_port}"
            _ask(address, 0.0, Step(0.0, "first", "SE"))  # the first one of a server is slower
            start = time.monotonic() + 0.2
            asked = [pool.submit(_ask, address, start + step.at, step) for step in _STEPS]
            runs = [each.result() for each in asked]
    bars = []
    for step, (sent, began, ended, row) in sorted(
        zip(_STEPS, runs, strict=True), key=lambda each: (each[0].sequence, each[0].at)
    ):
        times = [round((moment - start) * 1000, 1) for moment in (sent, began, ended)]
        lane = f"sequence {step.sequence}"
        bars.append(Bar(lane, times[0], times[1], "waits", "waits"))
        flag = {"S": "START, ", "E": "END, "}.get(step.flags, "")
        bars.append(Bar(lane, times[1], times[2], f"{flag}row {int(row)}", f"row {int(row)}"))
    record = {"title": _TITLE, "unit": "ms", "bars": [asdict(bar) for bar in bars]}
    (_PICTURES / "sequence_batching.json").write_text(json.dumps(record, indent=1) + "\n")
    (_PICTURES / "sequence_batching.svg").write_text(draw(_TITLE, bars))
    return 0


def _ask(address: str, when: float, step: Step) -> tuple[float, float, float, float]:
    """Ask at ``when``: when it was sent, when its batch began and ended, and its row."""
    tensor = http.InferInput("IN", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 1), np.float32))
    with http.InferenceServerClient(address) as client:
        client.is_server_live()
        time.sleep(max(0.0, when - time.monotonic()))
        sent = time.monotonic()
        answer = client.infer(
            "model",
            [tensor],
            sequence_id=step.sequence,
            sequence_start="S" in step.flags,
            sequence_end="E" in step.flags,
        )
        began, ended, row = answer.as_numpy("OUT")[0]
    return sent, float(began), float(ended), float(row)


if __name__ == "__main__":
    sys.exit(main())
