"""OneFlow graphs to ONNX models, for this server and any other program that runs ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tritium.errors import UnsupportedError
from tritium.oneflow.reader import read_graph
from tritium.oneflow.translate import translate

if TYPE_CHECKING:
    from onnx import ModelProto


def to_onnx(path: str | Path) -> ModelProto:
    """The graph that ``oneflow.save(graph, path)`` wrote, as an ONNX model with its weights inside.

    Inputs are INPUT_0, INPUT_1, ... and outputs OUTPUT_0, ... in the order of the call. The first dimension
    is named ``batch`` where the graph is proven to treat rows independently; the metadata ``tritium.batch``
    says so, or why not.

    Raises:
        ConfigError: the directory is not a saved graph, or damaged.
        UnsupportedError: an operation cannot be translated, or the package onnx is missing.
    """
    try:
        import onnx  # noqa: F401 - asked for early, for a clear error
    except ImportError as error:
        raise UnsupportedError(
            "translating OneFlow graphs needs the package onnx; install it: pip install "
            "'tritium-server[oneflow]'"
        ) from error
    return translate(read_graph(Path(path).absolute())).model
