"""What unary and streaming inference have in common: from a message to a request, and back."""

from __future__ import annotations

from collections.abc import Sequence

from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseCallback, ResponseStream
from tritium.core.tensor import Buffer
from tritium.protocol.grpc_forms import GrpcForm, GrpcForms
from tritium.protocol.grpc_infer import InferCall, encode_infer_response, read_infer_call
from tritium.server import InferenceServer


class Inference:
    """One inference, from its message to its responses. ``on_response`` is the stream's callback."""

    __slots__ = ("_form", "_infer", "id", "model", "request", "stream")

    def __init__(self, on_response: ResponseCallback) -> None:
        self.stream = ResponseStream(on_response)
        self.id = ""  # known as soon as the message could be read
        self.model: Model | None = None
        self.request: InferenceRequest | None = None
        self._form: GrpcForm | None = None
        self._infer: InferCall | None = None

    def read(self, server: InferenceServer, forms: GrpcForms, message: Buffer) -> Model:
        """Make the request of ``message``, which its model then has checked.

        Raises:
            TritiumError: the message breaks the protocol, or the model does not take it.
        """
        form = forms.of(message)
        if form is not None:
            request = form.request(message, self.stream)  # type: ignore[arg-type]  # forms are of bytes
            if request is not None and server.model(request.model_name, request.model_version) is form.model:
                self._form, self.request, self.id = form, request, request.id
                self.model = form.model
                return form.model
        return self._read_anew(server, forms, message)

    def _read_anew(self, server: InferenceServer, forms: GrpcForms, message: Buffer) -> Model:
        infer = self._infer = read_infer_call(message)
        model = server.model(infer.message.model_name, infer.version)
        self.model = model
        self.id = infer.message.id
        self.accept(model)
        try:
            request = infer.request(model.config, self.stream)
        finally:
            self.id = infer.message.id if infer.readable else ""
        model.check(request)
        forms.remember(infer, request, model, message)
        self.request = request
        return model

    def accept(self, model: Model) -> None:
        """Raise a TritiumError for a model that this kind of call cannot serve."""

    @property
    def wants_empty_final(self) -> bool:
        """Whether the client wants to be told of an end without a response."""
        known = self._form if self._form is not None else self._infer
        return known is not None and known.wants_empty_final

    def encode(self, response: InferenceResponse, final: bool | None = None) -> Sequence[Buffer]:
        """A ModelInferResponse in pieces.

        Args:
            final: the value of ``triton_final_response``, which stream responses carry.

        Raises:
            TritiumError: the response's own error, or an output that cannot be classified.
        """
        if self._form is not None:
            pieces = self._form.reply(response, self.id, final)
            if pieces is not None:
                return pieces
        assert self.model is not None
        return encode_infer_response(
            response,
            request_id=self.id,
            config=self.model.config,
            version=self.model.version,
            classes=self._infer.classes if self._infer is not None else {},
            labels=self.model.labels,
            final=final,
        )
