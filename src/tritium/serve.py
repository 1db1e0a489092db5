"""The composition root: builds the server from its options, runs it until a signal, and drains it.

    load -> open listeners -> serve -> (signal) not ready -> close listeners -> drain -> unload -> exit 0

A second signal, or the exit timeout, ends it at once with status 1.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from tritium.caching.interface import ResponseCache
from tritium.caching.settings import make_cache
from tritium.errors import TritiumError, UnavailableError
from tritium.execution.launcher import Launcher
from tritium.execution.memory import settle
from tritium.execution.priority import put_loop_first
from tritium.frontends.grpc.front_end import make_listener
from tritium.frontends.grpc.listener import GrpcListener
from tritium.frontends.http.handlers import make_api
from tritium.frontends.http.listener import HttpListener
from tritium.frontends.http.metrics_api import MetricsApi
from tritium.options import HttpOptions, ServerOptions
from tritium.repository.loader import LoadOptions, ModelLoader
from tritium.repository.manager import ModelRepositoryManager
from tritium.repository.peers import Peers
from tritium.repository.prepare import DEFAULT_MAX_BATCH_SIZE, PrepareOptions
from tritium.scheduling.rate_limiter import RateLimiter
from tritium.server import InferenceServer
from tritium.startup_report import (
    Endpoint,
    backend_rows,
    backend_table,
    model_table,
    option_rows,
    option_table,
    ready_line,
    repository_agent_table,
    status_cell,
)

logger = logging.getLogger("tritium.serve")

_SERVICES = {
    "GRPC": "GRPCInferenceService",
    "HTTP": "HTTPService",
    "Metrics": "Metrics Service",
}  # as Triton's start-up lines call them


class StartError(Exception):
    """The server cannot start; the text is the last line that it prints."""


def run(options: ServerOptions, report: Callable[[str], None] = lambda _: None) -> int:
    """Serve until SIGTERM or SIGINT: the exit status. ``report`` prints lines for people."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(Service(options, report).run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class Service:
    """A server with its listeners, from start to end."""

    def __init__(self, options: ServerOptions, report: Callable[[str], None]) -> None:
        self._options = options
        self._report = report
        self._launcher = Launcher()
        self._cache: ResponseCache | None = None
        self._listeners: list[HttpListener | GrpcListener] = []
        self._endpoints: dict[str, Endpoint] = {}
        self._stop = asyncio.Event()
        self._signals = 0

    async def run(self) -> int:
        """Serve; see ``run`` of the module."""
        put_loop_first()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            return await self._serve()
        except TritiumError as error:
            self._report(f"error: creating server: {error.code.text} - {error}")
            return 1
        except StartError as error:
            self._report(str(error))
            return 1
        finally:
            if self._cache is not None:
                await self._cache.close()
            self._launcher.close()

    async def _serve(self) -> int:
        options = self._options
        peers = Peers()
        self._cache = cache = make_cache(options.cache_config)
        if cache is not None:
            await cache.open()
        manager = make_manager(options, self._launcher, peers, cache)
        loading = asyncio.ensure_future(manager.load_all(options.startup_models))
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            # A model that is being loaded may never come back; its thread or worker ends with the process.
            self._exit_now("stopped while models were loading", status=0)
        loading.result()
        failed = bool(manager.failures) or any(v.model is None for v in manager.versions())
        server = InferenceServer(
            manager,
            server_id=options.server_id,
            strict_readiness=options.strict_readiness,
            custom_metrics=peers.metrics,
            cache=cache,
        )
        self._report_start(manager, server)
        if failed:
            logger.error("Internal: failed to load all models")
            if options.exit_on_error:
                await manager.stop()
                self._report("error: creating server: Internal - failed to load all models")
                return 1
        try:
            await self._listen(server)
        except StartError:
            await manager.stop()
            raise
        settle()
        server.open()
        self._report_ready(manager)
        await stopping
        return await self._shut_down(server, manager)

    def _report_start(self, manager: ModelRepositoryManager, server: InferenceServer) -> None:
        """Triton's tables: repository agents, backends, models, options."""
        versions = [*manager.versions()]
        backends = [v.model.config.backend for v in versions if v.model is not None]
        rows = [(v.name, str(v.version), status_cell(v.state.value, v.reason)) for v in versions]
        rows += [
            (name, "-", status_cell("UNAVAILABLE", text)) for name, text in sorted(manager.failures.items())
        ]
        self._report(repository_agent_table())
        paths = {
            config.backend: str(self._options.backend_directory / config.backend / config.runtime)
            for config in (v.model.config for v in versions if v.model is not None)
            if config.runtime and self._options.backend_directory is not None
        }
        self._report(backend_table(backend_rows(backends, self._options, paths=paths)))
        self._report(model_table(rows))
        options = option_rows(self._options, version=server.version, extensions=server.extensions)
        self._report(option_table(options))

    def _report_ready(self, manager: ModelRepositoryManager) -> None:
        versions = [*manager.versions()]
        ready = sum(version.model is not None for version in versions)
        total = len(versions) + len(manager.failures)
        self._report(
            ready_line(
                ready,
                total,
                http=self._endpoints.get("HTTP"),
                grpc=self._endpoints.get("GRPC"),
                metrics=self._endpoints.get("Metrics"),
            )
        )

    async def _listen(self, server: InferenceServer) -> None:
        options = self._options
        if options.grpc.enabled:
            address = options.grpc.address or options.http.address
            try:
                listener = make_listener(server, options.grpc, address)
            except TritiumError as error:
                raise StartError(f"failed to start GRPC service: {error.code.text} - {error}") from error
            await self._open("GRPC", listener, address)
        if options.http.enabled:
            try:
                api = make_api(server, options.http)
            except TritiumError as error:
                raise StartError(f"failed to start HTTP service: {error.code.text} - {error}") from error
            await self._open("HTTP", HttpListener(api, options.http), options.http.address)
        if options.metrics.enabled:
            metrics = MetricsApi(server, cpu=options.metrics.cpu)
            address = options.metrics.address or options.http.address
            own = HttpOptions(address=address, port=options.metrics.port, reuse_port=options.http.reuse_port)
            await self._open("Metrics", HttpListener(metrics, own), address)

    async def _open(self, what: str, listener: HttpListener | GrpcListener, address: str) -> None:
        try:
            await listener.start()
        except UnavailableError as error:
            raise StartError(f"failed to start {what} service: {error.code.text} - {error} ") from error
        self._listeners.append(listener)
        self._endpoints[what] = Endpoint(address, listener.port)
        self._report(f"Started {_SERVICES[what]} at {address}:{listener.port}")

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        logger.info("Signal (%d) received.", number)
        if self._signals > 1:
            self._exit_now("second signal: exiting without waiting")
        self._stop.set()

    def _exit_now(self, reason: str, *, status: int = 1) -> None:
        logger.error("%s", reason)
        logging.shutdown()
        os._exit(status)  # workers follow by their parent-death signal

    async def _shut_down(self, server: InferenceServer, manager: ModelRepositoryManager) -> int:
        """Finish what was accepted, within the exit timeout."""
        options = self._options
        server.close()
        timeout = asyncio.get_running_loop().call_later(
            options.exit_timeout_s + options.drain_delay_s,
            self._exit_now,
            "Exit timeout expired. Exiting immediately.",
        )
        if options.drain_delay_s:
            await asyncio.sleep(options.drain_delay_s)
        logger.info("Waiting for in-flight requests to complete.")
        for listener in self._listeners:
            listener.close()
        for listener in self._listeners:
            await listener.drained()
            listener.abort()
        logger.info("All requests are answered, unloading models")
        await manager.stop()
        timeout.cancel()
        return 0


def make_manager(
    options: ServerOptions, launcher: Launcher, peers: Peers, cache: ResponseCache | None = None
) -> ModelRepositoryManager:
    """The models of the options' repositories, not loaded yet. Needs a running loop."""
    everywhere = options.backend_config.get("", {})
    prepare = PrepareOptions(
        auto_complete=not options.disable_auto_complete_config,
        cpu_fallback=options.cpu_fallback,
        xrt=options.xrt,
        default_max_batch_size=int(everywhere.get("default-max-batch-size", DEFAULT_MAX_BATCH_SIZE)),
        backend_settings=options.backend_config,
        backend_directory=options.backend_directory,
    )
    loader = ModelLoader(
        LoadOptions(
            prepare,
            options.max_queue_size,
            options.worker_stopped_limit_s,
            debug_errors=options.debug_errors,
            terminal=options.terminal,
            execution_timeout_s=options.execution_timeout_s,
            cache=cache,
        ),
        launcher,
        peers,
        RateLimiter(dict(options.rate_limit_resources)) if options.rate_limit != "off" else None,
    )
    manager = ModelRepositoryManager(
        options.model_repositories,
        loader,
        config_name=options.model_config_name,
        load_threads=options.model_load_threads,
        explicit=options.model_control_mode == "explicit",
    )
    peers.bind(manager)
    return manager
