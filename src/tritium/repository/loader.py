"""A model directory to a ``Model`` that serves: configuration, instances, scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import msgspec

from tritium.backends.api import BackendChoice, InstanceContext, ThreadBackend, WorkerBackend
from tritium.caching.front import behind_cache, recall_of
from tritium.caching.interface import ResponseCache
from tritium.caching.key import fingerprint_of
from tritium.config.document import document_of
from tritium.config.pbtxt import config_from_document
from tritium.core.interfaces import ModelAccess
from tritium.core.model import Model
from tritium.core.model_config import ModelConfig
from tritium.core.reshape import output_reshape
from tritium.errors import TritiumError
from tritium.execution.completions import Completions
from tritium.execution.cores import available_cores
from tritium.execution.launcher import Launcher
from tritium.execution.thread import ThreadInstance
from tritium.execution.worker_group import WorkerGroup
from tritium.execution.worker_plan import WorkerPlan
from tritium.repository.prepare import (
    Draft,
    Prepared,
    PrepareOptions,
    choose_engine,
    complete,
    draft,
    finish,
)
from tritium.repository.scan import ModelEntry
from tritium.repository.warmup import warm_up
from tritium.repository.worker_parameters import plan_for, refuse_in_threads
from tritium.scheduling.choice import Scheduling, scheduling_of
from tritium.scheduling.rate_limiter import RateLimiter, limited_instances

_INSTALLS = 8  # environments that are made at the same time


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What loading needs to know of the server's flags."""

    prepare: PrepareOptions
    max_queue_size: int
    worker_stopped_limit_s: float
    debug_errors: bool = False
    terminal: bool = False
    execution_timeout_s: float | None = None  # where a model says nothing
    cache: ResponseCache | None = None


class ModelLoader:
    """Loads versions of models. One per server.

    Args:
        models: what models that run may ask for.
        limiter: gives their instances turns, where the server limits rates.
    """

    def __init__(
        self,
        options: LoadOptions,
        launcher: Launcher,
        models: ModelAccess,
        limiter: RateLimiter | None = None,
    ) -> None:
        self._options = options
        self.cache = options.cache
        self._launcher = launcher
        self._models = models
        self._limiter = limiter
        self._completions = Completions()
        self._installs = ThreadPoolExecutor(_INSTALLS, thread_name_prefix="tritium-environment")

    async def draft(self, entry: ModelEntry) -> Draft:
        """Read what ``entry`` says of itself.

        Raises:
            TritiumError: it cannot be read.
        """
        return await asyncio.to_thread(draft, entry, self._options.prepare)

    async def prepare_ensemble(self, entry: ModelEntry, found: Draft) -> Prepared:
        """The checked configuration of an ensemble, which other models will run.

        Raises:
            TritiumError: it breaks a rule.
        """
        return await asyncio.to_thread(finish, entry, found.config, self._options.prepare)

    async def load(
        self, entry: ModelEntry, found: Draft, on_version: Callable[[int], None]
    ) -> dict[int, Model | TritiumError]:
        """Load the selected versions of ``entry``.

        Args:
            found: as ``draft`` gives it; no ensemble.
            on_version: called before each version is loaded.

        Returns:
            By version, the model or why it could not be loaded.
        """
        loaded: dict[int, Model | TritiumError] = {}
        for version in found.versions:
            on_version(version)
            try:
                if found.problem is not None:
                    raise found.problem
                loaded[version] = await self.load_version(entry, version, found)
            except TritiumError as error:
                loaded[version] = error
        return loaded

    async def load_version(self, entry: ModelEntry, version: int, found: Draft) -> Model:
        """Load one version of ``entry``.

        Raises:
            TritiumError: it cannot be loaded.
        """
        found = await asyncio.to_thread(choose_engine, entry, found, version)
        backend = found.backend
        config = await asyncio.to_thread(complete, entry, found, self._options.prepare)
        if isinstance(backend, WorkerBackend):
            return await _warm(await self._load_in_workers(entry, version, backend, config), entry)
        prepared = await asyncio.to_thread(finish, entry, config, self._options.prepare)
        # an ensemble is not loaded here, and choose_engine made a choice
        assert backend is not None and not isinstance(backend, BackendChoice)
        return await _warm(await self._load_in_threads(entry, version, backend, prepared), entry)

    async def _load_in_threads(
        self, entry: ModelEntry, version: int, backend: ThreadBackend, prepared: Prepared
    ) -> Model:
        config = prepared.config
        refuse_in_threads(config, backend.name)
        names = instance_names(config)
        threads = max(1, available_cores() // len(names))
        instances = [
            ThreadInstance(
                backend, InstanceContext(config, entry.directory, version, name, threads), self._completions
            )
            for name in names
        ]
        limited = limited_instances(self._limiter, config)
        starts = (instance.start() for instance in instances)
        for result in await asyncio.gather(*starts, return_exceptions=True):
            if result is not None:
                if limited is not None:
                    limited.close()
                await asyncio.gather(*(instance.stop() for instance in instances))
                raise result
        scheduling = self._scheduling(prepared, len(instances))
        statistics = scheduling.statistics
        runner = scheduling.runner(instances, output_reshape(config), limited)
        fingerprint = await self._fingerprint(entry, version, config)
        scheduler = behind_cache(runner, self.cache, config, statistics, fingerprint)
        return Model(
            config,
            version,
            scheduler,
            statistics,
            document_of(config),
            prepared.labels,
            lambda: True,
            recall=recall_of(scheduler),
            fingerprint=fingerprint,
        )

    async def _load_in_workers(
        self, entry: ModelEntry, version: int, backend: WorkerBackend, config: ModelConfig
    ) -> Model:
        plan = await self._worker_plan(entry, version, backend, config)
        group = WorkerGroup(config.name, plan, self._launcher, self._models)
        limited = None
        try:
            if self._options.prepare.auto_complete and backend.reader is None:
                completed = await group.autocomplete(document_of(config))
                config = config_from_document(completed, f"auto_complete_config of model '{config.name}'")
            prepared = await asyncio.to_thread(finish, entry, config, self._options.prepare)
            config = prepared.config
            args = await asyncio.to_thread(_arguments, entry, version, backend, config)
            limit_s = self._options.execution_timeout_s
            plan = plan_for(
                replace(plan, args=args), config, backend.execution_timeout_s if limit_s is None else limit_s
            )
            names = instance_names(config)
            if self._options.terminal:  # one reads from it, and may take its time there
                names, plan = names[:1], replace(plan, execution_timeout_s=None)
            limited = limited_instances(self._limiter, config)
            await group.start(plan, names, [name for name, _ in config.given_outputs])
        except BaseException:
            if limited is not None:
                limited.close()
            await group.abandon()
            raise
        scheduling = self._scheduling(prepared, len(group.instances))
        statistics = scheduling.statistics
        runner = scheduling.runner(group.instances, output_reshape(config), limited, group.refusal)
        group.attach(runner.wake, runner.fail_pending, runner.lost)
        fingerprint = await self._fingerprint(entry, version, config)
        scheduler = behind_cache(runner, self.cache, config, statistics, fingerprint)
        return Model(
            config,
            version,
            scheduler,
            statistics,
            document_of(config),
            prepared.labels,
            is_ready=group.ready,
            restarts=group.restarts,
            usage=group.usage,
            asked=group.asked,
            recall=recall_of(scheduler),
            fingerprint=fingerprint,
        )

    def _scheduling(self, prepared: Prepared, instances: int) -> Scheduling:
        return scheduling_of(
            prepared.config,
            self._options.max_queue_size,
            instances=instances,
            initial_states=prepared.initial_states,
        )

    async def _worker_plan(
        self, entry: ModelEntry, version: int, backend: WorkerBackend, config: ModelConfig
    ) -> WorkerPlan:
        filename = str(backend.script or config.default_model_filename or backend.default_filename)
        model = {"host": backend.host, "directory": str(entry.directory.resolve()), "version": str(version),
                 "filename": filename, "name": config.name,
                 "debug_errors": str(int(self._options.debug_errors))}  # fmt: skip
        # In threads of their own: an environment may take minutes to make.
        interpreter = await asyncio.get_running_loop().run_in_executor(
            self._installs, backend.interpreter, config, entry.directory
        )
        return WorkerPlan(
            replace(interpreter, terminal=self._options.terminal),
            model,
            {},
            self._options.worker_stopped_limit_s,
            load_timeout_s=backend.load_timeout_s,
            native=backend.native,
        )

    async def _fingerprint(self, entry: ModelEntry, version: int, config: ModelConfig) -> bytes:
        """What tells the model from every other, where that is asked for: by the cache."""
        if self.cache is None:
            return b""
        return await asyncio.to_thread(
            fingerprint_of, document_of(config), entry.directory, version, shared=self.cache.shared
        )


async def _warm(model: Model, entry: ModelEntry) -> Model:
    """``model`` after its warm-up; one that fails it is stopped."""
    try:
        await warm_up(model, entry.directory)
    except BaseException:
        await model.scheduler.stop()
        raise
    return model


def instance_names(config: ModelConfig) -> list[str]:
    """The names of all instances: the group's name and a number, as Triton gives them."""
    return [f"{group.name}_{index}" for group in config.instance_group for index in range(group.count)]


def _arguments(
    entry: ModelEntry, version: int, backend: WorkerBackend, config: ModelConfig
) -> dict[str, str]:
    """What the worker is told when it loads the model, but for the instance's name."""
    args = _initialize_args(entry, version, config)
    if backend.reader is not None:
        path = entry.directory / str(version) / config.default_model_filename
        args.update(backend.reader.worker_arguments(config, path))
    return args


def _initialize_args(entry: ModelEntry, version: int, config: ModelConfig) -> dict[str, str]:
    """The arguments of ``initialize`` but for the instance's name, as Triton's python backend gives them."""
    return {
        "model_config": msgspec.json.encode(document_of(config)).decode(),
        "model_instance_kind": "CPU",
        "model_instance_device_id": "0",
        "model_repository": str(entry.directory.resolve()),
        "model_version": str(version),
        "model_name": config.name,
    }
