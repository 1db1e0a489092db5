"""Record a run of the dynamic batcher and draw it: ``python -m docs.record_dynamic_batching``.

It writes ``pictures/dynamic_batching.json``, the times as they were, and the picture made of it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tritonclient.http as http

from benchmarks.servers import tritium
from docs.draw_timeline import Bar, draw

_PICTURES = Path(__file__).with_name("pictures")
_TITLE = "preferred_batch_size: 3, a delay of 40 ms, two priority levels, one instance"
_CONFIG = """
backend: "python"
max_batch_size: 4
input { name: "IN" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "OUT" data_type: TYPE_FP64 dims: [ 3 ] }
dynamic_batching {
  preferred_batch_size: 3
  max_queue_delay_microseconds: 40000
  priority_levels: 2
  default_priority_level: 2
}
"""
# Works for 50 ms, and answers when the batch began and ended (monotonic seconds), and its number.
_MODEL = """
import time
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.batches = 0

    def execute(self, requests):
        self.batches += 1
        began = time.monotonic()
        time.sleep(0.05)
        seen = np.array([[began, time.monotonic(), self.batches]])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", seen)]) for _ in requests]
"""
# When each request is sent, in seconds, and its priority.
_ARRIVALS = [
    (0.0, 2),
    (0.015, 2),
    (0.03, 2),
    (0.045, 2),
    (0.055, 2),
    (0.065, 2),
    (0.07, 2),
    (0.075, 1),
    (0.2, 2),
]


def main() -> int:
    """Record, and draw."""
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory) / "model"
        (model / "1").mkdir(parents=True)
        (model / "1" / "model.py").write_text(_MODEL)
        (model / "config.pbtxt").write_text(_CONFIG)
        with tritium(Path(directory)) as server, ThreadPoolExecutor(len(_ARRIVALS)) as pool:
            address = f"127.0.0.1:{server.http_port}"
            _ask(address, 0.0, 2)  # the first one of a connection is slower
            start = time.monotonic() + 0.2
            asked = [pool.submit(_ask, address, start + at, priority) for at, priority in _ARRIVALS]
            runs = [each.result() for each in asked]
    first_batch = min(number for *_, number in runs) - 1
    bars = []
    for place, (sent, began, ended, number) in enumerate(runs):
        priority = _ARRIVALS[place][1]
        lane = f"request {place + 1}" + (", priority 1" if priority == 1 else "")
        times = [round((moment - start) * 1000, 1) for moment in (sent, began, ended)]
        bars.append(Bar(lane, times[0], times[1], "waits", "waits"))
        bars.append(Bar(lane, times[1], times[2], f"batch {int(number - first_batch)}", "runs"))
    record = {"title": _TITLE, "unit": "ms", "bars": [asdict(bar) for bar in bars]}
    (_PICTURES / "dynamic_batching.json").write_text(json.dumps(record, indent=1) + "\n")
    (_PICTURES / "dynamic_batching.svg").write_text(draw(_TITLE, bars))
    return 0


def _ask(address: str, when: float, priority: int) -> tuple[float, float, float, float]:
    """Ask at ``when``: when it was sent, when its batch began and ended, and the batch's number."""
    tensor = http.InferInput("IN", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 1), np.float32))
    with http.InferenceServerClient(address) as client:
        client.is_server_live()
        time.sleep(max(0.0, when - time.monotonic()))
        sent = time.monotonic()
        began, ended, number = client.infer("model", [tensor], priority=priority).as_numpy("OUT")[0]
    return sent, float(began), float(ended), float(number)


if __name__ == "__main__":
    sys.exit(main())
