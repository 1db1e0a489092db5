from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.unit.builders import FakeScheduler, echo_config, model, model_input, model_output
from tritium.caching.local import LocalCache
from tritium.caching.scheduler import CachedScheduler
from tritium.core.model import Model
from tritium.core.model_config import (
    EnsembleScheduling,
    EnsembleStep,
    ModelConfig,
    ModelResponseCache,
    ModelTransactionPolicy,
    SequenceBatching,
)
from tritium.errors import ModelNotFoundError, TritiumError
from tritium.repository.ensembles import EnsembleError, EnsembleRecipe, Ensembles
from tritium.repository.prepare import Prepared
from tritium.scheduling.ensemble import Ensemble


def recipe(name: str, *models: str, version: int = -1, cached: bool = False) -> EnsembleRecipe:
    """A chain."""
    tensors = ["IN", *(f"t{place}" for place in range(len(models) - 1)), "OUT"]
    steps = tuple(
        EnsembleStep(model, version, {"IN": given}, {"OUT": made})
        for model, given, made in zip(models, tensors, tensors[1:], strict=False)
    )
    config = ModelConfig(
        name=name,
        platform="ensemble",
        max_batch_size=8,
        input=(model_input(),),
        output=(model_output(),),
        ensemble_scheduling=EnsembleScheduling(steps),
        response_cache=ModelResponseCache(enable=True) if cached else None,
    )
    return EnsembleRecipe(Prepared(config, {}), (1,), None)


def lookup(*models: Model) -> dict[tuple[str, int | None], Model]:
    found: dict[tuple[str, int | None], Model] = {}
    for one in models:
        found[one.config.name, one.version] = found[one.config.name, None] = one
    return found


def models_of(of: EnsembleRecipe, *models: Model) -> list[Model]:
    known = lookup(*models)

    def find(name: str, version: int | None) -> Model:
        if (name, version) not in known:
            raise ModelNotFoundError(name, version)
        return known[name, version]

    return of.models(find, lambda name: "" if name != "nowhere" else None)


def built(of: EnsembleRecipe, *models: Model, cache: LocalCache | None = None) -> Model:
    async def main() -> Model:
        return replace(of, cache=cache).build(models, 3)

    return asyncio.run(main())


def refusal(of: EnsembleRecipe, *models: Model, cache: LocalCache | None = None) -> str:
    with pytest.raises(EnsembleError) as caught:
        built(of, *models, cache=cache)
    return str(caught.value)


def test_a_step_gets_the_highest_version_or_the_one_that_it_names() -> None:
    old, new = model(echo_config("a"), version=1), model(echo_config("a"), version=2)
    assert models_of(recipe("e", "a"), old, new) == [new]
    assert models_of(recipe("e", "a", version=1), old, new)[0] is old


def test_it_says_which_model_is_missing() -> None:
    with pytest.raises(EnsembleError, match="contains models that are not available or ambiguous: nowhere"):
        models_of(recipe("e", "nowhere"))
    with pytest.raises(EnsembleError, match="depends on 'a' which has no loaded version"):
        models_of(recipe("e", "a"))
    with pytest.raises(EnsembleError, match="depends on 'a' whose required version 7 is not loaded"):
        models_of(recipe("e", "a", version=7), model(echo_config("a")))


def test_an_ensemble_is_a_model_on_its_models() -> None:
    a, b = model(echo_config("a")), model(echo_config("b"), ready=False)
    made = built(recipe("e", "a", "b"), a, b)
    assert (made.config.name, made.version, made.config.decoupled) == ("e", 3, False)
    assert made.asks is not None
    assert isinstance(made.scheduler, Ensemble)
    assert [one.model for one in made.scheduler.members] == [a, b]
    assert not made.is_ready()


def test_labels_come_from_the_step_unless_the_ensemble_has_its_own() -> None:
    labelled = model(echo_config("a"), labels={"OUT": ("cat", "dog")})
    of = recipe("e", "a")
    assert built(of, labelled).labels == {"OUT": ("cat", "dog")}
    own = replace(of, prepared=Prepared(of.prepared.config, {"OUT": ("x",)}))
    assert built(own, labelled).labels == {"OUT": ("x",)}


def test_a_decoupled_model_that_does_a_later_step_too_is_never_made_to_wait() -> None:
    stream = model(echo_config("s", model_transaction_policy=ModelTransactionPolicy(decoupled=True)))
    scheduler = built(recipe("e", "s", "s"), stream, stream).scheduler
    assert isinstance(scheduler, Ensemble)
    assert [one.waits for one in scheduler.members] == [False, True]
    assert scheduler.limit == 64


def test_responses_are_kept_where_the_server_has_a_cache() -> None:
    a = model(echo_config("a"), scheduler=FakeScheduler())
    cached = recipe("e", "a", cached=True)
    assert isinstance(built(cached, a).scheduler, Ensemble)
    assert isinstance(built(cached, a, cache=LocalCache(1 << 20)).scheduler, CachedScheduler)


def test_what_has_sequences_or_streams_is_not_kept() -> None:
    cached = recipe("e", "a", cached=True)
    stream = model(echo_config("a", model_transaction_policy=ModelTransactionPolicy(decoupled=True)))
    assert "support model e with 'decoupled' transaction policy" in refusal(cached, stream)
    sequences = model(echo_config("a", sequence_batching=SequenceBatching()))
    assert "support model e with sequence batching scheduler, which its model a has" in refusal(
        cached, sequences
    )


def test_who_needs_whom_is_known_while_it_is_wanted() -> None:
    known = Ensembles()
    inner, outer = recipe("inner", "a", "b", "a"), recipe("outer", "inner", "b")
    known.want(inner)
    known.want(outer)
    assert inner.needs == ("a", "b")
    assert known.dependents("b") == [inner, outer]
    known.brought("a")
    known.brought("b")
    assert known.forget("inner") is inner
    assert known.abandoned(inner) == ["a"]  # outer still needs b
    known.asked_for("a")
    assert known.abandoned(inner) == []
    assert known.get("inner") is None


def test_errors_are_configuration_errors() -> None:
    assert issubclass(EnsembleError, TritiumError)
    assert EnsembleError("x").code.text == "Invalid argument"
