"""inference.GRPCInferenceService: a handler for each RPC, over one InferenceServer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tritium.core.tensor import Buffer
from tritium.frontends.grpc.call import GrpcCall
from tritium.frontends.grpc.model_infer import ModelInfer
from tritium.frontends.grpc.service import Streaming, Unary
from tritium.frontends.grpc.status import GrpcError, GrpcStatus
from tritium.frontends.grpc.stream_infer import StreamInfer
from tritium.protocol import grpc_documents as messages
from tritium.protocol.grpc_forms import GrpcForms
from tritium.protocol.grpc_infer import version_number
from tritium.server import InferenceServer

_PREFIX = "/inference.GRPCInferenceService/"
_NOT_OFFERED = {
    "SystemSharedMemoryStatus": "system shared memory",
    "SystemSharedMemoryRegister": "system shared memory",
    "SystemSharedMemoryUnregister": "system shared memory",
    "CudaSharedMemoryStatus": "CUDA shared memory",
    "CudaSharedMemoryRegister": "CUDA shared memory",
    "CudaSharedMemoryUnregister": "CUDA shared memory",
    "TraceSetting": "tracing",
    "LogSettings": "changing log settings",
}


class InferenceService:
    """The RPCs of Triton's service."""

    def __init__(self, server: InferenceServer) -> None:
        self._server = server
        forms = GrpcForms()
        self._tasks: set[asyncio.Task[None]] = set()
        handlers: dict[str, Unary | Streaming] = {
            "ServerLive": Unary(self._server_live),
            "ServerReady": Unary(self._server_ready),
            "ModelReady": Unary(self._model_ready),
            "ServerMetadata": Unary(self._server_metadata),
            "ModelMetadata": Unary(self._model_metadata),
            "ModelConfig": Unary(self._model_config),
            "ModelStatistics": Unary(self._model_statistics),
            "ModelInfer": Unary(ModelInfer(server, forms)),
            "ModelStreamInfer": Streaming(lambda call: StreamInfer(server, forms, call)),
            "RepositoryIndex": Unary(self._slowly(self._index)),
            "RepositoryModelLoad": Unary(self._slowly(self._load)),
            "RepositoryModelUnload": Unary(self._slowly(self._unload)),
        }
        handlers.update({name: Unary(_refusal(what)) for name, what in _NOT_OFFERED.items()})
        self.methods: Mapping[bytes, Unary | Streaming] = {
            f"{_PREFIX}{name}".encode(): handler for name, handler in handlers.items()
        }

    def _server_live(self, call: GrpcCall, message: Buffer) -> None:
        call.respond(messages.flag("ServerLiveResponse", "live", True))

    def _server_ready(self, call: GrpcCall, message: Buffer) -> None:
        call.respond(messages.flag("ServerReadyResponse", "ready", self._server.ready))

    def _model_ready(self, call: GrpcCall, message: Buffer) -> None:
        asked = messages.read("ModelReadyRequest", message)
        ready = self._server.model_ready(asked.name, version_number(asked.version))
        call.respond(messages.flag("ModelReadyResponse", "ready", ready))

    def _server_metadata(self, call: GrpcCall, message: Buffer) -> None:
        call.respond(messages.server_metadata(self._server))

    def _model_metadata(self, call: GrpcCall, message: Buffer) -> None:
        asked = messages.read("ModelMetadataRequest", message)
        model = self._server.model(asked.name, version_number(asked.version))
        listed = [model] if asked.version else self._server.models.ready_models(asked.name)
        call.respond(messages.model_metadata(model, [m.version for m in listed]))

    def _model_config(self, call: GrpcCall, message: Buffer) -> None:
        asked = messages.read("ModelConfigRequest", message)
        call.respond(messages.model_config(self._server.model(asked.name, version_number(asked.version))))

    def _model_statistics(self, call: GrpcCall, message: Buffer) -> None:
        asked = messages.read("ModelStatisticsRequest", message)
        models = self._server.models_with_statistics(asked.name, version_number(asked.version))
        call.respond(messages.statistics(models))

    async def _index(self, message: Buffer) -> bytes:
        asked = messages.read("RepositoryIndexRequest", message)
        messages.refuse_repository(asked)
        return messages.index(await self._server.repository_index(ready_only=asked.ready))

    async def _load(self, message: Buffer) -> bytes:
        asked = messages.read("RepositoryModelLoadRequest", message)
        await self._server.load_model(asked.model_name, messages.load_parameters(asked))
        return b""

    async def _unload(self, message: Buffer) -> bytes:
        asked = messages.read("RepositoryModelUnloadRequest", message)
        dependents = messages.unload_dependents(asked)
        await self._server.unload_model(asked.model_name, unload_dependents=dependents)
        return b""

    def _slowly(
        self, work: Callable[[Buffer], Coroutine[Any, Any, bytes]]
    ) -> Callable[[GrpcCall, Buffer], None]:
        """A handler that answers when ``work`` is done, which goes on when the client goes away."""

        async def answer(call: GrpcCall, message: Buffer) -> None:
            try:
                call.respond(await work(message))
            except Exception as error:
                call.fail(error)

        def handle(call: GrpcCall, message: Buffer) -> None:
            task = asyncio.get_running_loop().create_task(answer(call, message), name="grpc-slow-path")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return handle


def _refusal(what: str) -> Callable[[GrpcCall, Buffer], None]:
    def refuse(call: GrpcCall, message: Buffer) -> None:
        raise GrpcError(GrpcStatus.UNIMPLEMENTED, f"{what} is not offered by this server")

    return refuse
