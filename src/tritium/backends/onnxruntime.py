"""ONNX models on ONNX Runtime, one session per instance.

From 1.29 on, ONNX Runtime's builds for Linux report what they load to their makers: names and hashes of
models. It is told not to before it is imported, unless the user says otherwise.
"""

# onnxruntime re-exports names of its extension module, which pyright cannot look into.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from tritium.backends.api import Arrays, InstanceContext, TensorModel
from tritium.backends.conformance import check_conformance
from tritium.backends.onnxruntime_settings import SessionSettings, session_settings
from tritium.backends.scalars import scalar_names
from tritium.core.model_config import ModelConfig
from tritium.core.model_description import ModelDescription, TensorSpec
from tritium.core.tensor import Array, DataType
from tritium.errors import ConfigError, InvalidArgumentError, ModelExecutionError, UnsupportedError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg, OrtValue, RunOptions, SessionOptions

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_CPU = ("CPUExecutionProvider",)
_ONNX_BFLOAT16 = 16  # onnx.TensorProto.BFLOAT16
_LOG_NOTHING = 4  # what ONNX Runtime would log as an error it also raises, and a client's mistake is no news
_ELEMENTS = {
    "tensor(bool)": DataType.BOOL,
    "tensor(float16)": DataType.FP16,
    "tensor(bfloat16)": DataType.BF16,
    "tensor(float)": DataType.FP32,
    "tensor(double)": DataType.FP64,
    "tensor(string)": DataType.BYTES,
    **{f"tensor({t.value.lower()})": t for t in DataType if "INT" in t.value},
}


class OnnxRuntimeBackend:
    """Serves ``model.onnx``: a file, or a directory that holds one beside its external data."""

    name = "onnxruntime"

    def describe(self, config: ModelConfig, model_path: Path) -> ModelDescription:
        """The model's inputs and outputs; initializers that a request may override are not among them.

        Raises:
            ConfigError: a tensor has a type that the v2 protocol cannot carry.
            TritiumError: the file cannot be read, or onnxruntime is not installed.
        """
        session = _open_session(config, model_path, _reading_options())
        return _describe(config, session, _relative(model_path))

    def open(self, context: InstanceContext) -> TensorModel:
        """A session of the instance's own.

        Raises:
            ConfigError: a parameter, or what the configuration says of an input or output, does not fit.
            TritiumError: the file cannot be loaded, or onnxruntime is not installed.
        """
        path = context.model_path
        return _open(context, _relative(path), lambda options: _open_session(context.config, path, options))


class OnnxRuntimeModel:
    """One session. BYTES are UTF-8 strings to ONNX Runtime; BF16 are uint16 arrays outside it."""

    def __init__(
        self,
        context: InstanceContext,
        session: InferenceSession,
        description: ModelDescription,
        arena_shrinkage: str,
    ) -> None:
        self._session: InferenceSession | None = session
        self._sanitize = _sanitizer(context.model_dir)
        self._run_options = _run_options(arena_shrinkage)
        types = {spec.name: spec.data_type for spec in description.inputs}
        self._strings = {name for name, type_ in types.items() if type_ == DataType.BYTES.config_name}
        self._bfloats = {name for name, type_ in types.items() if type_ == DataType.BF16.config_name}
        self._bfloat_outputs = {
            s.name for s in description.outputs if s.data_type == DataType.BF16.config_name
        }
        config = context.config
        self._scalar_inputs = scalar_names(config, config.input, _rankless(description.inputs))
        self._scalar_outputs = scalar_names(config, config.output, _rankless(description.outputs))
        _check_bfloat_support(context, self._strings, self._bfloats, self._bfloat_outputs)

    def run(self, inputs: Arrays, output_names: Sequence[str]) -> Arrays:
        """One run. Outputs are new arrays that the caller owns.

        Raises:
            InvalidArgumentError: a BYTES element is not UTF-8.
            ModelExecutionError: ONNX Runtime refused or failed; the text is its own, without server paths.
        """
        if self._session is None:
            raise ModelExecutionError("the model is closed")
        names = list(output_names)
        feed = {name: self._encode(name, array) for name, array in inputs.items()}
        try:
            results = self._call(self._session, names, feed)
        except Exception as error:
            raise ModelExecutionError(self._sanitize(str(error))) from error
        outputs = dict(zip(names, results, strict=True))
        for name in self._scalar_outputs.intersection(names):
            outputs[name] = np.reshape(outputs[name], (1,)) if np.ndim(outputs[name]) == 0 else outputs[name]
        return outputs

    def close(self) -> None:
        """Free the session and its memory."""
        self._session = None

    def _encode(self, name: str, array: Array) -> Array | OrtValue:
        if name in self._scalar_inputs and array.shape == (1,):
            array = array.reshape(())
        if name in self._strings:
            return _decode_strings(name, array)
        return _bfloat_value(array) if name in self._bfloats else array

    def _call(
        self, session: InferenceSession, names: list[str], feed: Mapping[str, Array | OrtValue]
    ) -> Sequence[Array]:
        if self._bfloat_outputs.isdisjoint(names):
            return cast("Sequence[Array]", session.run(names, feed, self._run_options))
        from onnxruntime import OrtValue

        values = {
            n: OrtValue.ortvalue_from_numpy(v) if isinstance(v, np.ndarray) else v for n, v in feed.items()
        }
        found = session.run_with_ort_values(names, values, self._run_options)
        return [
            _bfloat_array(value) if name in self._bfloat_outputs else value.numpy()
            for name, value in zip(names, found, strict=True)
        ]


def open_content(
    context: InstanceContext, content: bytes, file: str, *, providers: Sequence[str] = _CPU
) -> OnnxRuntimeModel:
    """A session for an ONNX model in memory; ``file`` is what error texts call it.

    Args:
        providers: ONNX Runtime's execution providers, the preferred first.

    Raises:
        TritiumError: as ``OnnxRuntimeBackend.open``.
    """
    sanitize = _sanitizer(context.model_dir)
    return _open(
        context,
        file,
        lambda options: _new_session(
            context.config, content, options, f"{file} ({len(content)} bytes)", sanitize, providers
        ),
    )


def _open(
    context: InstanceContext, file: str, new_session: Callable[[SessionOptions], InferenceSession]
) -> OnnxRuntimeModel:
    config = context.config
    settings = session_settings(config, context.intra_op_threads, available_providers())
    options = _serving_options(settings)
    _register_custom_operations(options, context)
    session = new_session(options)
    description = _describe(config, session, file)
    overridable = tuple(_specs(config, "input", session.get_overridable_initializers(), file, optional=True))
    full = ModelDescription(description.inputs + overridable, description.outputs)
    check_conformance(config, full, file)
    return OnnxRuntimeModel(context, session, full, settings.arena_shrinkage)


def _open_session(config: ModelConfig, model_path: Path, options: SessionOptions) -> InferenceSession:
    file = model_path / "model.onnx" if model_path.is_dir() else model_path
    shown = f"{_relative(model_path)}/model.onnx" if model_path.is_dir() else _relative(model_path)
    if not file.is_file():
        raise ConfigError(f"model '{config.name}': {shown} does not exist; put the ONNX model there")
    named = f"{shown} ({file.stat().st_size} bytes)"
    return _new_session(config, str(file.absolute()), options, named, _sanitizer(model_path.parent.parent))


def _new_session(
    config: ModelConfig,
    model: str | bytes,
    options: SessionOptions,
    named: str,
    sanitize: Callable[[str], str],
    providers: Sequence[str] = _CPU,
) -> InferenceSession:
    from onnxruntime import InferenceSession

    try:
        session = InferenceSession(model, options, providers=list(providers))
    except Exception as error:
        raise ConfigError(
            f"model '{config.name}': onnxruntime cannot load {named}: {sanitize(str(error))}; "
            "check that the file is a complete ONNX model of a version that this onnxruntime supports"
        ) from error
    if providers[0] not in session.get_providers():  # it goes on with the others, in silence
        raise ConfigError(
            f"model '{config.name}': onnxruntime cannot start its {providers[0]} for {named}; "
            "check that the libraries which that provider needs are installed"
        )
    return session


def available_providers() -> Sequence[str]:
    """The execution providers of the installed ONNX Runtime.

    Raises:
        UnsupportedError: there is none.
    """
    try:
        from onnxruntime import get_available_providers
    except ImportError as error:
        raise UnsupportedError(
            "the onnxruntime backend needs the package onnxruntime; install it: "
            "pip install 'tritium-server[onnx]'"
        ) from error
    providers: list[str] = get_available_providers()
    return providers


def _reading_options() -> SessionOptions:
    available_providers()
    from onnxruntime import GraphOptimizationLevel, SessionOptions

    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = _LOG_NOTHING
    options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def _serving_options(settings: SessionSettings) -> SessionOptions:
    from onnxruntime import ExecutionMode, GraphOptimizationLevel, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = settings.intra_op_threads
    options.inter_op_num_threads = settings.inter_op_threads
    options.execution_mode = ExecutionMode.ORT_PARALLEL if settings.parallel else ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = settings.memory_arena
    options.enable_mem_pattern = settings.memory_pattern
    options.graph_optimization_level = {
        "all": GraphOptimizationLevel.ORT_ENABLE_ALL,
        "extended": GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
        "basic": GraphOptimizationLevel.ORT_ENABLE_BASIC,
        "none": GraphOptimizationLevel.ORT_DISABLE_ALL,
    }[settings.graph_level]
    options.log_severity_level = _LOG_NOTHING
    for key, value in settings.session_entries.items():
        options.add_session_config_entry(key, value)
    return options


def _run_options(arena_shrinkage: str) -> RunOptions | None:
    if not arena_shrinkage:
        return None
    from onnxruntime import RunOptions

    options = RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", arena_shrinkage)
    return options


def _register_custom_operations(options: SessionOptions, context: InstanceContext) -> None:
    """Load ``model_operations``; a library is native code, so only files of the model's own directory are."""
    operations = context.config.model_operations
    for name in operations.op_library_filename if operations is not None else ():
        directory = context.model_dir.resolve()
        path = (directory / name).resolve()
        if not path.is_relative_to(directory) or not path.is_file():
            raise ConfigError(
                f"model '{context.config.name}': model_operations.op_library_filename '{Path(name).name}' is "
                "not a file inside the model's directory; put it there and write its path relative to that "
                "directory"
            )
        try:
            options.register_custom_ops_library(str(path))
        except Exception as error:
            reason = _sanitizer(context.model_dir)(str(error))
            raise ConfigError(f"model '{context.config.name}': cannot load operations: {reason}") from error


def _describe(config: ModelConfig, session: InferenceSession, file: str) -> ModelDescription:
    listed = {output.name for output in config.output}
    # An output that cannot be served is no harm while the configuration leaves it out.
    outputs = [
        arg
        for arg in session.get_outputs()
        if not listed or arg.name in listed or _element(arg.type) is not None
    ]
    return ModelDescription(
        tuple(_specs(config, "input", session.get_inputs(), file)),
        tuple(_specs(config, "output", outputs, file)),
    )


def _specs(
    config: ModelConfig, side: str, args: Sequence[NodeArg], file: str, *, optional: bool = False
) -> Sequence[TensorSpec]:
    specs = []
    for arg in args:
        element = _element(arg.type)
        if element is None:
            raise ConfigError(
                f"model '{config.name}', {side} '{arg.name}': {file} says {arg.type}, but only tensors of "
                f"the types {', '.join(t.config_name for t in DataType)} can be served; export the model "
                "with a plain tensor there (for scikit-learn classifiers: zipmap=False)"
                + (", or list only the other outputs in the configuration" if side == "output" else "")
            )
        dims = tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in arg.shape)
        specs.append(
            TensorSpec(arg.name, element.config_name, dims, optional or arg.type.startswith("optional("))
        )
    return specs


def _element(onnx_type: str) -> DataType | None:
    return _ELEMENTS.get(onnx_type.removeprefix("optional(").replace("))", ")"))


def _rankless(specs: Sequence[TensorSpec]) -> frozenset[str]:
    return frozenset(spec.name for spec in specs if not spec.dims)


def _check_bfloat_support(
    context: InstanceContext, strings: set[str], bfloats: set[str], bfloat_outputs: set[str]
) -> None:
    """ONNX Runtime's Python API carries BF16 only as OrtValue, and OrtValue holds no strings."""
    if not bfloats and not bfloat_outputs:
        return
    from onnxruntime import OrtValue, __version__

    if not hasattr(OrtValue, "ortvalue_from_numpy_with_onnx_type"):
        raise ConfigError(
            f"model '{context.config.name}': it has TYPE_BF16 tensors, which onnxruntime {__version__} "
            "cannot take from Python; install onnxruntime 1.20 or later, or export the model with TYPE_FP32 "
            "inputs and outputs"
        )
    if strings and bfloat_outputs:
        raise ConfigError(
            f"model '{context.config.name}': it has TYPE_STRING inputs ({', '.join(sorted(strings))}) and "
            f"TYPE_BF16 outputs ({', '.join(sorted(bfloat_outputs))}), which onnxruntime cannot serve "
            "together; export the model with TYPE_FP32 outputs"
        )


def _bfloat_value(array: Array) -> OrtValue:
    from onnxruntime import OrtValue

    return OrtValue.ortvalue_from_numpy_with_onnx_type(np.ascontiguousarray(array), _ONNX_BFLOAT16)


def _bfloat_array(value: OrtValue) -> Array:
    shape = tuple(value.shape())
    count = math.prod(shape)
    raw = ctypes.string_at(value.data_ptr(), count * DataType.BF16.itemsize) if count else b""
    return np.frombuffer(raw, dtype=DataType.BF16.numpy).reshape(shape)


def _decode_strings(name: str, array: Array) -> Array:
    decoded = np.empty(array.size, dtype=object)
    for index, element in enumerate(array.reshape(-1).tolist()):
        try:
            decoded[index] = element.decode() if isinstance(element, bytes) else str(element)
        except UnicodeDecodeError as error:
            raise InvalidArgumentError(
                f"input '{name}', element {index}: byte 0x{error.object[error.start]:02x} at position "
                f"{error.start} "
                "is not UTF-8, and ONNX strings are UTF-8 text; send text, or numbers as TYPE_UINT8"
            ) from error
    return decoded.reshape(array.shape)


def _relative(model_path: Path) -> str:
    return f"{model_path.parent.name}/{model_path.name}"


def _sanitizer(model_dir: Path) -> Callable[[str], str]:
    """A function that makes paths below ``model_dir`` relative to it, and a text of ONNX Runtime one line."""
    prefixes = [f"{path}/" for path in {model_dir.absolute(), model_dir.resolve()}]

    def sanitize(text: str) -> str:
        for prefix in sorted(prefixes, key=len, reverse=True):
            text = text.replace(prefix, "")
        return " ".join(text.replace("/onnxruntime_src/", "").split())

    return sanitize
