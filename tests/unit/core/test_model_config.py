from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from tritium.core.model_config import EnsembleScheduling, ModelConfig, ModelTransactionPolicy


def test_a_model_batches_from_a_batch_size_of_one() -> None:
    assert not ModelConfig().batching
    assert ModelConfig(max_batch_size=1).batching


def test_a_model_is_decoupled_only_if_its_policy_says_so() -> None:
    assert not ModelConfig().decoupled
    assert not ModelConfig(model_transaction_policy=ModelTransactionPolicy()).decoupled
    assert ModelConfig(model_transaction_policy=ModelTransactionPolicy(decoupled=True)).decoupled


def test_an_ensemble_is_known_by_its_scheduler_or_its_platform() -> None:
    assert ModelConfig(platform="ensemble").is_ensemble
    assert ModelConfig(ensemble_scheduling=EnsembleScheduling()).is_ensemble
    assert not ModelConfig(backend="python").is_ensemble


def test_a_configuration_cannot_be_written_to() -> None:
    with pytest.raises(FrozenInstanceError):
        ModelConfig().name = "other"  # type: ignore[misc]
