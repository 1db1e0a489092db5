"""The models that are measured, written into a repository of one's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.reference import UnavailableError, reason_in
from tritium.errors import UnsupportedError
from tritium.export.oneflow import to_onnx

MLP_INPUT_WIDTH = 512
MLP_LAYER_WIDTH = 1024
MLP_LAYERS = 4
MLP_MAX_BATCH_SIZE = 32
STYLE_SHAPES: Mapping[str, tuple[int, ...]] = {"image": (1, 3, 256, 256), "style_weights": (26,)}

_IDLE_US = 3_600_000_000  # no sequence is forgotten while it is measured

_EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

_IDENTITY = '''\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Answers with what it was asked."""

    def execute(self, requests):
        responses = []
        for request in requests:
            data = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", data)]))
        return responses
'''


def write_identity(
    repository: Path,
    name: str,
    elements: int,
    *,
    max_batch_size: int = 0,
    queue_delay_us: int = 0,
    sequences: int = 0,
) -> None:
    """A ``model.py`` that answers FP32 [1, elements] with itself; one worker.

    Args:
        max_batch_size: with one, requests are batched dynamically.
        sequences: with some, requests belong to sequences, of which that many live at a time.
        queue_delay_us: how long they wait for company.
    """
    batching = f"dynamic_batching {{ max_queue_delay_microseconds: {queue_delay_us} }}"
    if sequences:
        oldest = f"max_candidate_sequences: {sequences} max_queue_delay_microseconds: {queue_delay_us}"
        batching = f"sequence_batching {{ oldest {{ {oldest} }} max_sequence_idle_microseconds: {_IDLE_US} }}"
    dims = f"[ {elements} ]" if max_batch_size else f"[ 1, {elements} ]"
    _write(
        repository,
        name,
        f"""backend: "python"
max_batch_size: {max_batch_size}
input {{ name: "INPUT0" data_type: TYPE_FP32 dims: {dims} }}
output {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: {dims} }}
instance_group {{ count: 1 kind: KIND_CPU }}
{batching if max_batch_size else ""}
""",
    )
    (repository / name / "1" / "model.py").write_text(_IDENTITY)


_CALLER = '''\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Asks the model "small" and answers what it answered."""

    def execute(self, requests):
        responses = []
        for request in requests:
            inner = pb_utils.InferenceRequest(
                model_name="small",
                requested_output_names=["OUTPUT0"],
                inputs=[pb_utils.get_input_tensor_by_name(request, "INPUT0")],
            ).exec()
            data = pb_utils.get_output_tensor_by_name(inner, "OUTPUT0").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", data)]))
        return responses
'''

_NAPPING = '''\
import asyncio

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Answers with what it was asked, 10 ms later."""

    async def execute(self, requests):
        await asyncio.sleep(0.01)
        responses = []
        for request in requests:
            data = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", data)]))
        return responses
'''

_REPEATING = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    \"\"\"Answers {answers} times with what it was asked, by a response sender.\"\"\"

    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            data = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            for _ in range({answers}):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", data)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


def write_repeating(repository: Path, name: str, elements: int, answers: int) -> None:
    """A decoupled model that answers ``answers`` times; otherwise as ``write_identity``."""
    write_identity(repository, name, elements)
    with (repository / name / "config.pbtxt").open("a") as config:
        config.write("model_transaction_policy { decoupled: true }\n")
    (repository / name / "1" / "model.py").write_text(_REPEATING.format(answers=answers))


def write_caller(repository: Path, name: str, elements: int) -> None:
    """A ``model.py`` that asks the identity model ``small``; otherwise as ``write_identity``."""
    write_identity(repository, name, elements)
    (repository / name / "1" / "model.py").write_text(_CALLER)


def write_napping(repository: Path, name: str, elements: int) -> None:
    """An ``async def execute`` that sleeps for 10 ms; otherwise as ``write_identity``."""
    write_identity(repository, name, elements)
    (repository / name / "1" / "model.py").write_text(_NAPPING)


def write_pipeline(repository: Path, name: str, parts: Sequence[str], dims: Sequence[int]) -> None:
    """An ensemble that sends INPUT0 through ``parts``, one after the other, to OUTPUT0."""
    tensors = ["INPUT0", *(f"between{place}" for place in range(len(parts) - 1)), "OUTPUT0"]
    steps = "".join(
        f"""step {{ model_name: "{part}" model_version: -1
input_map {{ key: "INPUT0" value: "{given}" }} output_map {{ key: "OUTPUT0" value: "{made}" }} }}
"""
        for part, given, made in zip(parts, tensors, tensors[1:], strict=False)
    )
    _write(
        repository,
        name,
        f"""platform: "ensemble"
max_batch_size: 0
input {{ name: "INPUT0" data_type: TYPE_FP32 dims: {list(dims)} }}
output {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: {list(dims)} }}
ensemble_scheduling {{
{steps}}}
""",
    )


def write_onnx_identity(repository: Path, name: str, elements: int) -> None:
    """ONNX's Identity of FP32 [1, elements]; one instance of one thread.

    Raises:
        UnavailableError: the onnx package is missing.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError as error:
        raise UnavailableError(
            "the identity is written with the onnx package; install the extra 'demo'"
        ) from error
    _write(
        repository,
        name,
        """backend: "onnxruntime"
instance_group { count: 1 kind: KIND_CPU }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
""",
    )
    tensors = [
        helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [1, elements])
        for tensor in ("INPUT0", "OUTPUT0")
    ]
    node = helper.make_node("Identity", ["INPUT0"], ["OUTPUT0"])
    graph = helper.make_graph([node], "identity", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9  # as for the perceptron
    onnx.save(model, str(repository / name / "1" / "model.onnx"))


def write_mlp(repository: Path, name: str, *, dynamic_batching: bool) -> None:
    """An ONNX perceptron FP32 [512] -> 4 layers of 1024 -> FP32 [1024]; one instance, one thread.

    The configuration names its inputs, outputs and batch size, so nothing switches batching on by itself.

    Raises:
        UnavailableError: the onnx package is missing.
    """
    _write(
        repository,
        name,
        f"""backend: "onnxruntime"
max_batch_size: {MLP_MAX_BATCH_SIZE}
input {{ name: "x" data_type: TYPE_FP32 dims: [ {MLP_INPUT_WIDTH} ] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [ {MLP_LAYER_WIDTH} ] }}
instance_group {{ count: 1 kind: KIND_CPU }}
parameters {{ key: "intra_op_thread_count" value {{ string_value: "1" }} }}
"""
        + ("dynamic_batching { }\n" if dynamic_batching else ""),
    )
    _save_mlp(repository / name / "1" / "model.onnx")


def write_multi_style(repository: Path, name: str) -> Path:
    """The example's style transfer network with two instances of one thread; returns its ONNX file.

    Raises:
        UnavailableError: the example repository is not built and cannot be.
    """
    _write(
        repository,
        name,
        """backend: "onnxruntime"
max_batch_size: 0
input { name: "image" data_type: TYPE_FP32 dims: [ 1, 3, -1, -1 ] }
input { name: "style_weights" data_type: TYPE_FP32 dims: [ 26 ] }
output { name: "stylized" data_type: TYPE_FP32 dims: [ 1, 3, -1, -1 ] }
instance_group { count: 2 kind: KIND_CPU }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
""",
    )
    copy = repository / name / "1" / "model.onnx"
    shutil.copyfile(_example_network(), copy)
    return copy


def write_translated_style(repository: Path, name: str) -> Path:
    """The example that OneFlow saved, with two instances of one thread; returns its translation to ONNX.

    Raises:
        UnavailableError: the onnx package is missing.
    """
    example = _EXAMPLES / "model_repository" / "fast_neural_style"
    shutil.copytree(example, repository / name)
    with (repository / name / "config.pbtxt").open("a") as config:
        config.write("instance_group { count: 2 kind: KIND_CPU }\n")
        config.write('parameters { key: "intra_op_thread_count" value { string_value: "1" } }\n')
    network = repository.with_name(f"{repository.name}.onnx")
    try:
        network.write_bytes(to_onnx(example / "1" / "model").SerializeToString())
    except UnsupportedError as error:
        raise UnavailableError(str(error)) from error
    return network


def _write(repository: Path, name: str, config: str) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)


def _example_network() -> Path:
    network = _EXAMPLES / "model_repository" / "multi_style" / "1" / "model.onnx"
    builder = _EXAMPLES / "build_repository.py"
    if not network.exists() and builder.exists():
        built = subprocess.run([sys.executable, str(builder)], capture_output=True, text=True, check=False)
        if built.returncode:
            raise UnavailableError(f"examples/build_repository.py failed: {reason_in(built.stderr)}")
    if not network.exists():
        raise UnavailableError(
            "examples/model_repository/multi_style/1/model.onnx is missing; "
            "run python examples/build_repository.py (extra 'demo')"
        )
    return network


def _save_mlp(path: Path) -> None:
    try:
        import numpy as np
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise UnavailableError(
            "the perceptron is written with the onnx package; install the extra 'demo'"
        ) from error
    random = np.random.default_rng(seed=1)
    nodes, weights = [], []
    width, previous = MLP_INPUT_WIDTH, "x"
    for layer in range(MLP_LAYERS):
        # Scaled so that values neither vanish into denormals nor grow from layer to layer.
        weight = random.standard_normal((width, MLP_LAYER_WIDTH), dtype=np.float32) * np.float32(
            (2 / width) ** 0.5
        )
        weights.append(numpy_helper.from_array(weight, f"w{layer}"))
        after = "y" if layer == MLP_LAYERS - 1 else f"r{layer}"
        nodes.append(helper.make_node("MatMul", [previous, f"w{layer}"], [f"m{layer}"]))
        nodes.append(helper.make_node("Relu", [f"m{layer}"], [after]))
        width, previous = MLP_LAYER_WIDTH, after
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", MLP_INPUT_WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", MLP_LAYER_WIDTH])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9  # the newest that onnxruntime 1.18, the oldest supported, reads
    onnx.save(model, str(path))
