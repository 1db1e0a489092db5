"""ModelInfer: one request, one response."""

from __future__ import annotations

from tritium.core.model import Model
from tritium.core.response import InferenceResponse, ResponseStream
from tritium.core.tensor import Buffer
from tritium.errors import UnsupportedError
from tritium.frontends.grpc.call import GrpcCall
from tritium.protocol.grpc_infer import InferCall, encode_infer_response, read_infer_call
from tritium.server import InferenceServer

_DECOUPLED = "ModelInfer RPC doesn't support models with decoupled transaction policy"


class ModelInfer:
    """The handler of ``ModelInfer``."""

    def __init__(self, server: InferenceServer) -> None:
        self._server = server

    def __call__(self, call: GrpcCall, message: Buffer) -> None:
        """Start the inference that ``message`` asks for.

        Raises:
            TritiumError: the message breaks the protocol, or the model does not take it.
        """
        infer = read_infer_call(message)
        model = self._server.model(infer.message.model_name, infer.version)
        if model.config.decoupled:
            raise UnsupportedError(_DECOUPLED)
        stream = ResponseStream(_Reply(call, model, infer).on_response)
        request = infer.request(model.config, stream)
        model.check(request)
        call.on_cancel = stream.cancel
        self._server.infer(model, request)


class _Reply:
    """Takes the response of one inference."""

    __slots__ = ("_call", "_infer", "_model")

    def __init__(self, call: GrpcCall, model: Model, infer: InferCall) -> None:
        self._call = call
        self._model = model
        self._infer = infer

    def on_response(self, response: InferenceResponse, final: bool) -> None:
        """The model answered."""
        model, infer = self._model, self._infer
        try:
            pieces = encode_infer_response(
                response,
                request_id=infer.message.id,
                config=model.config,
                version=model.version,
                classes=infer.classes,
                labels=model.labels,
            )
        except Exception as error:
            self._call.fail(error)
        else:
            self._call.respond(*pieces)
