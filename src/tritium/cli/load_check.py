"""Loads models as the server does, to see whether they do, and unloads them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tritium.cli.static_check import Finding, warnings_of
from tritium.core.model import Model
from tritium.errors import ModelNotFoundError, TritiumError
from tritium.execution.launcher import Launcher
from tritium.options import ServerOptions
from tritium.repository.ensembles import EnsembleRecipe
from tritium.repository.loader import LoadOptions, ModelLoader
from tritium.repository.peers import Peers
from tritium.repository.prepare import PrepareOptions
from tritium.repository.scan import ModelEntry


async def load_models(
    entries: Mapping[str, ModelEntry], findings: Sequence[Finding], prepare: PrepareOptions
) -> list[Finding]:
    """The findings after loading each model that had no error, one at a time.

    What a model logs goes with its warnings.
    """
    defaults = ServerOptions()
    launcher = Launcher()
    loader = ModelLoader(
        LoadOptions(prepare, defaults.max_queue_size, defaults.worker_stopped_limit_s),
        launcher,
        Peers(),
    )
    try:
        return [
            finding if finding.error is not None else await _load(loader, entries, finding)
            for finding in findings
        ]
    finally:
        launcher.close()


async def _load(loader: ModelLoader, entries: Mapping[str, ModelEntry], finding: Finding) -> Finding:
    with warnings_of("tritium") as warnings:
        loads = _Loads(loader, entries)
        try:
            loaded = await loads.load(finding.name)
        except TritiumError as error:
            return replace(finding, error=str(error), warnings=_together(finding, warnings))
        finally:
            await loads.stop()
    problems = [
        f"version {version}: {result}"
        for version, result in loaded.items()
        if isinstance(result, TritiumError)
    ]
    return replace(finding, error="; ".join(problems) or None, warnings=_together(finding, warnings))


class _Loads:
    """A model and, if it is an ensemble, those that it needs."""

    def __init__(self, loader: ModelLoader, entries: Mapping[str, ModelEntry]) -> None:
        self._loader = loader
        self._entries = entries
        self._loaded: dict[str, Mapping[int, Model | TritiumError]] = {}

    async def load(self, name: str) -> Mapping[int, Model | TritiumError]:
        """The versions of one model, or why they could not be loaded.

        Raises:
            TritiumError: before any version could be tried.
        """
        if name not in self._loaded:
            self._loaded[name] = {}  # nothing, to those that it needs
            self._loaded[name] = await self._load(self._entries[name])
        return self._loaded[name]

    async def stop(self) -> None:
        """Unload everything, what was loaded last first."""
        for versions in reversed(self._loaded.values()):
            for result in versions.values():
                if isinstance(result, Model):
                    await result.scheduler.stop()

    async def _load(self, entry: ModelEntry) -> Mapping[int, Model | TritiumError]:
        found = await self._loader.draft(entry)
        if not found.config.is_ensemble:
            return await self._loader.load(entry, found, lambda version: None)
        prepared = await self._loader.prepare_ensemble(entry, found)
        recipe = EnsembleRecipe(prepared, found.versions, entry)
        for name in filter(self._entries.__contains__, recipe.needs):
            await self.load(name)
        models = recipe.models(self._find, self._why_not)
        return {version: recipe.build(models, version) for version in recipe.versions}

    def _find(self, name: str, version: int | None) -> Model:
        models = {n: m for n, m in self._loaded[name].items() if isinstance(m, Model)}
        found = models.get(max(models, default=0) if version is None else version)
        if found is None:
            raise ModelNotFoundError(name, version)
        return found

    def _why_not(self, name: str) -> str | None:
        if name not in self._loaded:
            return None
        errors = [str(e) for e in self._loaded[name].values() if isinstance(e, TritiumError)]
        return f"Model '{name}' loading failed with error: {'; '.join(errors)};" if errors else ""


def _together(finding: Finding, warnings: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*finding.warnings, *warnings)))
