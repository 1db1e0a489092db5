"""Ensembles and the models that they need: who needs whom, and an ensemble made from models that serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tritium.caching.front import behind_cache, recall_of
from tritium.caching.interface import ResponseCache
from tritium.caching.key import ensemble_fingerprint
from tritium.config.document import document_of
from tritium.config.ensemble_tensors import check_ensemble_tensors, full_rank
from tritium.core.model import Model
from tritium.core.model_config import EnsembleScheduling, EnsembleStep, ModelConfig, ModelTransactionPolicy
from tritium.core.reshape import output_reshape
from tritium.core.statistics import ModelStatistics
from tritium.errors import ConfigError, TritiumError
from tritium.repository.prepare import Prepared
from tritium.repository.scan import ModelEntry
from tritium.scheduling.ensemble import Ensemble, EnsembleShape
from tritium.scheduling.ensemble_member import EnsembleMember
from tritium.scheduling.step_graph import GraphStep, StepGraph

LATEST = -1
IN_FLIGHT = 64  # tritium's: calls of one step for one request, where max_inflight_requests says nothing

Lookup = Callable[[str, int | None], Model]


class EnsembleError(ConfigError):
    """An ensemble that does not fit the models that serve now; it may, when they change."""


@dataclass(frozen=True, slots=True)
class EnsembleRecipe:
    """An ensemble that is wanted: all that is known without its models.

    Attributes:
        source: the directory, None if a plain load would load something else.
        cache: of responses, if the server has one.
    """

    prepared: Prepared
    versions: tuple[int, ...]
    source: ModelEntry | None
    cache: ResponseCache | None = None

    @property
    def name(self) -> str:
        """The ensemble's."""
        return self.prepared.config.name

    @property
    def scheduling(self) -> EnsembleScheduling:
        """Its steps."""
        scheduling = self.prepared.config.ensemble_scheduling
        assert scheduling is not None
        return scheduling

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of its models, each once."""
        return tuple(dict.fromkeys(step.model_name for step in self.scheduling.step))

    def models(self, lookup: Lookup, why_not: Callable[[str], str | None]) -> list[Model]:
        """The model of each step.

        Args:
            why_not: why a model has no version that serves; None if nothing is known of it.

        Raises:
            EnsembleError: one does not serve.
        """
        unknown = [name for name in self.needs if why_not(name) is None]
        if unknown:
            raise EnsembleError(
                f"ensemble {self.name} contains models that are not available or ambiguous: "
                f"{', '.join(unknown)}"
            )
        return [self._model(step, lookup, why_not) for step in self.scheduling.step]

    def _model(self, step: EnsembleStep, lookup: Lookup, why_not: Callable[[str], str | None]) -> Model:
        name, version = step.model_name, step.model_version
        try:
            lookup(name, None)
        except TritiumError as error:
            raise EnsembleError(
                f"ensemble '{self.name}' depends on '{name}' which has no loaded version. "
                f"{why_not(name) or ''}".rstrip()
            ) from error
        try:
            return lookup(name, None if version == LATEST else version)
        except TritiumError as error:
            raise EnsembleError(
                f"ensemble '{self.name}' depends on '{name}' whose required version {version} is not loaded."
            ) from error

    def build(self, models: Sequence[Model], version: int) -> Model:
        """One version of the ensemble on these models, one per step; it holds them until it has stopped.

        Raises:
            EnsembleError: they do not fit together.
        """
        config = self.prepared.config
        try:
            check_ensemble_tensors(config, [model.config for model in models])
            graph = step_graph(config, [model.config for model in models])
            members = self._members(graph, models)
        except ConfigError as error:
            raise EnsembleError(str(error)) from error
        decoupled = ModelTransactionPolicy(any(step.decoupled for step in graph.steps))
        config = replace(config, model_transaction_policy=decoupled)
        self._check_cache(config, models)
        statistics = ModelStatistics()
        shape = EnsembleShape({o.name: full_rank(config, o) for o in config.output}, output_reshape(config))
        limit = self.scheduling.max_inflight_requests or IN_FLIGHT
        ensemble = Ensemble(graph, members, statistics, shape, limit=limit)
        document = document_of(config)
        fingerprint = ensemble_fingerprint(document, version, [model.fingerprint for model in models])
        scheduler = behind_cache(ensemble, self.cache, config, statistics, fingerprint)
        return Model(
            config,
            version,
            scheduler,
            statistics,
            document,
            {**_labels(self.scheduling.step, models), **self.prepared.labels},
            ensemble.is_ready,
            asks=ensemble.asks,
            recall=recall_of(scheduler),
            fingerprint=fingerprint,
            asked=ensemble.asked,
        )

    def _check_cache(self, config: ModelConfig, models: Sequence[Model]) -> None:
        """An ensemble's responses may be kept if those of its models could be."""
        if not config.caches_responses:
            return
        for model in models:
            conflict = ""
            if model.config.decoupled:
                conflict = "'decoupled' transaction policy"
            elif model.config.sequence_batching is not None:
                conflict = "sequence batching scheduler"
            if conflict:
                raise EnsembleError(
                    f"Response Cache does not currently support model {self.name} with {conflict}, which its "
                    f"model {model.config.name} has. Please disable the response cache."
                )

    def _members(self, graph: StepGraph, models: Sequence[Model]) -> list[EnsembleMember]:
        members = []
        for index, (step, model) in enumerate(zip(self.scheduling.step, models, strict=True)):
            later = {models[other].config.name for other in graph.downstream(index)}
            waits = model.config.name not in later  # else it would wait for itself
            if graph.steps[index].decoupled and not waits and self.scheduling.max_inflight_requests:
                raise ConfigError(
                    f"ensemble {self.name} has max_inflight_requests, and the decoupled model "
                    f"{model.config.name} of step {index} does a later step as well, so it would wait for "
                    "itself; use a copy of the model there, or remove max_inflight_requests"
                )
            ranks = {i.name: full_rank(model.config, i) for i in model.config.input}
            inputs = tuple((name, tensor, ranks[name]) for name, tensor in step.input_map.items())
            outputs = tuple((tensor, name) for name, tensor in step.output_map.items())
            members.append(EnsembleMember(model, inputs, outputs, waits))
        return members


def step_graph(config: ModelConfig, models: Sequence[ModelConfig]) -> StepGraph:
    """The graph of an ensemble with these models.

    Raises:
        ConfigError: results of different decoupled steps meet.
    """
    assert config.ensemble_scheduling is not None
    steps = [
        GraphStep(
            tuple(dict.fromkeys(step.input_map.values())), tuple(step.output_map.values()), model.decoupled
        )
        for step, model in zip(config.ensemble_scheduling.step, models, strict=True)
    ]
    return StepGraph(config.name, [i.name for i in config.input], [o.name for o in config.output], steps)


def _labels(steps: Sequence[EnsembleStep], models: Sequence[Model]) -> dict[str, tuple[str, ...]]:
    """Of ensemble tensors that come from an output with labels."""
    return {
        tensor: model.labels[name]
        for step, model in zip(steps, models, strict=True)
        for name, tensor in step.output_map.items()
        if name in model.labels
    }


class Ensembles:
    """The ensembles that are wanted, whether they serve or not, and the models that came only for them."""

    def __init__(self) -> None:
        self._recipes: dict[str, EnsembleRecipe] = {}
        self._brought: set[str] = set()
        self.loading: set[str] = set()  # ensembles that will look at their models when they are loaded

    def want(self, recipe: EnsembleRecipe) -> None:
        """Keep ``recipe`` in place of an earlier one."""
        self._recipes[recipe.name] = recipe

    def forget(self, name: str) -> EnsembleRecipe | None:
        """The ensemble, if it is one, is not wanted any more; nor is the model brought any more."""
        self._brought.discard(name)
        return self._recipes.pop(name, None)

    def get(self, name: str) -> EnsembleRecipe | None:
        """The recipe of an ensemble that is wanted."""
        return self._recipes.get(name)

    def dependents(self, name: str) -> list[EnsembleRecipe]:
        """The ensembles that have ``name`` among their steps."""
        return [recipe for recipe in self._recipes.values() if name in recipe.needs]

    def brought(self, name: str) -> None:
        """``name`` was loaded because an ensemble needs it."""
        self._brought.add(name)

    def asked_for(self, name: str) -> None:
        """``name`` was loaded for its own sake."""
        self._brought.discard(name)

    def abandoned(self, recipe: EnsembleRecipe) -> list[str]:
        """The models that came only for ensembles, and for none that is still wanted."""
        return [name for name in recipe.needs if name in self._brought and not self.dependents(name)]
