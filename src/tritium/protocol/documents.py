"""The JSON documents of the endpoints other than inference, with Triton's keys in Triton's order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritium.core.model import Model
from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput
from tritium.core.statistics import BatchStatistics, Duration, ModelStatistics
from tritium.core.tensor import CONFIG_DATATYPES
from tritium.server import InferenceServer

Document = dict[str, Any]


def server_metadata(server: InferenceServer) -> Document:
    """``GET /v2``."""
    return {"name": server.id, "version": server.version, "extensions": list(server.extensions)}


def model_metadata(model: Model, versions: Iterable[int]) -> Document:
    """``GET /v2/models/<m>``; ``versions`` are those to list."""
    config = model.config
    return {
        "name": config.name,
        "versions": [str(version) for version in versions],
        "platform": config.platform or config.backend,
        "inputs": [_tensor(config, tensor) for tensor in config.input],
        "outputs": [_tensor(config, tensor) for tensor in config.output],
    }


def _tensor(config: ModelConfig, tensor: ModelInput | ModelOutput) -> Document:
    batch = [-1] if config.max_batch_size > 0 else []
    return {
        "name": tensor.name,
        "datatype": CONFIG_DATATYPES[tensor.data_type].value,
        "shape": [*batch, *tensor.dims],
    }


def statistics(models: Iterable[Model]) -> Document:
    """``GET /v2/models/stats``: durations in ns, ``last_inference`` in ms since the epoch."""
    return {
        "model_stats": [
            _model_statistics(model.config.name, model.version, model.statistics) for model in models
        ]
    }


def _model_statistics(name: str, version: int, found: ModelStatistics) -> Document:
    """Triton's keys; behind them, of a model that is batched dynamically, how often batches left for what."""
    document: Document = {
        "name": name,
        "version": str(version),
        "last_inference": found.last_inference_ms,
        "inference_count": found.inference_count,
        "execution_count": found.execution_count,
        "inference_stats": {
            "success": _duration(found.success),
            "fail": _duration(found.fail),
            "queue": _duration(found.queue),
            "compute_input": _duration(found.compute_input),
            "compute_infer": _duration(found.compute_infer),
            "compute_output": _duration(found.compute_output),
            "cache_hit": _duration(found.cache_hit),
            "cache_miss": _duration(found.cache_miss),
        },
        "response_stats": {},
        "batch_stats": [_batch(size, found.batches[size]) for size in sorted(found.batches)],
        "memory_usage": [],
    }
    if found.releases is not None:
        document["batch_release"] = {why.value: count for why, count in found.releases.counts.items()}
    return document


def _batch(size: int, found: BatchStatistics) -> Document:
    return {
        "batch_size": size,
        "compute_input": _duration(found.compute_input),
        "compute_infer": _duration(found.compute_infer),
        "compute_output": _duration(found.compute_output),
    }


def _duration(found: Duration) -> Document:
    return {"count": found.count, "ns": found.ns}
