"""Loads models as the server does, to see whether they do, and unloads them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tritium.cli.static_check import Finding, warnings_of
from tritium.core.model import Model
from tritium.errors import TritiumError
from tritium.execution.launcher import Launcher
from tritium.options import ServerOptions
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
            finding if finding.error is not None else await _load(loader, entries[finding.name], finding)
            for finding in findings
        ]
    finally:
        launcher.close()


async def _load(loader: ModelLoader, entry: ModelEntry, finding: Finding) -> Finding:
    with warnings_of("tritium") as warnings:
        try:
            loaded = await loader.load(entry, lambda version: None)
        except TritiumError as error:
            return replace(finding, error=str(error), warnings=_together(finding, warnings))
        for result in loaded.values():
            if isinstance(result, Model):
                await result.scheduler.stop()
    problems = [
        f"version {version}: {result}"
        for version, result in loaded.items()
        if isinstance(result, TritiumError)
    ]
    return replace(finding, error="; ".join(problems) or None, warnings=_together(finding, warnings))


def _together(finding: Finding, warnings: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*finding.warnings, *warnings)))
