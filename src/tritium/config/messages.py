"""Protobuf messages of a model configuration, turned into the dataclasses of ``core``."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from tritium.config.names import shown
from tritium.core import model_config as c
from tritium.errors import ConfigError
from tritium.protobuf_messages import MODEL_CONFIG

_PACKAGE = "inference."

# Which dataclass a message becomes, by the message's name in its package.
CLASSES: Mapping[str, type] = MappingProxyType(
    {
        "ModelRateLimiter": c.RateLimiter,
        "ModelRateLimiter.Resource": c.RateLimiterResource,
        "ModelInstanceGroup": c.ModelInstanceGroup,
        "ModelInstanceGroup.SecondaryDevice": c.SecondaryDevice,
        "ModelTensorReshape": c.TensorReshape,
        "ModelInput": c.ModelInput,
        "ModelOutput": c.ModelOutput,
        "BatchInput": c.BatchInput,
        "BatchOutput": c.BatchOutput,
        "ModelVersionPolicy": c.VersionPolicy,
        "ModelVersionPolicy.Latest": c.LatestVersions,
        "ModelVersionPolicy.All": c.AllVersions,
        "ModelVersionPolicy.Specific": c.SpecificVersions,
        "ModelOptimizationPolicy": c.Optimization,
        "ModelOptimizationPolicy.Graph": c.GraphOptimization,
        "ModelOptimizationPolicy.Cuda": c.CudaOptimization,
        "ModelOptimizationPolicy.Cuda.GraphSpec": c.CudaGraphSpec,
        "ModelOptimizationPolicy.Cuda.GraphSpec.Shape": c.CudaGraphShape,
        "ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound": c.CudaGraphLowerBound,
        "ModelOptimizationPolicy.ExecutionAccelerators": c.ExecutionAccelerators,
        "ModelOptimizationPolicy.ExecutionAccelerators.Accelerator": c.Accelerator,
        "ModelOptimizationPolicy.PinnedMemoryBuffer": c.PinnedMemoryBuffer,
        "ModelQueuePolicy": c.QueuePolicy,
        "ModelDynamicBatching": c.DynamicBatching,
        "ModelSequenceBatching": c.SequenceBatching,
        "ModelSequenceBatching.Control": c.SequenceControl,
        "ModelSequenceBatching.ControlInput": c.SequenceControlInput,
        "ModelSequenceBatching.InitialState": c.InitialState,
        "ModelSequenceBatching.State": c.SequenceState,
        "ModelSequenceBatching.StrategyDirect": c.StrategyDirect,
        "ModelSequenceBatching.StrategyOldest": c.StrategyOldest,
        "ModelEnsembling": c.EnsembleScheduling,
        "ModelEnsembling.Step": c.EnsembleStep,
        "ModelParameter": c.ModelParameter,
        "ModelWarmup": c.ModelWarmup,
        "ModelWarmup.Input": c.WarmupInput,
        "ModelOperations": c.ModelOperations,
        "ModelTransactionPolicy": c.ModelTransactionPolicy,
        "ModelRepositoryAgents": c.ModelRepositoryAgents,
        "ModelRepositoryAgents.Agent": c.RepositoryAgent,
        "ModelResponseCache": c.ModelResponseCache,
        "ModelMetrics": c.ModelMetrics,
        "ModelMetrics.MetricControl": c.MetricControl,
        "ModelMetrics.MetricControl.MetricIdentifier": c.MetricIdentifier,
        "ModelMetrics.MetricControl.HistogramOptions": c.HistogramOptions,
        "ModelConfig": c.ModelConfig,
    }
)
_FIELDS = MappingProxyType({cls: frozenset(f.name for f in fields(cls)) for cls in CLASSES.values()})


def new_message() -> Any:
    """An empty ``inference.ModelConfig`` message."""
    return MODEL_CONFIG.ModelConfig()


def descriptor_of(full_name: str) -> Any | None:
    """The descriptor of a message or enum such as ``inference.ModelInput``; None if there is none."""
    pool = MODEL_CONFIG.DESCRIPTOR.pool
    for find in (pool.FindMessageTypeByName, pool.FindEnumTypeByName):
        try:
            return find(full_name)
        except KeyError:
            continue
    return None


def config_from_message(message: Any) -> c.ModelConfig:
    """A message as dataclasses; its maps come out sorted by key.

    Raises:
        ConfigError: an enum's number has no name, or a field is newer than tritium.
    """
    return cast(c.ModelConfig, _convert(message, "ModelConfig"))


def message_from_document(document: Mapping[str, Any], source: str) -> Any:
    """The message of a JSON document as ``/config`` shows it; ``source`` names the document in errors.

    Raises:
        ConfigError: the document does not fit the messages.
    """
    message = new_message()
    if not isinstance(document, Mapping):
        raise ConfigError(f"{source}: expected a JSON object with the fields of a model configuration")
    try:
        json_format.ParseDict(dict(document), message, max_recursion_depth=32)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{source}: {shown(str(error).splitlines()[0])}") from error
    return message


def _convert(message: Any, where: str) -> object:
    """One message, with all it holds."""
    descriptor = message.DESCRIPTOR
    cls = CLASSES[descriptor.full_name.removeprefix(_PACKAGE)]
    values: dict[str, object] = {}
    for field in descriptor.fields:
        name = "global_" if field.name == "global" else field.name
        if name in _FIELDS[cls]:
            values[name] = _value(message, field, f"{where}.{field.name}")
        elif any(field.name == given.name for given, _ in message.ListFields()):
            raise ConfigError(f"{where}.{field.name} is newer than this tritium; remove it")
    return cls(**values)


def _value(message: Any, field: Any, where: str) -> object:
    """The value of one field: converted, or None where it is not given and can say so."""
    if field.has_presence and not message.HasField(field.name):
        return None
    value = getattr(message, field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        item = kind.fields_by_name["value"]
        return {key: _single(value[key], item, f"{where}[{key!r}]") for key in sorted(value)}
    if field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED:
        return tuple(_single(item, field, f"{where}[{i}]") for i, item in enumerate(value))
    return _single(value, field, where)


def _single(value: Any, field: Any, where: str) -> object:
    if field.message_type is not None:
        return _convert(value, where)
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        if named is None:
            allowed = ", ".join(v.name for v in field.enum_type.values)
            raise ConfigError(f"{where}: {value} is no value of this enumeration; write one of {allowed}")
        return named.name
    return _shortest(value) if field.type == FieldDescriptor.TYPE_FLOAT else value


def _shortest(value: float) -> float:
    """The shortest decimal that is the same 32-bit float: 0.1 stays 0.1."""
    if not math.isfinite(value):
        return value
    candidates = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    packed = struct.pack("<f", value)
    return next((x for x in candidates if _packs_to(x, packed)), value)


def _packs_to(value: float, packed: bytes) -> bool:
    try:
        return struct.pack("<f", value) == packed
    except OverflowError:  # rounded up past the largest float
        return False
