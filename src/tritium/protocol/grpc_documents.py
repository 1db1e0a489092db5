"""The messages of the RPCs other than inference, made from the documents that HTTP shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from tritium.config.messages import message_from_document
from tritium.core.model import Model
from tritium.core.tensor import Buffer
from tritium.errors import InvalidArgumentError, UnsupportedError
from tritium.protobuf_messages import service_messages
from tritium.protocol import documents
from tritium.protocol.grpc_infer import unreadable
from tritium.protocol.repository_codec import encode_index
from tritium.repository.index import IndexEntry
from tritium.repository.overrides import CONFIG_PARAMETER, FILE_PREFIX
from tritium.server import InferenceServer

_MESSAGES = service_messages()


def read(name: str, buffer: Buffer) -> Any:
    """A request message of this type.

    Raises:
        InvalidArgumentError: the bytes are none.
    """
    try:
        return getattr(_MESSAGES, name).FromString(bytes(buffer))
    except DecodeError as error:
        raise unreadable(name) from error


def flag(name: str, field: str, value: bool) -> bytes:
    """A response that is one boolean, such as ServerLiveResponse."""
    return bytes(getattr(_MESSAGES, name)(**{field: value}).SerializeToString())


def server_metadata(server: InferenceServer) -> bytes:
    """ServerMetadataResponse."""
    return _from_document("ServerMetadataResponse", documents.server_metadata(server))


def model_metadata(model: Model, versions: Iterable[int]) -> bytes:
    """ModelMetadataResponse; ``versions`` are those to list."""
    return _from_document("ModelMetadataResponse", documents.model_metadata(model, versions))


def model_config(model: Model) -> bytes:
    """ModelConfigResponse."""
    config = message_from_document(model.document, f"configuration of model '{model.config.name}'")
    return bytes(_MESSAGES.ModelConfigResponse(config=config).SerializeToString())


def statistics(models: Iterable[Model]) -> bytes:
    """ModelStatisticsResponse."""
    message = _MESSAGES.ModelStatisticsResponse()
    # What Triton's message has no room for (batch_release) is in HTTP's answer and in the metrics.
    json_format.ParseDict(dict(documents.statistics(models)), message, ignore_unknown_fields=True)
    return bytes(message.SerializeToString())


def index(entries: Iterable[IndexEntry]) -> bytes:
    """RepositoryIndexResponse."""
    return _from_document("RepositoryIndexResponse", {"models": encode_index(entries)})


def load_parameters(message: Any) -> dict[str, object]:
    """The parameters of a RepositoryModelLoadRequest: ``config`` is text, files are bytes.

    Raises:
        UnsupportedError: it names a repository.
        InvalidArgumentError: a parameter is unknown or has another type.
    """
    refuse_repository(message)
    parameters: dict[str, object] = {}
    for name, parameter in message.parameters.items():
        if name != CONFIG_PARAMETER and not name.startswith(FILE_PREFIX):
            raise InvalidArgumentError(f"unrecognized load parameter '{name}' with type ''")
        wanted = "string_param" if name == CONFIG_PARAMETER else "bytes_param"
        parameters[name] = _value(name, parameter, wanted)
    return parameters


def unload_dependents(message: Any) -> bool:
    """Whether a RepositoryModelUnloadRequest wants dependent models unloaded as well.

    Raises:
        UnsupportedError: it names a repository.
        InvalidArgumentError: the parameter is no boolean.
    """
    refuse_repository(message)
    parameter = message.parameters.get("unload_dependents")
    return parameter is not None and bool(_value("unload_dependents", parameter, "bool_param"))


def refuse_repository(message: Any) -> None:
    """Raise UnsupportedError for a request that names a repository, as Triton does."""
    if message.repository_name:
        raise UnsupportedError("'repository_name' specification is not supported")


def _value(name: str, parameter: Any, wanted: str) -> object:
    if parameter.WhichOneof("parameter_choice") != wanted:
        raise InvalidArgumentError(f"invalid value type for '{name}' parameter, expected {wanted}.")
    value: object = getattr(parameter, wanted)
    return value


def _from_document(name: str, document: Mapping[str, Any]) -> bytes:
    message = getattr(_MESSAGES, name)()
    json_format.ParseDict(dict(document), message)
    return bytes(message.SerializeToString())
