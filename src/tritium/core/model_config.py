"""The configuration of a model, complete and frozen: what config.pbtxt can say.

Messages, fields, their order and their defaults are those of Triton's ``model_config.proto``: a repeated
field is a tuple, a map a mapping, an enum its name. A sub-message that was not given, and an alternative of a
oneof that was not chosen, is None. Nothing here checks or completes; that is ``config/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tritium.core.execution_config import (
    Accelerator,
    CudaGraphLowerBound,
    CudaGraphShape,
    CudaGraphSpec,
    CudaOptimization,
    ExecutionAccelerators,
    GraphOptimization,
    InstanceKind,
    ModelInstanceGroup,
    Optimization,
    PinnedMemoryBuffer,
    RateLimiter,
    RateLimiterResource,
    SecondaryDevice,
)
from tritium.core.schedulers_config import (
    DynamicBatching,
    EnsembleScheduling,
    EnsembleStep,
    InitialState,
    QueuePolicy,
    SequenceBatching,
    SequenceControl,
    SequenceControlInput,
    SequenceState,
    StrategyDirect,
    StrategyOldest,
)

__all__ = [
    "Accelerator",
    "AllVersions",
    "BatchInput",
    "BatchOutput",
    "CudaGraphLowerBound",
    "CudaGraphShape",
    "CudaGraphSpec",
    "CudaOptimization",
    "DynamicBatching",
    "EnsembleScheduling",
    "EnsembleStep",
    "ExecutionAccelerators",
    "GraphOptimization",
    "HistogramOptions",
    "InitialState",
    "InstanceKind",
    "LatestVersions",
    "MetricControl",
    "MetricIdentifier",
    "ModelConfig",
    "ModelInput",
    "ModelInstanceGroup",
    "ModelMetrics",
    "ModelOperations",
    "ModelOutput",
    "ModelParameter",
    "ModelRepositoryAgents",
    "ModelResponseCache",
    "ModelTransactionPolicy",
    "ModelWarmup",
    "Optimization",
    "PinnedMemoryBuffer",
    "QueuePolicy",
    "RateLimiter",
    "RateLimiterResource",
    "RepositoryAgent",
    "SecondaryDevice",
    "SequenceBatching",
    "SequenceControl",
    "SequenceControlInput",
    "SequenceState",
    "SpecificVersions",
    "StrategyDirect",
    "StrategyOldest",
    "TensorReshape",
    "VersionPolicy",
    "WarmupInput",
]

InputFormat = Literal["FORMAT_NONE", "FORMAT_NHWC", "FORMAT_NCHW"]
BatchInputKind = Literal[
    "BATCH_ELEMENT_COUNT",
    "BATCH_ACCUMULATED_ELEMENT_COUNT",
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE",
    "BATCH_ITEM_SHAPE",
    "BATCH_ITEM_SHAPE_FLATTEN",
]


@dataclass(frozen=True, slots=True)
class TensorReshape:
    """The shape that the model sees, without the batch dimension; ``()`` is a scalar per row."""

    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelInput:
    """An input as clients see it; ``dims`` is without the batch dimension when the model batches."""

    name: str = ""
    data_type: str = "TYPE_INVALID"
    format: InputFormat = "FORMAT_NONE"
    dims: tuple[int, ...] = ()
    reshape: TensorReshape | None = None
    is_shape_tensor: bool = False
    allow_ragged_batch: bool = False
    optional: bool = False
    is_non_linear_format_io: bool = False


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """An output as clients see it; ``dims`` is without the batch dimension when the model batches."""

    name: str = ""
    data_type: str = "TYPE_INVALID"
    dims: tuple[int, ...] = ()
    reshape: TensorReshape | None = None
    label_filename: str = ""
    is_shape_tensor: bool = False
    is_non_linear_format_io: bool = False


@dataclass(frozen=True, slots=True)
class BatchInput:
    """An input that the server makes from the batch."""

    kind: BatchInputKind = "BATCH_ELEMENT_COUNT"
    target_name: tuple[str, ...] = ()
    data_type: str = "TYPE_INVALID"
    source_input: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchOutput:
    """Outputs that are split by the shape of an input instead of by rows."""

    target_name: tuple[str, ...] = ()
    kind: Literal["BATCH_SCATTER_WITH_INPUT_SHAPE"] = "BATCH_SCATTER_WITH_INPUT_SHAPE"
    source_input: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LatestVersions:
    """Serve the ``num_versions`` highest versions."""

    num_versions: int = 0


@dataclass(frozen=True, slots=True)
class AllVersions:
    """Serve every version."""


@dataclass(frozen=True, slots=True)
class SpecificVersions:
    """Serve these versions."""

    versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Which versions are served: at most one of the three is set."""

    latest: LatestVersions | None = None
    all: AllVersions | None = None
    specific: SpecificVersions | None = None


@dataclass(frozen=True, slots=True)
class ModelParameter:
    """A value for the backend."""

    string_value: str = ""


@dataclass(frozen=True, slots=True)
class WarmupInput:
    """The data of one input of a warm-up request: at most one of the last three is set.

    ``input_data_file`` is relative to ``<model>/warmup``.
    """

    data_type: str = "TYPE_INVALID"
    dims: tuple[int, ...] = ()
    zero_data: bool | None = None
    random_data: bool | None = None
    input_data_file: str | None = None


@dataclass(frozen=True, slots=True)
class ModelWarmup:
    """A request that is run ``count`` times (0 counts as 1) before the model is ready."""

    name: str = ""
    batch_size: int = 0
    inputs: Mapping[str, WarmupInput] = field(default_factory=dict)
    count: int = 0


@dataclass(frozen=True, slots=True)
class ModelOperations:
    """Libraries of custom operations that the framework loads."""

    op_library_filename: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelTransactionPolicy:
    """Whether a request may have any number of responses."""

    decoupled: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryAgent:
    """A named agent and its parameters."""

    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRepositoryAgents:
    """Agents that work on the model's files before it loads, in this order."""

    agents: tuple[RepositoryAgent, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelResponseCache:
    """Whether responses of this model may be cached."""

    enable: bool = False


@dataclass(frozen=True, slots=True)
class MetricIdentifier:
    """A family of metrics."""

    family: str = ""


@dataclass(frozen=True, slots=True)
class HistogramOptions:
    """Upper bounds of the buckets, ascending, in the unit of the metric."""

    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricControl:
    """How one metric of this model is kept."""

    metric_identifier: MetricIdentifier | None = None
    histogram_options: HistogramOptions | None = None


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """Settings of this model's metrics."""

    metric_control: tuple[MetricControl, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything that config.pbtxt says; at most one of the three schedulers is set."""

    name: str = ""
    platform: str = ""
    backend: str = ""
    runtime: str = ""
    version_policy: VersionPolicy | None = None
    max_batch_size: int = 0
    input: tuple[ModelInput, ...] = ()
    output: tuple[ModelOutput, ...] = ()
    batch_input: tuple[BatchInput, ...] = ()
    batch_output: tuple[BatchOutput, ...] = ()
    optimization: Optimization | None = None
    dynamic_batching: DynamicBatching | None = None
    sequence_batching: SequenceBatching | None = None
    ensemble_scheduling: EnsembleScheduling | None = None
    instance_group: tuple[ModelInstanceGroup, ...] = ()
    default_model_filename: str = ""
    cc_model_filenames: Mapping[str, str] = field(default_factory=dict)
    metric_tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, ModelParameter] = field(default_factory=dict)
    model_warmup: tuple[ModelWarmup, ...] = ()
    model_operations: ModelOperations | None = None
    model_transaction_policy: ModelTransactionPolicy | None = None
    model_repository_agents: ModelRepositoryAgents | None = None
    response_cache: ModelResponseCache | None = None
    model_metrics: ModelMetrics | None = None

    @property
    def batching(self) -> bool:
        """Whether shapes on the wire have a batch dimension."""
        return self.max_batch_size > 0

    @property
    def given_outputs(self) -> tuple[tuple[str, str], ...]:
        """Name and ``data_type`` of what the model gives: its outputs, and the states of its sequences."""
        states = self.sequence_batching.state if self.sequence_batching is not None else ()
        given = {output.name: output.data_type for output in self.output}
        given |= {state.output_name: state.data_type for state in states}
        return tuple(given.items())

    @property
    def caches_responses(self) -> bool:
        """Whether responses may be kept, where the server has a cache."""
        return self.response_cache is not None and self.response_cache.enable

    @property
    def decoupled(self) -> bool:
        """Whether a request may have no response, or many."""
        return self.model_transaction_policy is not None and self.model_transaction_policy.decoupled

    @property
    def is_ensemble(self) -> bool:
        """Whether other models do the work."""
        return self.ensemble_scheduling is not None or self.platform == "ensemble"
