"""An eager model of OneFlow: what ``oneflow.save`` wrote of it, loaded and run.

Reading it runs code of whoever wrote it; the server has been told that this is allowed before a worker comes
here.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

import numpy as np

from tritium_worker.dtypes import TRITON_STRING_TO_NUMPY
from tritium_worker.oneflow_graph import VERSION, Arrays, Runtime

BUILDER = "build_model"  # the function of model.py that gives the module of a state dict
GRAPH_API = "load_runtime_state_dict"

Specs = Sequence[Dict[str, Any]]  # name, data_type and shape of each tensor


class ModelError(Exception):
    """The model is not what it should be; the text says what to do."""


def load_module(runtime: Runtime, directory: str, builder: Callable[[], Any]) -> Any:
    """The module in ``directory``, on the CPU and in eval mode.

    Args:
        builder: gives ``build_model`` of model.py; asked where ``directory`` holds a state dict.

    Raises:
        ModelError: it holds something else, or the class of the module is not found.
        Exception: whatever the model's own code, or OneFlow, raises.
    """
    flow = runtime.flow
    try:
        found = flow.load(directory, map_location="cpu", support_pytorch_format=False)
    except (AttributeError, ImportError) as error:
        raise ModelError(
            "the class of the saved module is not found: %s; define it in a file beside the model's "
            "directory and save the module from a program that imports it from there (a class of the program "
            "that saves it cannot be found again), or save module.state_dict()" % error
        ) from error
    if isinstance(found, flow.nn.Module):
        module = found
    elif _is_state_dict(found, flow.Tensor):
        module = builder()()
        if not isinstance(module, flow.nn.Module):
            text = "%s of model.py returned %s, expected an oneflow.nn.Module"
            raise ModelError(text % (BUILDER, type(module).__name__))
        module.load_state_dict(found)
    else:
        raise ModelError(_unknown(found, hasattr(flow.nn.Graph, GRAPH_API)))
    return module.to("cpu").eval()


class ModuleRunner:
    """Calls a module: arrays in, arrays out.

    Args:
        outputs: as config.pbtxt has them, in the order of the module's results.
        batching: the first dimension of every tensor is that of the rows.
    """

    def __init__(self, runtime: Runtime, module: Any, outputs: Specs, batching: bool) -> None:
        self._runtime = runtime
        self._module = module
        self._outputs = outputs
        self._batching = batching

    def run(self, arrays: Arrays) -> List[Any]:
        """Run once.

        Returns:
            Copies, for a module may give memory of its own.

        Raises:
            ModelError: the results are not those of config.pbtxt.
        """
        inputs = [self._runtime.tensor(array, array.dtype.name) for array in arrays]
        with self._runtime.flow.no_grad():
            results = list(_tensors(self._module(*inputs)))
        if len(results) != len(self._outputs):
            text = "the module returned %d tensors, but config.pbtxt has %d outputs"
            raise ModelError(text % (len(results), len(self._outputs)))
        rows = arrays[0].shape[0] if self._batching else None
        return [self._checked(result.numpy(), spec, rows) for result, spec in zip(results, self._outputs)]

    def _checked(self, array: Any, spec: Dict[str, Any], rows: Any) -> Any:
        wanted = np.dtype(TRITON_STRING_TO_NUMPY[spec["data_type"]])
        shape = ([] if rows is None else [rows]) + list(spec["shape"])
        found = list(array.shape) if array.shape or rows is not None else [1]  # a scalar is [1] to clients
        fits = len(found) == len(shape) and all(want in (-1, got) for got, want in zip(found, shape))
        if array.dtype != wanted or not fits:
            raise ModelError(
                "output '%s' is %s of shape %s, but config.pbtxt says %s and the shape %s; change that "
                "or what forward returns" % (spec["name"], array.dtype, found, wanted, shape)
            )
        return np.array(array, order="C").reshape(found)


def zeros(inputs: Specs, batching: bool) -> Any:
    """One batch of zeros for a first run; None where config.pbtxt leaves a shape open."""
    if any(-1 in spec["shape"] for spec in inputs):
        return None
    rows = [1] if batching else []
    return [np.zeros(rows + spec["shape"], TRITON_STRING_TO_NUMPY[spec["data_type"]]) for spec in inputs]


def _is_state_dict(found: Any, tensor: Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(key, str) and isinstance(value, tensor) for key, value in found.items()
    )


def _unknown(found: Any, has_api: bool) -> str:
    text = "the pickle holds %s, expected an oneflow.nn.Module or a state dict" % type(found).__name__
    if isinstance(found, dict):
        others = ["'%s' (%s)" % (key, type(value).__name__) for key, value in found.items()]
        text += ", whose values are all tensors; it has " + ", ".join(others[:8])
    if not has_api:
        text += (
            "; if it is the runtime_state_dict of a graph: only nn.Graph.%s reads that, which OneFlow %s "
            "does not have" % (GRAPH_API, VERSION)
        )
    return text + "; save module.state_dict(), or the graph itself: oneflow.save(graph, directory)"


def _tensors(result: Any) -> Any:
    """The tensors of what ``forward`` returned, in order; of dictionaries, in theirs."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        for item in result:
            yield from _tensors(item)
    elif hasattr(result, "numpy"):
        yield result
    else:
        raise ModelError("the module returned %s, expected tensors" % type(result).__name__)
