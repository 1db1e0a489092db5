"""Tiny models, written into a repository by the tests that need them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

TensorSpec = tuple[str, str, Sequence[int]]  # name, TYPE_ without the prefix, dims

IN_OUT: tuple[Sequence[TensorSpec], Sequence[TensorSpec]] = ([("IN", "FP32", [-1])], [("OUT", "FP32", [-1])])

_NUMBERS = "UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64"
ALL_TYPES = ("BOOL", *_NUMBERS.split(), "STRING", "BF16")

# Every model below says which process ran a request, where the protocol has room for it.
_HEAD = """
import json, os, time
import numpy as np
import triton_python_backend_utils as pb_utils

def values(request, name="IN"):
    return pb_utils.get_input_tensor_by_name(request, name).as_numpy()

def answer(array, name="OUT"):
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array)], parameters={"pid": os.getpid()})
"""

ECHO = """
class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.pairs = [(i["name"], o["name"]) for i, o in zip(config["input"], config["output"])]

    def execute(self, requests):
        responses = []
        for request in requests:
            found = {tensor.name(): tensor for tensor in request.inputs()}
            outputs = [pb_utils.Tensor(o, found[i].as_numpy()) for i, o in self.pairs if i in found]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
"""

PLAIN = """
class TritonPythonModel:
    def execute(self, requests):
        return [answer(values(request)) for request in requests]
"""

# IN is seconds to wait; from half a second on, a file ``.running`` beside model.py says that it waits.
SLOW = """
class TritonPythonModel:
    def execute(self, requests):
        seconds = max(float(values(request).max()) for request in requests)
        if seconds >= 0.5:
            open(os.path.join(os.path.dirname(__file__), ".running"), "w").close()
        time.sleep(seconds)
        return [answer(values(request)) for request in requests]
"""

# Does not end to load before there is a file ``go`` in its directory.
STUCK = """
class TritonPythonModel:
    def initialize(self, args):
        while not os.path.exists(os.path.join(args["model_repository"], "go")):
            time.sleep(0.01)

    def execute(self, requests):
        return [answer(values(request)) for request in requests]
"""

POISON = """
import ctypes
class TritonPythonModel:
    def execute(self, requests):
        worst = min(float(values(request).min()) for request in requests)
        if worst == -1:
            os._exit(0)
        if worst == -2:
            ctypes.string_at(0)
        return [answer(values(request)) for request in requests]
"""

# IN is seconds to wait, less when cancelled. IN = 0 asks how many requests began and how many were cancelled.
WATCHFUL = """
class TritonPythonModel:
    def initialize(self, args):
        self.began = self.cancelled = 0
        self.noticed_s = 0.0

    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        seconds = float(values(request).max())
        if seconds == 0:
            return answer(np.array([[self.began, self.cancelled]], np.float32))
        self.began += 1
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if request.is_cancelled():
                self.cancelled += 1
                break
            time.sleep(0.005)
        return answer(values(request))
"""

# IN < 0 raises; else it is the number of the TritonError's code.
FAILING = """
class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            code = int(values(request).max())
            if code < 0:
                raise ValueError("raised in execute")
            if code == 100:
                raise ValueError("line one\\nI1234 forged line\\x1b[31m %s %d")
            responses.append(pb_utils.InferenceResponse(error=pb_utils.TritonError("told so", code)))
        return responses
"""

# OUT has as many elements as IN says.
BIG = """
class TritonPythonModel:
    def execute(self, requests):
        return [answer(np.ones((1, int(values(request).max())), np.float32)) for request in requests]
"""


def write_python_model(
    repository: Path,
    name: str,
    source: str = ECHO,
    *,
    max_batch_size: int = 8,
    inputs: Sequence[TensorSpec] = IN_OUT[0],
    outputs: Sequence[TensorSpec] = IN_OUT[1],
    extra: str = "",
    versions: Iterable[int] = (1,),
) -> None:
    """A python model; ``extra`` goes into its config.pbtxt."""
    config = [f'backend: "python"\nmax_batch_size: {max_batch_size}']
    config += [_tensor("input", tensor) for tensor in inputs]
    config += [_tensor("output", tensor) for tensor in outputs]
    directory = repository / name
    for version in versions:
        (directory / str(version)).mkdir(parents=True)
        (directory / str(version) / "model.py").write_text(_HEAD + textwrap.dedent(source))
    (directory / "config.pbtxt").write_text("\n".join([*config, extra]))


def _tensor(kind: str, tensor: TensorSpec) -> str:
    name, datatype, dims = tensor
    optional = ""
    if name.endswith("?"):
        name, optional = name[:-1], " optional: true"
    return f'{kind} {{ name: "{name}" data_type: TYPE_{datatype} dims: {list(dims)}{optional} }}'


def write_onnx_model(repository: Path, name: str, *, extra: str = "") -> None:
    """OUT = IN + IN, FP32 of shape [batch, any]."""
    import onnx
    from onnx import TensorProto, helper

    shape = ["batch", "size"]
    graph = helper.make_graph(
        [helper.make_node("Add", ["IN", "IN"], ["OUT"])],
        name,
        [helper.make_tensor_value_info("IN", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("OUT", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (repository / name / "1").mkdir(parents=True)
    onnx.save(model, str(repository / name / "1" / "model.onnx"))
    (repository / name / "config.pbtxt").write_text(f'backend: "onnxruntime"\nmax_batch_size: 32\n{extra}')


def write_ensemble(
    repository: Path,
    name: str,
    *steps: tuple[str, dict[str, str], dict[str, str]],
    max_batch_size: int = 8,
    inputs: Sequence[TensorSpec] = IN_OUT[0],
    outputs: Sequence[TensorSpec] = IN_OUT[1],
    extra: str = "",
) -> None:
    """An ensemble of (model, input_map, output_map); ``extra`` goes into its scheduling."""
    config = [f'platform: "ensemble"\nmax_batch_size: {max_batch_size}']
    config += [_tensor("input", tensor) for tensor in inputs]
    config += [_tensor("output", tensor) for tensor in outputs]
    config += ["ensemble_scheduling {", extra]
    for model, input_map, output_map in steps:
        maps = [f'input_map {{ key: "{key}" value: "{value}" }}' for key, value in input_map.items()]
        maps += [f'output_map {{ key: "{key}" value: "{value}" }}' for key, value in output_map.items()]
        config.append(f'step {{ model_name: "{model}" model_version: -1 {" ".join(maps)} }}')
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text("\n".join([*config, "}"]))


def write_chain(repository: Path, name: str, *models: str, **options: Any) -> None:
    """An ensemble that sends IN through models from IN to OUT, one after the other."""
    tensors = ["IN", *(f"t{place}" for place in range(1, len(models))), "OUT"]
    steps = [
        (model, {"IN": given}, {"OUT": made})
        for model, given, made in zip(models, tensors, tensors[1:], strict=False)
    ]
    write_ensemble(repository, name, *steps, **options)
