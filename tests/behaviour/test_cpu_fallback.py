"""Models that ask for a GPU, on a machine that has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.models import write_onnx_model, write_python_model
from tests.harness.server import ServerProcess

GPU = "instance_group { count: 2 kind: KIND_GPU }"


def test_with_the_flag_they_are_served_on_the_cpu_and_the_log_says_so(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    write_python_model(tmp_path / "models", "echo", extra=GPU)
    write_onnx_model(tmp_path / "models", "double", extra=GPU)
    with ServerProcess(tmp_path / "models", "--cpu-fallback", log=tmp_path / "log") as server:
        for model in ("echo", "double"):
            assert server.ready(model)
            shown = server.get(f"/v2/models/{model}/config").json
            assert [(group["kind"], group["count"]) for group in shown["instance_group"]] == [("KIND_CPU", 2)]
            assert (
                f"model '{model}', instance group 0: it has kind KIND_GPU, and no GPU is available; served "
                "on the CPU"
            ) in server.output()
