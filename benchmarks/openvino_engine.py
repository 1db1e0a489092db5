"""Translated OneFlow graphs by OpenVINO against the same by ONNX Runtime: one instance, without a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.comparison import Bar, Row, compared, in_turns
from benchmarks.load import Window, repeat_window
from benchmarks.reference import UnavailableError
from tests.oneflow import environment
from tritium.backends.api import InstanceContext, TensorModel
from tritium.backends.oneflow import OneFlowBackend
from tritium.backends.openvino import is_installed
from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput, ModelParameter
from tritium.oneflow.reader import read_graph

THREADS = (1, 2)
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "model_repository" / "fast_neural_style"
# Of tests/oneflow/networks.py, by what the report calls them.
NETWORKS = {"style network, 256x384": "style_256x384", "flowvision resnet18, 224x224": "resnet18"}


def openvino_engine(workspace: Path, rounds: int, seconds: float) -> list[Row]:
    """A row for each graph and number of threads: inferences per second, at batch 1.

    Args:
        seconds: of one window.

    Raises:
        UnavailableError: OpenVINO is missing.
    """
    if not is_installed():
        raise UnavailableError("openvino is missing; install the extra 'openvino'")
    rows = []
    for what, saved in _graphs().items():
        directory = workspace / saved.parent.name
        (directory / "1").mkdir(parents=True)
        (directory / "1" / "model").symlink_to(saved)
        rows += [_row(f"{what}, {threads} thread{'s' * (threads > 1)}", directory, rounds, seconds, threads)
                 for threads in THREADS]  # fmt: skip
    if not environment.ENABLED:
        note = "skipped: saved by the real OneFlow; set TRITIUM_ONEFLOW_TESTS=1 (downloads 1 GB)"
        rows += [Row(f"{what}: openvino against onnxruntime", note=note) for what in NETWORKS]
    return rows


def _graphs() -> dict[str, Path]:
    """What is measured, and the directory that OneFlow saved it into."""
    graphs = {"fast_neural_style, 256x256": EXAMPLE.resolve() / "1" / "model"}
    if environment.ENABLED:
        networks = environment.saved_networks()
        graphs.update((what, networks / name / "model") for what, name in NETWORKS.items())
    return graphs


def _row(what: str, directory: Path, rounds: int, seconds: float, threads: int) -> Row:
    openvino, onnxruntime = (_window(directory, xrt, seconds, threads) for xrt in ("openvino", ""))
    in_turns(1, openvino, onnxruntime)
    ours, theirs = in_turns(rounds, openvino, onnxruntime)
    mine, other = ([window.per_second for window in side] for side in (ours, theirs))
    row = compared(f"{what}: openvino against onnxruntime", mine, other, "/s", Bar(0.0, "x"))
    return replace(row, bar="", holds=None)


def _window(directory: Path, xrt: str, seconds: float, threads: int) -> Callable[[], Window]:
    """One window of an instance that is opened here."""
    graph = read_graph(directory / "1" / "model")
    (port,) = graph.inputs
    config = ModelConfig(
        name=directory.name,
        backend="oneflow",
        default_model_filename="model",
        max_batch_size=1,
        input=(ModelInput(name="INPUT_0", data_type="TYPE_FP32", dims=port.type.shape[1:]),),
        output=(ModelOutput(name="OUTPUT_0", data_type="TYPE_FP32", dims=graph.outputs[0].type.shape[1:]),),
        parameters={"xrt": ModelParameter(xrt)} if xrt else {},
    )
    model = OneFlowBackend().open(InstanceContext(config, directory, 1, f"{directory.name}_0", threads))
    pixels = np.random.default_rng(seed=1).random(port.type.shape, dtype=np.float32)
    return lambda: repeat_window([_call(model, pixels)], seconds=seconds)


def _call(model: TensorModel, pixels: npt.NDArray[np.float32]) -> Callable[[], object]:
    return lambda: model.run({"INPUT_0": pixels}, ["OUTPUT_0"])
