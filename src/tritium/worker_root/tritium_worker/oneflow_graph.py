"""Graphs that OneFlow 0.9.0 saved, run by OneFlow itself.

Everything here is called from one thread: OneFlow does not bear two, and its graphs are serialised by
nothing else once the queue is replaced (``oneflow_stand_ins``). A graph's memory is only given back by the
end of the process.
"""

from __future__ import annotations

import importlib
import itertools
import os
from typing import Any, List, Sequence, Tuple

import numpy as np

from tritium_worker import oneflow_stand_ins as stand_ins
from tritium_worker.oneflow_job import (
    DTYPES,
    activation_bytes,
    blob_type,
    move_to_cpu,
    named,
    operations,
    set_rows,
)

VERSION = "0.9.0"
Arrays = Sequence["np.ndarray[Any, Any]"]

_FIRST_JOB_ID = 1 << 20  # away from those that OneFlow gives itself


class Runtime:
    """OneFlow, imported into this process.

    Args:
        site_packages: where it is installed.

    Raises:
        ImportError: it cannot be imported.
        RuntimeError: it is another version, or built otherwise.
    """

    def __init__(self, site_packages: str) -> None:
        stand_ins.replace_queue()
        self.flow: Any = importlib.import_module("oneflow")
        if self.flow.__version__ != VERSION or not stand_ins.has_queue(site_packages):
            raise RuntimeError("expected OneFlow %s, found %s" % (VERSION, self.flow.__version__))
        self.internal: Any = importlib.import_module("oneflow._oneflow_internal")
        self.jobs: Any = importlib.import_module("oneflow.core.job.job_pb2")
        self.text_format: Any = importlib.import_module("google.protobuf.text_format")
        tensors: Any = importlib.import_module("oneflow.framework.tensor_tuple_util")
        self.tensor_tuple: Any = tensors.convert_to_tensor_tuple
        session_context: Any = importlib.import_module("oneflow.framework.session_context")
        self.session: Any = session_context.GetDefaultSession()
        self.session.TryInit()
        self.job_ids = itertools.count(_FIRST_JOB_ID)

    def tensor(self, array: np.ndarray[Any, Any], dtype: str) -> Any:
        """A tensor with a copy of ``array``. Row-major: of others OneFlow reads wrong elements."""
        return self.flow.tensor(np.require(array, requirements="C"), dtype=getattr(self.flow, dtype))

    def empty(self, shape: Sequence[int], dtype: str) -> Any:
        """A tensor to be filled."""
        return self.tensor(np.zeros(tuple(shape), dtype), dtype)


class SavedGraph:
    """A graph as it was saved: its job, and its parameters in memory.

    Args:
        directory: with model.mlir and the parameters.
        inputs: the names of the input operations in the order of the call.
        outputs: those of the output operations.

    Raises:
        ValueError: the files contradict each other.
        Exception: whatever OneFlow raises; it may also end the process.
    """

    def __init__(self, runtime: Runtime, directory: str, inputs: List[str], outputs: List[str]) -> None:
        self.runtime = runtime
        self.job = runtime.jobs.Job()
        path = os.path.join(directory, "model.mlir")
        self.job.ParseFromString(runtime.internal.nn.graph.LoadSerializedJobFromIR(path))
        move_to_cpu(self.job)
        self.input_names, self.output_names = inputs, outputs
        self.inputs = [blob_type(op.input_conf.blob_conf) for op in named(self.job, "input_conf", inputs)]
        self.outputs = [blob_type(op.output_conf.blob_conf) for op in named(self.job, "output_conf", outputs)]
        variables = operations(self.job, "variable_conf")
        self.variable_names = [op.name for op in variables]
        self.variables = runtime.tensor_tuple([self._parameter(directory, op) for op in variables])
        self.rows = self.inputs[0][0][0] if self.inputs and self.inputs[0][0] else 0

    def _parameter(self, directory: str, op: Any) -> Any:
        shape, dtype = blob_type(op.variable_conf)
        elements = np.fromfile(os.path.join(directory, op.name, "out"), dtype=dtype)
        if elements.size != int(np.prod(shape, dtype=np.int64)):
            text = "parameter '%s' has %d elements, expected shape %s"
            raise ValueError(text % (op.name, elements.size, list(shape)))
        return self.runtime.tensor(elements.reshape(shape), dtype)

    def compile(self, rows: int) -> CompiledGraph:
        """The graph for batches of ``rows``; the saved number leaves it as it is."""
        return CompiledGraph(self, rows)


class CompiledGraph:
    """A graph at one batch size, ready to run."""

    def __init__(self, saved: SavedGraph, rows: int) -> None:
        runtime = saved.runtime
        job = runtime.jobs.Job()
        job.CopyFrom(saved.job)
        if rows != saved.rows:
            set_rows(job, saved.rows, rows)
        self._saved = saved
        self._inputs = [_sized(type_, saved.rows, rows) for type_ in saved.inputs]
        outputs = [_sized(type_, saved.rows, rows) for type_ in saved.outputs]
        self._results = [runtime.empty(*type_) for type_ in outputs]
        self._output_tuple = runtime.tensor_tuple(self._results)
        self._graph = self._compile(job)
        self._check(outputs)

    def _compile(self, job: Any) -> Any:
        runtime, saved = self._saved.runtime, self._saved
        job_id = next(runtime.job_ids)
        name = "tritium_%d_%s" % (job_id, job.job_conf.job_name)
        job.job_conf.job_name = name
        job.job_conf.predict_conf.SetInParent()
        scope = runtime.internal.MakeInitialScope(
            runtime.text_format.MessageToString(job.job_conf), runtime.flow.placement("cpu", [0]), False
        )
        for op in job.net.op:
            op.scope_symbol_id = scope.symbol_id
        context = runtime.session._session_ctx
        graph = runtime.internal.nn.graph.CNNGraph(name, job.SerializeToString(), job_id, context)
        inputs = runtime.tensor_tuple([runtime.empty(*type_) for type_ in self._inputs])
        graph.register_input_op_names_and_tensors(saved.input_names, inputs)
        graph.register_output_op_names_and_tensors(saved.output_names, self._output_tuple)
        graph.register_variable_op_names_and_tensors(saved.variable_names, saved.variables)
        runtime.internal.eager.Sync()
        graph.complie_and_init_runtime()
        return graph

    def _check(self, outputs: Sequence[Tuple[Tuple[int, ...], str]]) -> None:
        """The shapes that OneFlow inferred are those that there is memory for."""
        job = self._saved.runtime.jobs.Job()
        job.ParseFromString(self._graph.get_current_job_str())
        sizes = {number: np.dtype(name).itemsize for number, name in DTYPES.items()}
        self.activation_bytes = activation_bytes(job, sizes)
        for name, (shape, _) in zip(self._saved.output_names, outputs):
            found = job.helper.lbn2logical_blob_desc.get(name + "/out")
            if found is not None and tuple(found.shape.dim) != shape:
                text = "output '%s' has shape %s, expected %s"
                raise ValueError(text % (name, list(found.shape.dim), list(shape)))

    def run(self, arrays: Arrays) -> List[np.ndarray[Any, Any]]:
        """Run once.

        Returns:
            Views of the graph's own memory, which the next run overwrites.
        """
        runtime = self._saved.runtime
        inputs = [runtime.tensor(array, dtype) for array, (_, dtype) in zip(arrays, self._inputs)]
        graph = runtime.internal.nn.graph
        graph.RunLazyNNGraph(
            runtime.tensor_tuple(inputs), self._output_tuple, self._saved.variables, self._graph
        )
        graph.SoftSyncNNGraphBuffers(self._output_tuple, self._graph)
        return [result.numpy() for result in self._results]


def _sized(type_: Tuple[Tuple[int, ...], str], saved: int, rows: int) -> Tuple[Tuple[int, ...], str]:
    """A tensor's type at another number of rows; tensors without rows keep theirs."""
    shape, dtype = type_
    return type_ if rows == saved else ((rows, *shape[1:]), dtype)
