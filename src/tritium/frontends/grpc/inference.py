"""What unary and streaming inference have in common: from a message to a request, and back."""

from __future__ import annotations

from collections.abc import Sequence

from tritium.core.model import Model
from tritium.core.request import InferenceRequest
from tritium.core.response import InferenceResponse, ResponseCallback, ResponseStream
from tritium.core.tensor import Buffer
from tritium.protocol.grpc_forms import GrpcForm, GrpcForms
from tritium.protocol.grpc_infer import encode_infer_response, read_infer_call
from tritium.server import InferenceServer


class Inference:
    """One inference, from its message to its responses. ``on_response`` is the stream's callback.

    It keeps nothing of the message, which may be long: whoever runs the request lets go of that.

    Attributes:
        id: known as soon as the message could be read.
        wants_empty_final: whether the client wants to be told of an end without a response.
    """

    __slots__ = ("_classes", "_form", "id", "model", "stream", "wants_empty_final")

    def __init__(self, on_response: ResponseCallback) -> None:
        self.stream = ResponseStream(on_response)
        self.id = ""
        self.wants_empty_final = False
        self.model: Model | None = None
        self._form: GrpcForm | None = None
        self._classes: dict[str, int] = {}  # of outputs that are to be classified

    def read(
        self, server: InferenceServer, forms: GrpcForms, message: Buffer
    ) -> tuple[Model, InferenceRequest]:
        """Make the request of ``message``, which its model then has checked.

        Raises:
            TritiumError: the message breaks the protocol, or the model does not take it.
        """
        known = forms.find(message)
        if known is not None:
            form, _, options, _ = known
            request = form.request(known, message, self.stream)
            model = form.model
            if server.model(request.model_name, request.model_version) is model:
                self._form, self.model, self.id = form, model, request.id
                self.wants_empty_final = options.wants_empty_final
                return model, request
        return self._read_anew(server, forms, message)

    def _read_anew(
        self, server: InferenceServer, forms: GrpcForms, message: Buffer
    ) -> tuple[Model, InferenceRequest]:
        infer = read_infer_call(message)
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
        self._classes, self.wants_empty_final = infer.classes, infer.wants_empty_final
        return model, request

    def accept(self, model: Model) -> None:
        """Raise a TritiumError for a model that this kind of call cannot serve."""

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
            classes=self._classes,
            labels=self.model.labels,
            final=final,
        )
