"""Which models are loaded: every version with its state, and lookups by name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from tritium.core.model import Model
from tritium.errors import ModelNotFoundError, TritiumError
from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.loader import ModelLoader
from tritium.repository.scan import ModelEntry, scan

logger = logging.getLogger("tritium.repository")


class ModelRepositoryManager:
    """Loads the models of the repositories and finds them again."""

    def __init__(
        self,
        roots: Sequence[Path],
        loader: ModelLoader,
        *,
        config_name: str | None,
        load_threads: int,
    ) -> None:
        self._roots = tuple(roots)
        self._loader = loader
        self._config_name = config_name
        self._loading = asyncio.Semaphore(load_threads)
        self._versions: dict[str, dict[int, ModelVersion]] = {}
        self._serving: dict[str, Model] = {}  # by name, the highest ready version
        self.failures: dict[str, str] = {}  # models that have no version to show a reason, by name

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
        async with asyncio.TaskGroup() as loads:
            for name in filter(snapshot.models.__contains__, wanted):
                loads.create_task(self._load(snapshot.models[name]), name=f"load-{name}")

    async def _load(self, entry: ModelEntry) -> None:
        async with self._loading:
            versions: dict[int, ModelVersion] = {}

            def begin(version: int) -> None:
                logger.info("loading: %s:%d", entry.name, version)
                versions[version] = ModelVersion(entry.name, version)
                versions[version].to(VersionState.LOADING)
                self._versions[entry.name] = versions

            try:
                loaded = await self._loader.load(entry, begin)
            except TritiumError as error:
                logger.error("Poll failed for model directory '%s': %s", entry.name, error)
                self.failures[entry.name] = str(error)
                return
            for version, result in loaded.items():
                self._settle(versions[version], result)

    def _settle(self, version: ModelVersion, result: Model | TritiumError) -> None:
        if isinstance(result, TritiumError):
            reason = f"{result.code.text}: {result}"
            version.to(VersionState.UNAVAILABLE, reason)
            logger.error("failed to load '%s' version %d: %s", version.name, version.version, reason)
            return
        version.to(VersionState.READY, model=result)
        serving = self._serving.get(version.name)
        if serving is None or serving.version < version.version:
            self._serving[version.name] = result
        logger.info("successfully loaded '%s' version %d", version.name, version.version)

    def get(self, name: str, version: int | None) -> Model:
        """The ready model of this name: a version, or the highest.

        Raises:
            ModelNotFoundError: there is none.
        """
        if version is None:
            model = self._serving.get(name)
            if model is not None:
                return model
            raise ModelNotFoundError(name, known=name in self._versions)
        found = self._versions.get(name, {}).get(version)
        if found is None or found.state is not VersionState.READY or found.model is None:
            raise ModelNotFoundError(name, version)
        return found.model

    def versions(self, name: str | None = None) -> Iterator[ModelVersion]:
        """The tracked versions, by name and number; of one model or of all."""
        for model_name in sorted(self._versions) if name is None else [name]:
            by_number = self._versions.get(model_name, {})
            for number in sorted(by_number):
                yield by_number[number]

    def ready_models(self, name: str | None = None) -> list[Model]:
        """The models that serve, by name and version."""
        return [v.model for v in self.versions(name) if v.state is VersionState.READY and v.model is not None]

    async def stop(self) -> None:
        """Drain and unload every model."""
        async with asyncio.TaskGroup() as stops:
            for version in self.versions():
                if version.state is VersionState.READY and version.model is not None:
                    version.to(VersionState.UNLOADING)
                    stops.create_task(self._unload(version), name=f"unload-{version.name}")
        self._serving.clear()

    async def _unload(self, version: ModelVersion) -> None:
        assert version.model is not None
        await version.model.scheduler.stop()
        version.to(VersionState.UNAVAILABLE, "unloaded")
        logger.info("successfully unloaded '%s' version %d", version.name, version.version)
