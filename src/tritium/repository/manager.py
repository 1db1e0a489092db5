"""Which models are loaded: every version with its state, lookups by name, and what makes models come and go.

A load builds a new generation of a model completely while the old one serves, and then replaces it by one
assignment. Operations on one model take turns; those on different models do not wait for each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tritium.caching.interface import ResponseCache
from tritium.config.names import check_model_name
from tritium.core.model import Model
from tritium.errors import ConfigError, ModelNotFoundError, ModelNotReadyError, TritiumError, UnavailableError
from tritium.repository.drain import Drains
from tritium.repository.ensembles import EnsembleError, EnsembleRecipe
from tritium.repository.gate import LoadCycleError, LoadGate
from tritium.repository.index import IndexEntry, index_of
from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.linker import EnsembleLinker
from tritium.repository.load_error import (
    LoadFailedError,
    LoadRefusedError,
    load_failed,
    poll_failed,
    reason,
    versions_failed,
)
from tritium.repository.loader import ModelLoader
from tritium.repository.overrides import LoadOverrides, read_overrides, with_config, write_files
from tritium.repository.scan import ModelEntry, find_model, model_names, same, scan
from tritium.repository.tracked import UNLOADED, Generation, TrackedModel
from tritium.repository.versions import NoVersionError

logger = logging.getLogger("tritium.repository")

Loaded = Mapping[int, Model | TritiumError]
_NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})


class ModelRepositoryManager:
    """Loads the models of the repositories and finds them again.

    Args:
        explicit: models may be loaded and unloaded one by one, by those who ask for it.
        cache: for the responses of ensembles.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        loader: ModelLoader,
        *,
        config_name: str | None,
        load_threads: int,
        explicit: bool = False,
        cache: ResponseCache | None = None,
    ) -> None:
        self._roots = tuple(roots)
        self._loader = loader
        self._config_name = config_name
        self._explicit = explicit
        self._gate = LoadGate(load_threads)
        self._drains = Drains()
        self._operations: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._models: dict[str, TrackedModel] = {}
        self.failures: dict[str, str] = {}  # models that have no version to show a reason, by name
        self._linker = EnsembleLinker(self._models, self.failures, self._drains, self.get, cache)
        self._starting = False  # every model is loaded once, by itself or for an ensemble

    # -- what is there --

    def get(self, name: str, version: int | None) -> Model:
        """The ready model of this name: a version, or the highest.

        Raises:
            ModelNotFoundError: there is none.
            ModelNotReadyError: the version is known and does not serve.
        """
        tracked = self._models.get(name)
        if version is None:
            if tracked is not None and tracked.serving is not None:
                return tracked.serving
            raise ModelNotFoundError(name, known=tracked is not None)
        found = None if tracked is None else tracked.find(version)
        if found is None:
            raise ModelNotFoundError(name, version)
        if found.state is not VersionState.READY or found.model is None:
            raise ModelNotReadyError(name, version)
        return found.model

    def versions(self, name: str | None = None) -> Iterator[ModelVersion]:
        """The tracked versions, by name and number; of one model or of all."""
        for model_name in sorted(self._models) if name is None else [name]:
            tracked = self._models.get(model_name)
            if tracked is not None:
                yield from tracked.versions()

    def ready_models(self, name: str | None = None) -> list[Model]:
        """The models that serve, by name and version."""
        return [v.model for v in self.versions(name) if v.state is VersionState.READY and v.model is not None]

    async def index(self, *, ready_only: bool = False) -> list[IndexEntry]:
        """Everything that the repositories hold now, with the state of what is or was loaded.

        Raises:
            UnavailableError: a repository cannot be read.
        """
        names = await asyncio.to_thread(model_names, self._roots)
        return index_of(names, self.versions, ready_only=ready_only)

    # -- what makes it change --

    async def load_all(self, names: Sequence[str] | None = None) -> None:
        """Load every model, or those of ``names``. What fails is in ``failures`` or in its version's reason.

        Raises:
            UnavailableError: a repository cannot be read.
        """
        snapshot = await asyncio.to_thread(scan, self._roots, config_name=self._config_name)
        for warning in snapshot.warnings:
            logger.warning("%s", warning)
        wanted = list(snapshot.models) if names is None else list(dict.fromkeys(names))
        for name in wanted:
            if name not in snapshot.models:
                self.failures[name] = (
                    f"failed to poll model '{name}': model not found in any model repository."
                )
                logger.error("%s", self.failures[name])
        self._starting = True
        async with asyncio.TaskGroup() as loads:
            for name in filter(snapshot.models.__contains__, wanted):
                loads.create_task(self._load_first(snapshot.models[name]), name=f"load-{name}")
        self._starting = False

    async def _load_first(self, entry: ModelEntry) -> None:
        try:
            async with self._gate.turn(entry.name):
                self._linker.ensembles.asked_for(entry.name)
                if entry.name not in self._models and entry.name not in self.failures:
                    await self._take_over(entry, Generation(entry), None)
        except LoadFailedError:
            pass  # logged, and shown by the index

    async def load(
        self,
        name: str,
        parameters: Mapping[str, object] = _NO_PARAMETERS,
        *,
        within_load_of: str | None = None,
    ) -> None:
        """Load a model, or load it anew; back when it serves. Nothing is done if it serves and is unchanged.

        Goes on even if the caller is cancelled.

        Args:
            parameters: see ``read_overrides``.
            within_load_of: the model whose loading asks, if it is the code of one that does.

        Raises:
            LoadRefusedError: the server's models are not under explicit control.
            LoadFailedError: it cannot be loaded; what served before still does.
            InvalidArgumentError: the name or a parameter is none.
            UnavailableError: the load would wait for itself, or the server stops.
        """
        self._check_explicit()
        check_model_name(name)
        try:
            overrides = read_overrides(parameters)
        except ConfigError as error:
            raise poll_failed(name, str(error)) from error
        await self._own(self._load_named(name, overrides, within_load_of))

    async def unload(self, name: str, *, dependents: bool = False, within_load_of: str | None = None) -> None:
        """Unload a model: it takes no more requests, and those that it has are answered.

        A name that is not known is fine. Ensembles that need the model go with it, and come back with it.

        Args:
            dependents: of an ensemble, unload the models as well that were loaded only for it.

        Raises:
            LoadRefusedError: the server's models are not under explicit control.
            UnavailableError: as for ``load``.
        """
        self._check_explicit()
        await self._own(self._unload_named(name, within_load_of, dependents=dependents))

    async def stop(self) -> None:
        """Give up loads, then drain and unload every model."""
        self._stopping = True
        for operation in self._operations:
            operation.cancel()
        await asyncio.gather(*self._operations, return_exceptions=True)
        for tracked in self._models.values():
            self._drains.start(tracked.current)
            tracked.refresh()
        await self._drains.finish()

    def _check_explicit(self) -> None:
        if not self._explicit:
            raise LoadRefusedError

    async def _own(self, operation: Coroutine[Any, Any, None]) -> None:
        """Run an operation to its end, whatever becomes of who asked."""
        if self._stopping:
            operation.close()
            raise UnavailableError("the server is stopping")
        task = asyncio.get_running_loop().create_task(operation)
        self._operations.add(task)
        task.add_done_callback(self._operation_done)
        await asyncio.shield(task)

    def _operation_done(self, task: asyncio.Task[None]) -> None:
        self._operations.discard(task)
        if not task.cancelled():
            task.exception()  # seen, if by nobody else

    async def _load_named(self, name: str, overrides: LoadOverrides | None, within: str | None) -> None:
        async with self._gate.turn(name, within):
            self._linker.ensembles.asked_for(name)
            entry = await asyncio.to_thread(self._poll, name, overrides)
            if overrides is not None and overrides.files:
                generation = Generation(None, entry.directory.parent)
            else:
                generation = Generation(entry)
                if overrides is None and self._serves(entry):
                    return
            await self._take_over(entry, generation, within)

    def _poll(self, name: str, overrides: LoadOverrides | None) -> ModelEntry:
        """What is to be loaded. Blocking."""
        try:
            if overrides is not None and overrides.files:
                return write_files(name, overrides)
            entry = find_model(self._roots, name, config_name=self._config_name)
        except TritiumError as error:
            raise _logged_poll_failure(name, error) from error
        if entry is None:
            logger.error("failed to poll model '%s': model not found in any model repository.", name)
            raise poll_failed(name)
        return entry if overrides is None else with_config(entry, overrides)

    def _serves(self, entry: ModelEntry) -> bool:
        """Whether what serves is what ``entry`` describes."""
        tracked = self._models.get(entry.name)
        if tracked is None or tracked.current.source is None or not tracked.current.complete():
            return False
        return same(tracked.current.source, entry)

    async def _take_over(self, entry: ModelEntry, generation: Generation, within: str | None) -> None:
        """Load ``generation`` from ``entry`` and let it serve, in place of the one that does.

        Raises:
            LoadFailedError: at least one version failed. If there is an old generation it still serves; else
                the versions that could be loaded do.
        """
        try:
            await self._replace(entry, generation, within)
        except BaseException:
            tracked = self._models.get(entry.name)
            if tracked is None or tracked.current is not generation or not generation.ready():
                self._drains.start(generation)
            raise
        finally:
            self._linker.loaded(entry.name)

    async def _replace(self, entry: ModelEntry, generation: Generation, within: str | None) -> None:
        before = self._models.get(entry.name)
        old = before.current if before is not None and before.serving is not None else None
        loaded = await self._build(entry, generation, old, before, within)
        errors = {number: result for number, result in loaded.items() if isinstance(result, TritiumError)}
        for number, result in loaded.items():
            _settle(generation.versions[number], result)
        failure = versions_failed(entry.name, errors) if errors else None
        if failure is not None and old is not None:
            old.note(failure)
            raise failure
        self._models[entry.name] = TrackedModel(generation, before)
        self.failures.pop(entry.name, None)
        if old is not None:
            self._drains.start(old)
        self._linker.changed(entry.name)
        if failure is not None:
            raise failure

    async def _build(
        self,
        entry: ModelEntry,
        generation: Generation,
        old: Generation | None,
        before: TrackedModel | None,
        within: str | None,
    ) -> Loaded:
        """Load the versions; where nothing serves yet, they are shown while they are being loaded."""

        def begin(number: int) -> None:
            logger.info("loading: %s:%d", entry.name, number)
            version = generation.versions[number] = ModelVersion(entry.name, number)
            version.to(VersionState.LOADING)
            if old is None:
                self._models[entry.name] = TrackedModel(generation, before)

        try:
            async with self._gate.slot(within):
                found = await self._loader.draft(entry)
                if not found.config.is_ensemble:
                    return await self._loader.load(entry, found, begin)
                prepared = await self._loader.prepare_ensemble(entry, found)
            recipe = EnsembleRecipe(prepared, found.versions, generation.source)
            self._linker.loading(recipe)
            await self._load_steps(recipe, within)
            return self._linker.link(recipe, begin)
        except TritiumError as error:
            if isinstance(error, NoVersionError | EnsembleError):
                failure = load_failed(entry.name, str(error))
                logger.error("%s", str(failure).rstrip())
            else:
                failure = _logged_poll_failure(entry.name, error)
            if old is not None:
                old.note(failure)
            elif generation.files is None:
                self.failures[entry.name] = str(error)
            raise failure from error
        except BaseException:
            for version in generation.versions.values():
                version.to(VersionState.UNAVAILABLE, "the load was given up")
            raise

    async def _load_steps(self, recipe: EnsembleRecipe, within: str | None) -> None:
        """Load the models of an ensemble; what fails is known to who links it.

        Raises:
            EnsembleError: it needs itself.
        """
        loads = (self._load_step(name, recipe.name, within) for name in recipe.needs)
        for result in await asyncio.gather(*loads, return_exceptions=True):
            if isinstance(result, LoadCycleError):
                circle = " -> ".join(result.names)
                raise EnsembleError(f"circular dependency between ensembles: {circle}") from result
            if result is not None:
                raise result

    async def _load_step(self, name: str, ensemble: str, within: str | None) -> None:
        async with self._gate.turn(name, ensemble):
            if self._starting and (name in self._models or name in self.failures):
                return
            tracked = self._models.get(name)
            served = tracked is not None and tracked.serving is not None
            try:
                entry = await asyncio.to_thread(self._poll, name, None)
                if self._serves(entry):
                    return
                await self._take_over(entry, Generation(entry), within)
            except LoadFailedError:
                return  # logged
            if not served:
                self._linker.ensembles.brought(name)

    async def _unload_named(self, name: str, within: str | None, *, dependents: bool = False) -> None:
        recipe = await self._unload_one(name, within)
        if recipe is not None and dependents:
            for step in self._linker.ensembles.abandoned(recipe):
                await self._unload_named(step, within, dependents=True)

    async def _unload_one(self, name: str, within: str | None) -> EnsembleRecipe | None:
        """Unload one model; the recipe, if it was an ensemble."""
        async with self._gate.turn(name, within):
            recipe = self._linker.forget(name)
            self.failures.pop(name, None)
            tracked = self._models.get(name)
            if tracked is None:
                return recipe
            self._drains.start(tracked.current)
            for version in tracked.current.versions.values():
                if version.state is VersionState.UNAVAILABLE:
                    version.reason = UNLOADED  # a failure that nobody wants to hear of any more
            tracked.refresh()
            self._linker.changed(name)
            return recipe


def _settle(version: ModelVersion, result: Model | TritiumError) -> None:
    if isinstance(result, TritiumError):
        version.to(VersionState.UNAVAILABLE, reason(result))
        logger.error("failed to load '%s' version %d: %s", version.name, version.version, version.reason)
        return
    version.to(VersionState.READY, model=result)
    logger.info("successfully loaded '%s' version %d", version.name, version.version)


def _logged_poll_failure(name: str, error: TritiumError) -> LoadFailedError:
    logger.error("Poll failed for model directory '%s': %s", name, error)
    return poll_failed(name, str(error))
