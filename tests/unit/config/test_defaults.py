from __future__ import annotations

import pytest

from tritium.config.defaults import normalize, with_name
from tritium.core.model_config import (
    AllVersions,
    DynamicBatching,
    EnsembleScheduling,
    LatestVersions,
    ModelConfig,
    ModelInstanceGroup,
    ModelTransactionPolicy,
    Optimization,
    PinnedMemoryBuffer,
    SequenceBatching,
    StrategyOldest,
    VersionPolicy,
)
from tritium.errors import ConfigError


def groups(
    *given: ModelInstanceGroup, count: int = 1, gpus: tuple[int, ...] = ()
) -> list[tuple[str, str, int]]:
    config = ModelConfig(name="m", backend="python", instance_group=given)
    done = normalize(config, default_instance_count=count, gpus=gpus)
    return [(group.name, group.kind, group.count) for group in done.instance_group]


def test_the_name_is_that_of_the_directory() -> None:
    assert with_name(ModelConfig(), "m").name == "m"
    assert with_name(ModelConfig(name="m"), "m").name == "m"


def test_another_name_than_the_directorys_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        with_name(ModelConfig(name="other"), "b01_name")
    assert str(caught.value).startswith(
        "unexpected directory name 'b01_name' for model 'other', directory name must equal model name"
    )


def test_the_latest_version_is_served_unless_a_policy_is_given() -> None:
    assert normalize(ModelConfig(name="m")).version_policy == VersionPolicy(latest=LatestVersions(1))
    policy = VersionPolicy(all=AllVersions())
    assert normalize(ModelConfig(name="m", version_policy=policy)).version_policy == policy


def test_pinned_memory_is_on_unless_it_is_given() -> None:
    off = PinnedMemoryBuffer(enable=False)
    given = ModelConfig(name="m", optimization=Optimization(input_pinned_memory=off))
    done = normalize(given).optimization
    assert done is not None
    assert done.input_pinned_memory == off
    assert done.output_pinned_memory == PinnedMemoryBuffer(enable=True)


def test_a_group_that_nobody_wrote_has_the_models_name() -> None:
    assert groups() == [("m", "KIND_CPU", 1)]
    assert groups(count=2) == [("m", "KIND_CPU", 2)]


def test_groups_without_a_name_are_numbered() -> None:
    named = ModelInstanceGroup(name="extra", kind="KIND_CPU", count=3)
    assert groups(ModelInstanceGroup(count=2), named, ModelInstanceGroup(count=-1)) == [
        ("m_0", "KIND_CPU", 2),
        ("extra", "KIND_CPU", 3),
        ("m_2", "KIND_CPU", 1),
    ]


def test_an_automatic_kind_is_a_gpu_where_there_is_one() -> None:
    assert groups(ModelInstanceGroup(), count=2, gpus=(0, 1)) == [("m_0", "KIND_GPU", 1)]
    assert groups(ModelInstanceGroup(gpus=(7,)), gpus=(0, 1)) == [("m_0", "KIND_CPU", 1)]
    done = normalize(ModelConfig(name="m"), gpus=(0, 1))
    assert done.instance_group[0].gpus == (0, 1)


def test_the_whole_batch_is_preferred_unless_sizes_are_given() -> None:
    def preferred(batching: DynamicBatching, size: int) -> tuple[int, ...]:
        done = normalize(ModelConfig(name="m", max_batch_size=size, dynamic_batching=batching))
        assert done.dynamic_batching is not None
        return done.dynamic_batching.preferred_batch_size

    assert preferred(DynamicBatching(), 8) == (8,)
    assert preferred(DynamicBatching(), 0) == ()
    assert preferred(DynamicBatching(preferred_batch_size=(2, 4)), 8) == (2, 4)


def test_sequences_are_idle_for_a_second_and_prefer_the_whole_batch() -> None:
    given = SequenceBatching(oldest=StrategyOldest(max_candidate_sequences=4))
    done = normalize(ModelConfig(name="m", max_batch_size=4, sequence_batching=given)).sequence_batching
    assert done is not None and done.oldest is not None
    assert done.max_sequence_idle_microseconds == 1_000_000
    assert done.oldest.preferred_batch_size == (4,)
    kept = normalize(ModelConfig(sequence_batching=SequenceBatching(max_sequence_idle_microseconds=5)))
    assert kept.sequence_batching == SequenceBatching(max_sequence_idle_microseconds=5)


def test_an_ensemble_has_a_transaction_policy_and_no_instances() -> None:
    done = normalize(ModelConfig(name="e", ensemble_scheduling=EnsembleScheduling()))
    assert done.platform == "ensemble"
    assert (done.backend, done.default_model_filename) == ("", "")
    assert done.model_transaction_policy == ModelTransactionPolicy(decoupled=False)
    assert done.instance_group == ()
    assert done.optimization is None


def test_normalising_twice_changes_nothing() -> None:
    once = normalize(
        ModelConfig(name="m", backend="python", max_batch_size=4, dynamic_batching=DynamicBatching())
    )
    assert normalize(once) == once
