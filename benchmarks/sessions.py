"""onnxruntime with no server around it: what a server's throughput is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.load import Window, repeat_window
from benchmarks.reference import UnavailableError


def session_window(
    network: Path, inputs: Mapping[str, npt.NDArray[np.float32]], *, concurrency: int, seconds: float
) -> Window:
    """``session.run`` in a bare loop in ``concurrency`` threads, each with a one-thread session of its own.

    Raises:
        UnavailableError: onnxruntime is missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError("onnxruntime is missing; install the extra 'onnx'") from error

    def prepare() -> Callable[[], object]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])

        def run() -> None:
            session.run(None, dict(inputs))

        run()
        return run

    return repeat_window([prepare() for _ in range(concurrency)], seconds=seconds)
