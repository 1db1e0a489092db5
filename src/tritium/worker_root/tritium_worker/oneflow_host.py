"""A graph that OneFlow saved, run by OneFlow in this process: the counterpart of ``model_host``.

What to serve comes with the server's arguments as JSON, ``args["oneflow"]``:

    {"site_packages", "memory_mb", "max_batch_size",
     "inputs": [names of the input operations, in the order of the call], "outputs": [...]}

OneFlow may end the process while a graph is loaded, which is why nothing else is in it.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List, Optional, Protocol, Sequence

import numpy as np

from tritium_worker.errors import HostError, TritonError
from tritium_worker.logger import Logger
from tritium_worker.model_host import ModelHost
from tritium_worker.oneflow_batches import Batches
from tritium_worker.oneflow_graph import Runtime, SavedGraph
from tritium_worker.request import InferenceRequest
from tritium_worker.response import InferenceResponse
from tritium_worker.tensor import Tensor

_MAX_TEXT_CHARS = 600
_COLOURS = re.compile(r"\x1b\[[\d;]*m")


class Runner(Protocol):
    """What runs arrays: a graph, or the graphs of several batch sizes."""

    def run(self, arrays: Sequence[Any]) -> List[Any]:
        """The results, in memory that the next run may overwrite."""


class OneFlowHost(ModelHost):
    """Runs the graph in ``<model_dir>/<version>/<filename>``. See ``ModelHost`` for the arguments."""

    def __init__(
        self, model_dir: str, version: str, filename: str, name: str, *, debug_errors: bool = False
    ) -> None:
        super().__init__(model_dir, version, filename, name, debug_errors=debug_errors)
        self._path = os.path.join(os.path.abspath(model_dir), version, filename)
        self._graph: Optional[Runner] = None
        self._batches: Optional[Runner] = None
        self._input_names: List[str] = []
        self._output_names: List[str] = []
        self._shapes: List[Any] = []

    def load(self) -> None:
        """Nothing: cores are chosen before OneFlow is imported, and they come with ``initialize``."""

    def autocomplete(self, config: Dict[str, Any]) -> Dict[str, Any]:
        """``config`` as it is: the server has read the graph already."""
        return config

    def initialize(self, args: Dict[str, str]) -> None:
        """Import OneFlow and load the graph; it has run once when this returns.

        Raises:
            HostError: OneFlow refuses it.
        """
        settings = json.loads(args["oneflow"])
        use_cores(args.get("cores", ""))
        try:
            runtime = Runtime(settings["site_packages"])
            saved = SavedGraph(runtime, self._path, settings["inputs"], settings["outputs"])
            self._shapes = [shape for shape, _ in saved.inputs]
            self._input_names = ["INPUT_%d" % index for index in range(len(saved.inputs))]
            self._output_names = ["OUTPUT_%d" % index for index in range(len(settings["outputs"]))]
            if settings["max_batch_size"]:
                batches = Batches(
                    saved.rows,
                    settings["max_batch_size"],
                    saved.inputs,
                    saved.compile,
                    settings["memory_mb"] << 20,
                    lambda text: Logger.log_warn("model '%s': %s" % (self.name, _shortened(text))),
                )
                batches.run([np.zeros((1, *shape[1:]), dtype) for shape, dtype in saved.inputs])
                self._batches = batches
            else:
                self._graph = saved.compile(saved.rows)
                self._graph.run([np.zeros(shape, dtype) for shape, dtype in saved.inputs])
        except Exception as error:
            raise self._failed(error) from error

    def execute(self, requests: Sequence[InferenceRequest]) -> List[Optional[InferenceResponse]]:
        """Run one batch.

        Returns:
            A response per request, in order.

        Raises:
            HostError: for all requests: OneFlow, or code of the model, raised.
        """
        try:
            if self._batches is not None:
                return self._execute_together(requests, self._batches)
            return [self._execute_alone(request) for request in requests]
        except BaseException as error:
            raise self._failed(error) from error

    def finalize(self) -> Optional[str]:
        """Let go of the graphs: an exit of the process while one is alive is an abort."""
        self._graph = self._batches = None
        return None

    def _execute_together(
        self, requests: Sequence[InferenceRequest], batches: Runner
    ) -> List[Optional[InferenceResponse]]:
        inputs = [self._inputs(request) for request in requests]
        joined = inputs[0] if len(inputs) == 1 else [np.concatenate(parts) for parts in zip(*inputs)]
        results = batches.run(joined)
        responses: List[Optional[InferenceResponse]] = []
        start = 0
        for arrays in inputs:
            stop = start + arrays[0].shape[0]
            responses.append(self._response([result[start:stop] for result in results]))
            start = stop
        return responses

    def _execute_alone(self, request: InferenceRequest) -> InferenceResponse:
        assert self._graph is not None
        inputs = [array.reshape(shape) for array, shape in zip(self._inputs(request), self._shapes)]
        return self._response([np.atleast_1d(result.copy()) for result in self._graph.run(inputs)])

    def _inputs(self, request: InferenceRequest) -> List[Any]:
        by_name = {tensor.name(): tensor for tensor in request.inputs()}
        return [by_name[name].as_numpy() for name in self._input_names]

    def _response(self, results: Sequence[Any]) -> InferenceResponse:
        return InferenceResponse([Tensor(name, result) for name, result in zip(self._output_names, results)])

    def _failed(self, error: BaseException) -> HostError:
        failure = self._failures.host_error(error)
        text = _shortened(self._failures.without_server_paths(str(error)))
        return HostError(
            TritonError.INTERNAL, "OneFlow: %s: %s" % (type(error).__name__, text), failure.traceback
        )


def _shortened(text: str) -> str:
    """The lines of OneFlow's errors that say what is wrong: between a stack and its templates."""
    lines = [line.strip() for line in _COLOURS.sub("", text).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("File ")]
    return " ".join(telling or lines)[:_MAX_TEXT_CHARS]


def use_cores(cores: str) -> None:
    """Keep this process, and the threads that OneFlow starts on import, to ``cores`` ("0,1"; empty for all).

    Nothing else limits what OneFlow takes: neither its own setting nor OMP_NUM_THREADS.
    """
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
