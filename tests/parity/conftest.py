"""One server with the models of WIRE.md's recordings: echo, echo0, types, textgen and friends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.models import ALL_TYPES, FAILING, write_onnx_model, write_python_model
from tests.harness.server import ServerProcess

FULL = """
class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.2)
        return [answer(values(request)) for request in requests]
"""


def write_models(root: Path) -> None:
    write_python_model(root, "echo")
    two_any = {"inputs": [("IN", "FP32", [2, -1])], "outputs": [("OUT", "FP32", [2, -1])]}
    write_python_model(root, "echo0", max_batch_size=0, **two_any)  # type: ignore[arg-type]
    write_python_model(
        root, "types", max_batch_size=0,
        inputs=[(f"I_{kind}", kind, [-1]) for kind in ALL_TYPES if kind != "BF16"],
        outputs=[(f"O_{kind}", kind, [-1]) for kind in ALL_TYPES if kind != "BF16"],
    )  # fmt: skip
    write_python_model(root, "textgen", inputs=[("text_input", "STRING", [1]), ("seed?", "INT32", [1])],
                       outputs=[("text_output", "STRING", [1]), ("seed_output", "INT32", [1])])  # fmt: skip
    write_python_model(root, "m", inputs=[("A", "FP32", [-1]), ("B", "FP32", [-1])],
                       outputs=[("C", "FP32", [-1]), ("D", "FP32", [-1])])  # fmt: skip
    write_python_model(
        root, "word", max_batch_size=0, inputs=[("IN", "STRING", [1])], outputs=[("OUT", "STRING", [1])]
    )
    write_python_model(
        root, "words", max_batch_size=0, inputs=[("IN", "STRING", [-1])], outputs=[("OUT", "STRING", [-1])]
    )
    write_python_model(
        root, "flags", max_batch_size=0, inputs=[("IN", "BOOL", [-1])], outputs=[("OUT", "BOOL", [-1])]
    )
    write_python_model(
        root,
        "square",
        max_batch_size=0,
        inputs=[("IN", "FP32", [-1, -1])],
        outputs=[("OUT", "FP32", [-1, -1])],
    )
    write_python_model(
        root, "double64", max_batch_size=0, inputs=[("IN", "FP64", [-1])], outputs=[("OUT", "FP64", [-1])]
    )
    for kind in ("UINT8", "INT8", "INT32", "INT64", "UINT64"):
        same = {"inputs": [("IN", kind, [-1])], "outputs": [("OUT", kind, [-1])]}
        write_python_model(root, kind.lower(), max_batch_size=0, **same)  # type: ignore[arg-type]
    write_python_model(root, "err", FAILING)
    write_python_model(
        root, "full", FULL, extra="dynamic_batching { default_queue_policy { max_queue_size: 1 } }"
    )
    write_python_model(root, "scores")
    labelled = (root / "scores" / "config.pbtxt").read_text()
    labelled = labelled.replace('output { name: "OUT"', 'output { name: "OUT" label_filename: "labels.txt"')
    (root / "scores" / "config.pbtxt").write_text(labelled)
    (root / "scores" / "labels.txt").write_text("cat\ndog\n")
    write_python_model(root, "versions", versions=[1, 2, 10], extra="version_policy { all {} }")
    write_onnx_model(root, "double")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("parity")
    write_models(root / "models")
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running
        running.assert_three_ok()
