"""An eager model that OneFlow saved, run by OneFlow in this process: the counterpart of ``oneflow_host``.

What to serve comes with the server's arguments as JSON, ``args["oneflow"]``:

    {"site_packages", "max_batch_size",
     "inputs": [{"name", "data_type", "shape"}, ... in the order of the call], "outputs": [...]}
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict

from tritium_worker.errors import HostError, TritonError
from tritium_worker.model_host import import_file
from tritium_worker.oneflow_graph import Runtime
from tritium_worker.oneflow_host import OneFlowHost, use_cores
from tritium_worker.oneflow_module import BUILDER, ModelError, ModuleRunner, load_module, zeros
from tritium_worker.request import InferenceRequest
from tritium_worker.response import InferenceResponse

_BUILDER_FILE = "model.py"


class OneFlowModuleHost(OneFlowHost):
    """Runs the module in ``<model_dir>/<version>/<filename>``. See ``ModelHost`` for the arguments."""

    def initialize(self, args: Dict[str, str]) -> None:
        """Import OneFlow and load the module; it has run once when this returns, if its shapes are fixed.

        Raises:
            HostError: OneFlow or the model's own code refuses it.
        """
        settings = json.loads(args["oneflow"])
        inputs, outputs = settings["inputs"], settings["outputs"]
        batching = bool(settings["max_batch_size"])
        self._input_names = [spec["name"] for spec in inputs]
        self._output_names = [spec["name"] for spec in outputs]
        use_cores(args.get("cores", ""))
        self._let_import()
        try:
            runtime = Runtime(settings["site_packages"])
            module = load_module(runtime, self._path, self._builder)
            runner = ModuleRunner(runtime, module, outputs, batching)
            example = zeros(inputs, batching)
            if example is not None:
                runner.run(example)
        except BaseException as error:
            raise self._failed(error) from error
        if batching:
            self._batches = runner
        else:
            self._graph = runner

    def _builder(self) -> Any:
        """``build_model`` of the model.py beside the model's directory."""
        shown = f"{self.name}/{self.version}/{_BUILDER_FILE}"
        path = os.path.join(os.path.dirname(self._path), _BUILDER_FILE)
        if not os.path.isfile(path):
            raise ModelError(
                f"the pickle holds a state dict, and there is no '{shown}' to build its module; write one "
                f"with a function {BUILDER}() that returns the oneflow.nn.Module, without its weights"
            )
        builder = getattr(import_file(path, self.version), BUILDER, None)
        if not callable(builder):
            raise ModelError(f"'{shown}' has no function {BUILDER}(), which returns the oneflow.nn.Module")
        return builder

    def _execute_alone(self, request: InferenceRequest) -> InferenceResponse:
        assert self._graph is not None
        return self._response(self._graph.run(self._inputs(request)))

    def _failed(self, error: BaseException) -> HostError:
        if not isinstance(error, ModelError):
            return super()._failed(error)
        text = self._failures.without_server_paths(str(error))
        traceback = self._failures.host_error(error).traceback
        return HostError(TritonError.INTERNAL, f"model '{self.name}': {text}", traceback)
