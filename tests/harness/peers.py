"""A server and its answers in a form that does not depend on where its files are: to compare two servers."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2, service_pb2_grpc

from benchmarks import reference, servers
from benchmarks.servers import Server
from tests.harness.http import Connection, Reply, request, wait_until
from tests.harness.server import ServerProcess

_LIMIT_S = 30.0
_ATTEMPTS = 2
_END_S = 5.0
T = TypeVar("T")
Answer = Mapping[str, Any]


def reference_triton() -> reference.Program:
    """The real Triton where it is set up already, or may be (``TRITIUM_REFERENCE_TESTS=1``); else a skip."""
    cache = reference.cache_directory()
    if not reference.triton_is_set_up(cache) and os.environ.get("TRITIUM_REFERENCE_TESTS") != "1":
        pytest.skip(
            "NOT COMPARED WITH THE REAL TRITON: it is not set up here; TRITIUM_REFERENCE_TESTS=1 (or make "
            "bench) installs it, about 500 MB"
        )
    try:
        return reference.real_triton(cache)
    except reference.UnavailableError as error:
        pytest.skip(f"NOT COMPARED WITH THE REAL TRITON: {error}")


def reference_python() -> Path:
    """The interpreter of the real Triton's model.py files."""
    return reference.cache_directory() / "venv" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that serves ``repository``."""

    http_port: int
    grpc_port: int
    metrics_port: int
    repository: Path

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One HTTP request on a connection of its own."""
        with Connection(self.http_port, timeout_s=_LIMIT_S) as connection:
            connection.send(request(method, path, body, headers))
            reply = connection.reply()
            if reply is None:
                raise ConnectionResetError("the server closed without a reply")
            shown = reply.body.replace(f"{self.repository}/".encode(), b"")
            return Reply(reply.status, reply.reason, reply.headers, shown)

    def infer(self, model: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Status and document of an inference over HTTP, and the binary outputs after it."""
        reply = self.ask("POST", f"/v2/models/{model}/infer", body, headers)
        size = int(reply.headers.get("inference-header-content-length", len(reply.body)))
        document = _document(reply.body[:size])
        return {"status": reply.status, **document, "binary": reply.body[size:].hex()}

    def load(self, model: str) -> Answer:
        """Status and text of a load."""
        reply = self.ask("POST", f"/v2/repository/models/{model}/load", b"{}")
        return {"status": reply.status, **_document(reply.body or b"{}")}

    def unary(self, message: service_pb2.ModelInferRequest) -> Answer:
        """An inference over gRPC."""
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            try:
                return response(stub.ModelInfer(message, timeout=_LIMIT_S))
            except grpc.RpcError as error:
                return {"code": error.code().name, "error": self._shown(error.details())}

    def stream(self, *messages: service_pb2.ModelInferRequest) -> list[Answer]:
        """All responses of a stream that ends after ``messages``."""
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            try:
                answers = stub.ModelStreamInfer(iter(messages), timeout=_LIMIT_S)
                return [self._streamed(each) for each in answers]
            except grpc.RpcError as error:
                return [{"code": error.code().name, "error": self._shown(error.details())}]

    def first_of_stream(self, message: service_pb2.ModelInferRequest) -> Answer:
        """The first response of a stream that is cancelled then."""
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            answers = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(
                iter([message]), timeout=_LIMIT_S
            )
            first = self._streamed(next(answers))
            answers.cancel()
            return first

    def _streamed(self, message: service_pb2.ModelStreamInferResponse) -> Answer:
        return {"error": self._shown(message.error_message), **response(message.infer_response)}

    def statistics(self, model: str) -> Any:
        """What the server has counted of one model."""
        (found,) = self.ask("GET", f"/v2/models/{model}/stats").json["model_stats"]
        return found

    def pending(self, model: str) -> int:
        """Requests of ``model`` that wait for an instance."""
        sample = f'nv_inference_pending_request_count{{model="{model}",version="1"}} '
        return next(
            int(line[len(sample) :]) for line in self.metrics().splitlines() if line.startswith(sample)
        )

    def metrics(self) -> str:
        """The text of /metrics."""
        with Connection(self.metrics_port) as connection:
            connection.send(request("GET", "/metrics"))
            reply = connection.reply()
            assert reply is not None
            return reply.body.decode()

    def _shown(self, text: str) -> str:
        return _without_server_frames(text.replace(f"{self.repository}/", ""))


class ReferencePeer:
    """The real Triton. It may end by itself while models ask it for something (2.51 does now and then, with
    ``boost::interprocess::lock_exception``); then it is started again, and asked again.

    Args:
        start: gives a server that is ready.
    """

    def __init__(self, start: Callable[[], AbstractContextManager[Server]], repository: Path) -> None:
        self._start = start
        self._repository = repository
        self._stack = ExitStack()

    def __enter__(self) -> ReferencePeer:
        self._server = self._stack.enter_context(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.process.kill()  # it may wait for half a minute after SIGTERM
        self._stack.close()

    def answer(self, ask: Callable[[Peer], T]) -> T:
        """What ``ask`` gives; the test is skipped, loudly, where Triton ends or hangs each time."""
        for _ in range(_ATTEMPTS):
            server = self._server
            try:
                return ask(Peer(server.http_port, server.grpc_port, server.metrics_port, self._repository))
            except OSError as error:
                if isinstance(error, TimeoutError):  # 2.51 hangs now and then while it loads models
                    server.process.kill()
                try:
                    server.process.wait(_END_S)
                except subprocess.TimeoutExpired:  # it lives, so something else is wrong
                    raise error from None
                self._stack.close()
                self._server = self._stack.enter_context(self._start())
        pytest.skip("NOT COMPARED WITH THE REAL TRITON: it ended or hung each time it was asked this")


Peers = tuple[ReferencePeer, Peer]


@contextmanager
def served_by_both(models: Path, *flags: str) -> Iterator[Peers]:
    """The real Triton and tritium on the same models, with the same flags (``--name=value``)."""
    program = reference_triton()
    ours = [part for flag in flags for part in flag.split("=", 1)]
    with (
        ReferencePeer(lambda: servers.real_triton(program, models, *flags), models) as triton,
        ServerProcess(models, *ours, log=models.parent / "log") as tritium,
    ):
        # Triton is ready before it listens on its port for metrics
        wait_until(lambda: triton.answer(_measured), _LIMIT_S, "Triton has metrics")
        yield triton, Peer(tritium.http_port, tritium.grpc_port, tritium.metrics_port, models)


def _measured(peer: Peer) -> bool:
    try:
        return bool(peer.metrics())
    except ConnectionRefusedError:
        return False


def both(peers: Peers, ask: Callable[[Peer], T]) -> tuple[T, T]:
    """What Triton answers, and what tritium does."""
    triton, tritium = peers
    return triton.answer(ask), ask(tritium)


def _document(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body)
    return {**found, "error": _without_server_frames(found["error"])} if "error" in found else found


def _without_server_frames(text: str) -> str:
    """A traceback without the frames of the server's own files and of the import machinery."""
    return re.sub(
        r"^  (<frozen |tritium_worker/|\S*triton_python_backend_utils\.py).*\n", "", text, flags=re.M
    )


def response(message: service_pb2.ModelInferResponse) -> dict[str, Any]:
    """A gRPC response as a dictionary, tensors in hexadecimal."""
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    found["raw_output_contents"] = [bytes(each).hex() for each in message.raw_output_contents]
    return found


def message(
    model: str, tensors: Sequence[tuple[str, str, Sequence[int], bytes]], **parameters: str | int | bool
) -> service_pb2.ModelInferRequest:
    """A gRPC request with binary tensors: (name, datatype, shape, bytes)."""
    made = service_pb2.ModelInferRequest(model_name=model)
    for name, datatype, shape, data in tensors:
        made.inputs.add(name=name, datatype=datatype, shape=shape)
        made.raw_input_contents.append(data)
    kinds = {str: "string_param", bool: "bool_param", int: "int64_param"}
    for key, value in parameters.items():
        setattr(made.parameters[key], kinds[type(value)], value)
    return made
