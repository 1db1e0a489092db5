"""model_warmup with workers: run by each instance before the model is ready, and a reason not to load."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json
from tests.harness.models import write_python_model

# Writes what it was given into a file of the instance's own; negative numbers are refused.
NOTING = """
class TritonPythonModel:
    def initialize(self, args):
        self.path = os.path.join(os.path.dirname(__file__), args["model_instance_name"])

    def execute(self, requests):
        with open(self.path, "a") as file:
            file.write(json.dumps([values(request).ravel().tolist() for request in requests]) + "\\n")
        assert min(values(request).min() for request in requests) >= 0, "negative"
        return [answer(values(request)) for request in requests]
"""
SAMPLE = """
model_warmup {{
  name: "sample" batch_size: 2 count: 2
  inputs {{ key: "IN" value {{ data_type: TYPE_FP32 dims: 2 input_data_file: "{}" }} }}
}}
instance_group {{ count: 2 }}
"""


# Notes what it is told of the sequence that a request belongs to.
TOLD = """
class TritonPythonModel:
    def initialize(self, args):
        self.path = os.path.join(os.path.dirname(__file__), args["model_instance_name"])

    def execute(self, requests):
        with open(self.path, "a") as file:
            for request in requests:
                told = [int(values(request, name).item()) for name in ("START", "ID")]
                file.write(json.dumps([request.flags(), *told, request.correlation_id()]) + "\\n")
        return [answer(values(request)) for request in requests]
"""
SEQUENCES = """
sequence_batching {
  oldest { max_candidate_sequences: 4 }
  control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
  control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }
}
"""


def write_warm_model(repository: Path, name: str, numbers: list[float]) -> Path:
    write_python_model(repository, name, NOTING, extra=SAMPLE.format("raw"))
    (repository / name / "warmup").mkdir()
    (repository / name / "warmup" / "raw").write_bytes(np.array(numbers, np.float32).tobytes())
    return repository / name / "1"


def test_every_instance_is_warm_before_the_model_is_ready_or_it_does_not_load(
    repository: Path, start_server: StartServer
) -> None:
    good = write_warm_model(repository, "warm", [1, 2])
    write_warm_model(repository, "negative", [-1, -2])
    write_python_model(repository, "sequences", TOLD, extra=SEQUENCES + SAMPLE.format("raw"))
    (repository / "sequences" / "warmup").mkdir()
    (repository / "sequences" / "warmup" / "raw").write_bytes(np.zeros(2, np.float32).tobytes())
    flags = ["--model-control-mode", "explicit", "--load-model", "echo", "--load-model", "warm"]
    flags += ["--load-model", "sequences"]
    flags += ["--no-strict-readiness"]
    server = start_server(repository, *flags)
    assert server.ready("warm")
    for instance in ("warm_0_0", "warm_0_1"):
        assert (good / instance).read_text() == "[[1.0, 2.0], [1.0, 2.0]]\n" * 2
    (found,) = server.get("/v2/models/warm/stats").json["model_stats"]
    assert (found["inference_count"], found["execution_count"]) == (8, 4)
    found = [
        json.loads(line)
        for instance in ("sequences_0_0", "sequences_0_1")
        for line in (repository / "sequences" / "1" / instance).read_text().splitlines()
    ]
    whole = 3  # START and END
    assert sorted(found) == [[whole, 1, number, number] for number in range(1, 9)]
    assert server.infer("warm", infer_json([3.0])).status == 200
    reply = server.ask("POST", "/v2/repository/models/negative/load", b"{}")
    assert reply.status == 400
    assert "failed to run warmup sample 'sample' on 'negative_0_" in reply.error
    assert not server.ready("negative")
    assert server.ready("warm")
    server.assert_three_ok()
