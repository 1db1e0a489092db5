"""``pb_utils.InferenceRequest``: what a model is asked, and (later) what it asks other models."""

from __future__ import annotations

import json
from typing import Any, Collection, Dict, List, NoReturn, Optional, Sequence, Set, Tuple, Union

from tritium_worker.board import Board
from tritium_worker.errors import TritonModelException, not_available
from tritium_worker.parameters import check_parameters
from tritium_worker.tensor import Tensor

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
        parameters: str to str, int, float or bool.

    Raises:
        TypeError: an argument of another type.
        TritonModelException: None among the inputs, an empty output name, or ``preferred_memory``, which this
            version does not have.
    """

    # _meta holds what most requests lack, under the channel's keys: id, correlation_id, flags, timeout_us,
    # parameters. It may be shared between requests and is never written to.
    __slots__ = ("_cancel", "_inputs", "_meta", "_requested", "_target", "_trace")

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
        trace: Any = None,
        parameters: Optional[Dict[str, Any]] = None,
    ) -> None:
        if preferred_memory is not None:
            raise not_available("InferenceRequest(preferred_memory)")
        if not isinstance(correlation_id, (int, str)):
            raise TypeError("Correlation ID must be integer or string")
        self._inputs = list(inputs)
        self._requested: Collection[str] = list(requested_output_names)
        for tensor in self._inputs:
            if tensor is None:
                raise TritonModelException(
                    f"Input tensor for request with id '{request_id}' and model name '{model_name}' "
                    "should not be empty."
                )
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"InferenceRequest(inputs): expected pb_utils.Tensor objects, got {type(tensor).__name__}"
                )
        if "" in self._requested:
            raise TritonModelException(
                f"Requested output name for request with id '{request_id}' and model name '{model_name}' "
                "should not be empty."
            )
        self._meta: Dict[str, Any] = {
            "id": request_id,
            "correlation_id": correlation_id,
            "flags": flags,
            "timeout_us": timeout,
            "parameters": check_parameters("InferenceRequest", parameters) or {},
        }
        self._target = (model_name, model_version)
        self._trace = trace
        self._cancel: Optional[Tuple[Board, int]] = None

    @classmethod
    def _received(
        cls,
        inputs: List[Tensor],
        requested: Collection[str],
        meta: Dict[str, Any],
        cancel: Optional[Tuple[Board, int]],
    ) -> InferenceRequest:
        """A request as it came from the server.

        Args:
            requested: names of the outputs to answer with; the server names all when the client named none.
            meta: see ``_meta`` above; any key may be absent.
            cancel: the board that tells of clients that went away, and this request's slot on it.
        """
        request: InferenceRequest = cls.__new__(cls)
        request._inputs = inputs
        request._requested = requested
        request._meta = meta
        request._cancel = cancel
        request._trace = None
        return request

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
        self._meta = {**self._meta, "flags": int(flags)}

    def timeout(self) -> int:
        """Microseconds, 0 for none."""
        return int(self._meta.get("timeout_us", 0))

    def parameters(self) -> str:
        """The client's parameters as a JSON object."""
        return json.dumps(self._meta.get("parameters") or {})

    def trace(self) -> Any:
        """What to hand on as another request's ``trace``; None where the request is not traced."""
        return self._trace

    def is_cancelled(self) -> bool:
        """Whether the client has gone or gave up, as of now."""
        if self._cancel is None:
            return False
        board, slot = self._cancel
        return board.cancelled(slot)

    def set_release_flags(self, flags: int) -> None:
        """Say how the request is released when ``execute`` returns; the default is RELEASE_ALL.

        Raises:
            TritonModelException: rescheduling, which this version does not have, or an unknown flag.
        """
        if flags == RELEASE_RESCHEDULE:
            raise not_available("TRITONSERVER_REQUEST_RELEASE_RESCHEDULE")
        if flags != RELEASE_ALL:
            raise TritonModelException(
                f"set_release_flags: expected TRITONSERVER_REQUEST_RELEASE_ALL ({RELEASE_ALL}) or "
                f"TRITONSERVER_REQUEST_RELEASE_RESCHEDULE ({RELEASE_RESCHEDULE}), got {flags!r}"
            )

    def get_response_sender(self) -> NoReturn:
        """Not in this version."""
        raise not_available("InferenceRequest.get_response_sender")

    def exec(self, decoupled: bool = False) -> NoReturn:
        """Not in this version."""
        raise not_available("InferenceRequest.exec")

    def async_exec(self, decoupled: bool = False) -> NoReturn:
        """Not in this version; raises when called, before anything is awaited."""
        raise not_available("InferenceRequest.async_exec")
