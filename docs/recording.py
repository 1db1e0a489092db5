"""Runs on a real server, recorded for the pictures: who asked when, and when its batch ran."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tritonclient.http as http

from benchmarks.servers import tritium
from docs.draw_timeline import Bar, draw

_PICTURES = Path(__file__).with_name("pictures")
_TENSORS = """
backend: "python"
input { name: "IN" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "OUT" data_type: TYPE_FP64 dims: [ 3 ] }
"""
# Works for as many milliseconds as IN says, and answers when the batch began and ended (monotonic seconds)
# and its number.
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
        inputs = [pb_utils.get_input_tensor_by_name(request, "IN") for request in requests]
        time.sleep(max(float(tensor.as_numpy().max()) for tensor in inputs) / 1000)
        seen = np.array([[began, time.monotonic(), self.batches]])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", seen)]) for _ in requests]
"""
_LEAD_S = 0.3  # for all clients to be connected


@dataclass(frozen=True, slots=True)
class Question:
    """A request to be sent ``at`` so many ms, which takes ``work_ms`` to run."""

    model: str
    at_ms: float
    work_ms: float
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """When it was sent and answered and its batch began and ended, in ms; and the batch's number, from 1."""

    sent_ms: float
    answered_ms: float
    began_ms: float
    ended_ms: float
    batch: int


def record(configs: Mapping[str, str], questions: Sequence[Question], *flags: str) -> list[Run]:
    """Ask a server with models of these configurations.

    Args:
        configs: by model, what its config.pbtxt says beside the tensors; ``max_batch_size`` is among it.
    """
    with tempfile.TemporaryDirectory() as directory:
        for name, config in configs.items():
            (Path(directory) / name / "1").mkdir(parents=True)
            (Path(directory) / name / "1" / "model.py").write_text(_MODEL)
            (Path(directory) / name / "config.pbtxt").write_text(_TENSORS + config)
        with (
            tritium(Path(directory), *flags) as server,
            ThreadPoolExecutor(len(questions)) as pool,
        ):
            address = f"127.0.0.1:{server.http_port}"
            warm = {name: _ask(address, Question(name, 0, 0), 0.0) for name in configs}
            start = time.monotonic() + _LEAD_S
            asked = [pool.submit(_ask, address, each, start) for each in questions]
            found = [each.result() for each in asked]
    runs = []
    for question, (*times, number) in zip(questions, found, strict=True):
        sent_ms, answered_ms, began_ms, ended_ms = (round((at - start) * 1000, 1) for at in times)
        batch = int(number - warm[question.model][-1])
        runs.append(Run(sent_ms, answered_ms, began_ms, ended_ms, batch))
    return runs


def _ask(address: str, question: Question, start: float) -> tuple[float, float, float, float, float]:
    tensor = http.InferInput("IN", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.full((1, 1), question.work_ms, np.float32))
    with http.InferenceServerClient(address) as client:
        client.is_server_live()
        time.sleep(max(0.0, start + question.at_ms / 1000 - time.monotonic()))
        sent = time.monotonic()
        answer = client.infer(question.model, [tensor], priority=question.priority).as_numpy("OUT")[0]
        answered = time.monotonic()
    began, ended, number = (float(each) for each in answer)
    return sent, answered, began, ended, number


def publish(name: str, title: str, bars: Sequence[Bar]) -> None:
    """Write ``pictures/<name>.json``, the run, and the picture of it."""
    run = {"title": title, "unit": "ms", "bars": [asdict(bar) for bar in bars]}
    (_PICTURES / f"{name}.json").write_text(json.dumps(run, indent=1) + "\n")
    (_PICTURES / f"{name}.svg").write_text(draw(title, bars))
