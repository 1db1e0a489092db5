"""How the instances of a model are made and optimised: ``instance_group`` and ``optimization``.

Messages, fields, their order and their defaults are those of Triton's ``model_config.proto``. A sub-message
that was not given is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

InstanceKind = Literal["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"]
OptimizationPriority = Literal["PRIORITY_DEFAULT", "PRIORITY_MAX", "PRIORITY_MIN"]


@dataclass(frozen=True, slots=True)
class RateLimiterResource:
    """``count`` of a named resource that an execution holds; ``global_`` means one pool for all devices."""

    name: str = ""
    global_: bool = False  # 'global' in the proto, which Python reserves
    count: int = 0


@dataclass(frozen=True, slots=True)
class RateLimiter:
    """What an instance must hold to run, and its weight against other instances (0 counts as 1)."""

    resources: tuple[RateLimiterResource, ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class SecondaryDevice:
    """A second device of an instance."""

    kind: Literal["KIND_NVDLA"] = "KIND_NVDLA"
    device_id: int = 0


@dataclass(frozen=True, slots=True)
class ModelInstanceGroup:
    """``count`` instances of one kind."""

    name: str = ""
    kind: InstanceKind = "KIND_AUTO"
    count: int = 0
    rate_limiter: RateLimiter | None = None
    gpus: tuple[int, ...] = ()
    secondary_devices: tuple[SecondaryDevice, ...] = ()
    profile: tuple[str, ...] = ()
    passive: bool = False
    host_policy: str = ""


@dataclass(frozen=True, slots=True)
class GraphOptimization:
    """How hard the framework optimises the graph; the meaning of the level is the backend's."""

    level: int = 0


@dataclass(frozen=True, slots=True)
class CudaGraphShape:
    """The shape of one input, without the batch dimension."""

    dim: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CudaGraphLowerBound:
    """The smallest batch and shapes for which a captured graph is used."""

    batch_size: int = 0
    input: Mapping[str, CudaGraphShape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CudaGraphSpec:
    """A batch size and shapes by input name for which a CUDA graph is captured."""

    batch_size: int = 0
    input: Mapping[str, CudaGraphShape] = field(default_factory=dict)
    graph_lower_bound: CudaGraphLowerBound | None = None


@dataclass(frozen=True, slots=True)
class CudaOptimization:
    """Settings of CUDA executions."""

    graphs: bool = False
    busy_wait_events: bool = False
    graph_spec: tuple[CudaGraphSpec, ...] = ()
    output_copy_stream: bool = False


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A named accelerator of the framework (for onnxruntime: an execution provider) and its options."""

    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExecutionAccelerators:
    """Accelerators in the order of preference."""

    gpu_execution_accelerator: tuple[Accelerator, ...] = ()
    cpu_execution_accelerator: tuple[Accelerator, ...] = ()


@dataclass(frozen=True, slots=True)
class PinnedMemoryBuffer:
    """Whether transfers between host and GPU go through pinned memory."""

    enable: bool = False


@dataclass(frozen=True, slots=True)
class Optimization:
    """``optimization``; ``gather_kernel_buffer_threshold`` is a number of buffers (GPU only)."""

    graph: GraphOptimization | None = None
    priority: OptimizationPriority = "PRIORITY_DEFAULT"
    cuda: CudaOptimization | None = None
    execution_accelerators: ExecutionAccelerators | None = None
    input_pinned_memory: PinnedMemoryBuffer | None = None
    output_pinned_memory: PinnedMemoryBuffer | None = None
    gather_kernel_buffer_threshold: int = 0
    eager_batching: bool = False
