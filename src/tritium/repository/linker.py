"""Keeps ensembles in step with the models that they need: they go when one goes, and come back with it."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable
from pathlib import Path

from tritium.caching.interface import ResponseCache
from tritium.core.model import Model
from tritium.errors import TritiumError
from tritium.repository.drain import Drains
from tritium.repository.ensembles import EnsembleError, EnsembleRecipe, Ensembles, Lookup
from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.tracked import UNLOADED, Generation, TrackedModel

logger = logging.getLogger("tritium.repository")


class EnsembleLinker:
    """Makes ensembles from models that serve, and makes them anew when one of these models changes.

    All of it happens in one turn of the loop: an ensemble that serves never sees a model that does not.

    Args:
        models: everything that is tracked; ensembles are replaced in it.
        failures: why models have no version to show a reason.
        lookup: finds a model that serves.
        cache: for the responses of ensembles.
    """

    def __init__(
        self,
        models: dict[str, TrackedModel],
        failures: dict[str, str],
        drains: Drains,
        lookup: Lookup,
        cache: ResponseCache | None,
    ) -> None:
        self.ensembles = Ensembles()
        self._models = models
        self._failures = failures
        self._drains = drains
        self._lookup = lookup
        self._cache = cache
        self._used: dict[str, list[Model]] = {}  # by ensemble, the models that it was made from last

    def loading(self, recipe: EnsembleRecipe) -> None:
        """An ensemble's models are being loaded, and nobody else makes it anew until it is ``loaded``."""
        self.ensembles.loading.add(recipe.name)

    def loaded(self, name: str) -> None:
        """A load has ended, well or not. If it was an ensemble's, catch up with what changed meanwhile."""
        if name not in self.ensembles.loading:
            return
        self.ensembles.loading.remove(name)
        recipe = self.ensembles.get(name)
        if recipe is not None:
            self.relink(recipe)

    def link(self, recipe: EnsembleRecipe, begin: Callable[[int], None]) -> dict[int, Model | TritiumError]:
        """The versions of an ensemble, which is wanted from now on; if that fails, so is an earlier one.

        Args:
            begin: called with each version, once it is certain that there will be any.

        Raises:
            EnsembleError: a model is missing, or does not fit.
        """
        if self.ensembles.get(recipe.name) is None:
            self.ensembles.want(recipe)
        linked = self._build(recipe)
        self.ensembles.want(recipe)
        for version in recipe.versions:
            begin(version)
        return {**linked}

    def changed(self, name: str) -> None:
        """Other versions of ``name`` serve than before, or none: make anew the ensembles that need it."""
        for recipe in self.ensembles.dependents(name):
            if recipe.name not in self.ensembles.loading:
                self.relink(recipe)

    def forget(self, name: str) -> EnsembleRecipe | None:
        """``name`` is unloaded; the recipe, if it was an ensemble."""
        self._used.pop(name, None)
        return self.ensembles.forget(name)

    def relink(self, recipe: EnsembleRecipe) -> None:
        """Make a wanted ensemble anew, or take it out of service if its models do not serve it."""
        before = self._models.get(recipe.name)
        old = before.current if before is not None and before.serving is not None else None
        if before is not None and self._up_to_date(recipe, before):
            return
        try:
            linked = self._build(recipe)
        except EnsembleError as error:
            self._used.pop(recipe.name, None)
            if old is not None and before is not None:
                logger.error("ensemble '%s' is unloaded: %s", recipe.name, error)
                self._drains.start(old, f"{UNLOADED}: {error}")
                before.refresh()
                self.changed(recipe.name)
            self._failures[recipe.name] = str(error)
            return
        generation = Generation(recipe.source, _take_files(before))
        for number, model in linked.items():
            version = generation.versions[number] = ModelVersion(recipe.name, number)
            version.to(VersionState.LOADING)
            version.to(VersionState.READY, model=model)
            logger.info("successfully loaded '%s' version %d", recipe.name, number)
        self._models[recipe.name] = TrackedModel(generation, before)
        self._failures.pop(recipe.name, None)
        if old is not None:
            self._drains.start(old)
        self.changed(recipe.name)

    def _up_to_date(self, recipe: EnsembleRecipe, tracked: TrackedModel) -> bool:
        """Whether the ensemble serves, on the very models that it would be made from now."""
        if tracked.serving is None:
            return False
        try:
            models = recipe.models(self._lookup, self._why_not)
        except EnsembleError:
            return False
        used = self._used.get(recipe.name, [])
        return len(used) == len(models) and all(map(operator.is_, used, models))

    def _build(self, recipe: EnsembleRecipe) -> dict[int, Model]:
        models = recipe.models(self._lookup, self._why_not)
        built = {version: recipe.build(models, version, self._cache) for version in recipe.versions}
        self._used[recipe.name] = models
        return built

    def _why_not(self, name: str) -> str | None:
        """Why a model may not serve; empty if nothing is wrong with it, None if it was never seen."""
        if name in self._failures:
            return f"Model '{name}' loading failed with error: {self._failures[name]};"
        tracked = self._models.get(name)
        if tracked is None:
            return None
        reasons = "; ".join(
            f"version {v.version} is at {v.state.value} state: {v.reason}"
            for v in tracked.current.versions.values()
            if v.reason and v.reason != UNLOADED
        )
        return f"Model '{name}' loading failed with error: {reasons};" if reasons else ""


def _take_files(before: TrackedModel | None) -> Path | None:
    """The private directory of an ensemble goes with it from generation to generation."""
    if before is None:
        return None
    files, before.current.files = before.current.files, None
    return files
