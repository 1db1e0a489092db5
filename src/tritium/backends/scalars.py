"""Scalars of a model: Triton has none, so a configuration calls them [ 1 ]."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tritium.core.model_config import ModelConfig, ModelInput, ModelOutput


def scalar_names(
    config: ModelConfig, tensors: Sequence[ModelInput | ModelOutput], rankless: Collection[str]
) -> frozenset[str]:
    """Those of ``tensors`` that the configuration calls [ 1 ] and the model, in ``rankless``, a scalar."""
    if config.batching:
        return frozenset()
    return frozenset(
        t.name for t in tensors if t.name in rankless and tuple(t.dims) == (1,) and t.reshape is None
    )
