"""Generations of models on their way out: each request that they have is answered first."""

from __future__ import annotations

import asyncio
import logging

from tritium.repository.lifecycle import ModelVersion, VersionState
from tritium.repository.overrides import remove_files
from tritium.repository.tracked import UNLOADED, Generation

logger = logging.getLogger("tritium.repository")


class Drains:
    """Unloads generations in the background; nobody waits for them but ``finish``."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, generation: Generation, reason: str = UNLOADED) -> None:
        """Unload what is ready in ``generation``, at once in name and when it is unused in fact.

        Args:
            reason: what the index says of it afterwards.
        """
        leaving = generation.ready()
        for version in leaving:
            version.to(VersionState.UNLOADING)
        if not leaving and generation.files is None:
            return
        task = asyncio.get_running_loop().create_task(self._drain(generation, leaving, reason), name="drain")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait until everything is unloaded."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _drain(self, generation: Generation, leaving: list[ModelVersion], reason: str) -> None:
        async with asyncio.TaskGroup() as unloads:
            for version in leaving:
                unloads.create_task(_unload(version, reason), name=f"unload-{version.name}")
        files, generation.files = generation.files, None
        if files is not None:
            await asyncio.to_thread(remove_files, files)


async def _unload(version: ModelVersion, reason: str) -> None:
    assert version.model is not None
    try:
        unused = asyncio.Event()
        version.model.when_unused(unused.set)
        await unused.wait()
        await version.model.scheduler.stop()
    except Exception:
        logger.exception("unloading '%s' version %d failed", version.name, version.version)
    version.to(VersionState.UNAVAILABLE, reason)
    logger.info("successfully unloaded '%s' version %d", version.name, version.version)
