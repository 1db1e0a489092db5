"""ModelInfer: one request, one response."""

from __future__ import annotations

from tritium.core.model import Model
from tritium.core.response import InferenceResponse
from tritium.core.tensor import Buffer
from tritium.errors import UnsupportedError
from tritium.frontends.grpc.call import GrpcCall
from tritium.frontends.grpc.inference import Inference
from tritium.protocol.grpc_forms import GrpcForms
from tritium.protocol.restrictions import forward
from tritium.server import InferenceServer

_DECOUPLED = "ModelInfer RPC doesn't support models with decoupled transaction policy"


class ModelInfer:
    """The handler of ``ModelInfer``."""

    def __init__(self, server: InferenceServer, forms: GrpcForms) -> None:
        self._server = server
        self._forms = forms

    def __call__(self, call: GrpcCall, message: Buffer) -> None:
        """Start the inference that ``message`` asks for.

        Raises:
            TritiumError: the message breaks the protocol, or the model does not take it.
        """
        inference = _UnaryInference(call)
        model, request = inference.read(self._server, self._forms, message)
        if call.forwarded:
            forward(request, call.forwarded)
        call.on_cancel = inference.stream.cancel
        self._server.infer(model, request)


class _UnaryInference(Inference):
    """Answers its call."""

    __slots__ = ("_call",)

    def __init__(self, call: GrpcCall) -> None:
        super().__init__(self._on_response)
        self._call = call

    def accept(self, model: Model) -> None:
        """One response is all that this call can carry."""
        if model.config.decoupled:
            raise UnsupportedError(_DECOUPLED)

    def _on_response(self, response: InferenceResponse, final: bool) -> None:
        try:
            pieces = self.encode(response)
        except Exception as error:
            self._call.fail(error)
        else:
            self._call.respond(*pieces)
