"""``pb_utils.InferenceRequest``: what a model is asked, and what it asks other models."""

from __future__ import annotations

import json
import operator
from typing import (
    TYPE_CHECKING,
    Any,
    Awaitable,
    Collection,
    Dict,
    List,
    Optional,
    Sequence,
    Set,
    Union,
)

from tritium_worker.errors import TritonModelException
from tritium_worker.parameters import check_parameters
from tritium_worker.process import PROCESS
from tritium_worker.sender import Origin, ResponseSender
from tritium_worker.tensor import Tensor
from tritium_worker.text import text
from tritium_worker.trace import UNTRACED, InferenceTrace

if TYPE_CHECKING:
    from tritium_worker.calls import ResponseIterator
    from tritium_worker.response import InferenceResponse

RELEASE_ALL = 1
RELEASE_RESCHEDULE = 2


class InferenceRequest:
    """One request. The constructor is for requests to other models; the channel uses ``_received``.

    Args:
        inputs: in any order.
        requested_output_names: not empty strings.
        model_name: whom to ask.
        model_version: -1 for the highest that is ready.
        timeout: microseconds, 0 for none.
        preferred_memory: where the outputs should be; this version keeps tensors in CPU memory.
        trace: of the request that is the reason for this one: its ``trace()``.
        parameters: str to str, int, float or bool.
        priority: from 1, the highest; 0 for the default of the model that is asked. Not in Triton.

    Raises:
        TypeError: an argument of another type; bytes do for strings.
        TritonModelException: None among the inputs, an empty output name, or a correlation id or
            parameters of another type.
    """

    # _meta holds what most requests lack, under the channel's keys: id, correlation_id, flags, timeout_us,
    # priority, parameters. As it came it is _meta_json, which most models never ask for.
    __slots__ = (
        "_inputs",
        "_known_meta",
        "_meta_json",
        "_origin",
        "_release",
        "_requested",
        "_sender",
        "_target",
        "_trace",
    )

    def __init__(
        self,
        *,
        inputs: Sequence[Tensor],
        requested_output_names: Sequence[str],
        model_name: str,
        request_id: str = "",
        correlation_id: Union[int, str] = 0,
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: Any = None,
        trace: InferenceTrace = UNTRACED,
        parameters: Optional[Dict[str, Any]] = None,
        priority: int = 0,
    ) -> None:
        _check_kinds(preferred_memory, trace, requested_output_names)
        if not isinstance(correlation_id, (int, str)):
            raise TritonModelException("Correlation ID must be integer or string")
        if not type(model_version) is type(flags) is type(timeout) is type(priority) is int:
            numbers = {
                "model_version": model_version,
                "flags": flags,
                "timeout": timeout,
                "priority": priority,
            }
            model_version, flags, timeout, priority = map(_whole, numbers, numbers.values())
        if min(timeout, priority) < 0:
            raise TypeError(
                "InferenceRequest(timeout, priority): expected integers from 0 on, got "
                f"{timeout!r} and {priority!r}"
            )
        if not type(model_name) is type(request_id) is str:
            model_name = text(model_name, "InferenceRequest(model_name)")
            request_id = text(request_id, "InferenceRequest(request_id)")
        self._inputs = list(inputs)
        self._requested: Collection[str] = [
            text(name, "InferenceRequest(requested_output_names)") for name in requested_output_names
        ]
        _check_tensors(self._inputs, self._requested, request_id, model_name)
        self._known_meta: Optional[Dict[str, Any]] = {
            "id": request_id,
            "correlation_id": correlation_id,
            "flags": flags,
            "timeout_us": timeout,
            "priority": priority,
            "parameters": check_parameters(parameters) or {},
        }
        self._meta_json = b""
        self._target = (model_name, model_version)
        self._trace = trace
        self._origin: Optional[Origin] = None
        self._sender: Optional[ResponseSender] = None
        self._release = RELEASE_ALL

    @classmethod
    def _received(
        cls,
        inputs: List[Tensor],
        requested: Collection[str],
        meta_json: bytes,
        origin: Optional[Origin],
    ) -> InferenceRequest:
        """A request as it came from the server.

        Args:
            requested: names of the outputs to answer with; the server names all when the client named none.
            meta_json: see ``_meta`` above; any key may be absent, and it may be empty.
            origin: where its answers go.
        """
        request: InferenceRequest = cls.__new__(cls)
        request._inputs = inputs
        request._requested = requested
        request._known_meta = None
        request._meta_json = meta_json
        request._origin = origin
        request._sender = None
        request._release = RELEASE_ALL
        request._target = ("", -1)
        request._trace = UNTRACED
        return request

    @property
    def _meta(self) -> Dict[str, Any]:
        meta = self._known_meta
        if meta is None:
            meta = self._known_meta = json.loads(self._meta_json) if self._meta_json else {}
        return meta

    def inputs(self) -> List[Tensor]:
        """The input tensors."""
        return self._inputs

    def request_id(self) -> str:
        """The client's id, empty if it gave none."""
        return str(self._meta.get("id", ""))

    def correlation_id(self) -> Union[int, str]:
        """The sequence's id, 0 outside of sequences."""
        correlation_id: Union[int, str] = self._meta.get("correlation_id", 0)
        return correlation_id

    def requested_output_names(self) -> Set[str]:
        """The outputs to answer with."""
        return set(self._requested)

    def flags(self) -> int:
        """TRITONSERVER_REQUEST_FLAG_SEQUENCE_START and _END, or-ed."""
        return int(self._meta.get("flags", 0))

    def set_flags(self, flags: int) -> None:
        """Replace the flags."""
        self._known_meta = {**self._meta, "flags": int(flags)}

    def timeout(self) -> int:
        """Microseconds, 0 for none."""
        return int(self._meta.get("timeout_us", 0))

    def priority(self) -> int:
        """From 1, the highest; 0 where the client gave none. Triton's class has no such method."""
        return int(self._meta.get("priority", 0))

    def parameters(self) -> str:
        """The client's parameters as a JSON object."""
        return json.dumps(self._meta.get("parameters") or {})

    def trace(self) -> InferenceTrace:
        """What to hand on as another request's ``trace``."""
        return self._trace

    def is_cancelled(self) -> bool:
        """Whether the client has gone or gave up, as of now."""
        return self._origin is not None and self._origin.is_cancelled()

    def set_release_flags(self, flags: int) -> None:
        """Say what becomes of the request when ``execute`` returns; the default is RELEASE_ALL.

        Args:
            flags: with RELEASE_RESCHEDULE it goes back to its scheduler and is executed again; ``execute``
                then returns None for it.

        Raises:
            TritonModelException: an unknown flag.
        """
        if flags not in (RELEASE_ALL, RELEASE_RESCHEDULE):
            raise TritonModelException(
                f"set_release_flags: expected TRITONSERVER_REQUEST_RELEASE_ALL ({RELEASE_ALL}) or "
                f"TRITONSERVER_REQUEST_RELEASE_RESCHEDULE ({RELEASE_RESCHEDULE}), got {flags!r}"
            )
        self._release = flags

    def get_response_sender(self) -> ResponseSender:
        """Answers this request when the model wants; the same sender every time.

        Raises:
            TritonModelException: the request did not come from the server.
        """
        if self._sender is None:
            if self._origin is None:
                raise TritonModelException(
                    "get_response_sender: this request was not received from the server."
                )
            self._sender = ResponseSender(self._origin, self._requested)
        return self._sender

    def exec(self, decoupled: bool = False) -> Union[InferenceResponse, ResponseIterator]:
        """Run this request on its model, and wait.

        Args:
            decoupled: whether there may be any number of responses.

        Returns:
            The response, which may be an error; with ``decoupled`` an iterator over the responses.

        Raises:
            TritonModelException: there is no server to ask.
        """
        return PROCESS.calls().exec(self, decoupled)

    def async_exec(self, decoupled: bool = False) -> Awaitable[Union[InferenceResponse, ResponseIterator]]:
        """As ``exec``, to be awaited: the response or, with the first response, the iterator.

        Raises:
            RuntimeError: no event loop runs in this thread.
            TritonModelException: there is no server to ask.
        """
        return PROCESS.calls().async_exec(self, decoupled)


def _check_kinds(preferred_memory: Any, trace: Any, requested: Any) -> None:
    if preferred_memory is not None and not isinstance(preferred_memory, PreferredMemory):
        raise TypeError(
            "InferenceRequest(preferred_memory): expected a pb_utils.PreferredMemory, got "
            f"{type(preferred_memory).__name__}"
        )
    if not isinstance(trace, InferenceTrace):
        raise TypeError(
            "InferenceRequest(trace): expected what another request's trace() gives, got "
            f"{type(trace).__name__}; leave the argument out for none"
        )
    if isinstance(requested, (str, bytes)):
        raise TypeError("InferenceRequest(requested_output_names): expected a list of names, got one")


def _check_tensors(inputs: List[Tensor], requested: Collection[str], request_id: str, model: str) -> None:
    for tensor in inputs:
        if tensor is None:
            raise _missing("Input tensor", request_id, model)
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"InferenceRequest(inputs): expected pb_utils.Tensor objects, got {type(tensor).__name__}"
            )
    if "" in requested:
        raise _missing("Requested output name", request_id, model)


def _missing(what: str, request_id: str, model: str) -> TritonModelException:
    return TritonModelException(
        f"{what} for request with id '{request_id}' and model name '{model}' should not be empty."
    )


def _whole(name: str, value: Any) -> int:
    """``value`` as an int; numpy's integers are some, too."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"InferenceRequest({name}): expected an integer, got {type(value).__name__}"
        ) from None


class PreferredMemory:
    """Where another model's outputs should be placed: a wish, which this version meets with CPU memory.

    Args:
        preferred_memory_type: TRITONSERVER_MEMORY_CPU or TRITONSERVER_MEMORY_GPU.
        preferred_device_id: of the GPU.
    """

    def __init__(self, preferred_memory_type: int, preferred_device_id: int = 0) -> None:
        if preferred_memory_type not in (0, 1) or not isinstance(preferred_device_id, int):
            raise TypeError(
                "PreferredMemory: expected TRITONSERVER_MEMORY_CPU (0) or TRITONSERVER_MEMORY_GPU (1) and a "
                f"device number, got {preferred_memory_type!r} and {preferred_device_id!r}"
            )
        self.preferred_memory_type = preferred_memory_type
        self.preferred_device_id = preferred_device_id
