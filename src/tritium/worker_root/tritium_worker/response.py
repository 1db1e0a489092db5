"""``pb_utils.InferenceResponse``: outputs or an error, for one request."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Sequence

from tritium_worker.errors import TritonError, TritonModelException
from tritium_worker.parameters import check_parameters
from tritium_worker.tensor import Tensor


class InferenceResponse:
    """What ``execute`` returns for each request.

    Args:
        output_tensors: in the order in which the client sees them.
        error: makes this an error response; outputs are then not sent.
        parameters: str to str, int, float or bool.

    Raises:
        TypeError: an argument of another type.
        TritonModelException: None among the outputs, or parameters of another type.
    """

    __slots__ = ("_error", "_outputs", "_parameters")

    def __init__(
        self,
        output_tensors: Optional[Sequence[Tensor]] = None,
        error: Optional[TritonError] = None,
        parameters: Optional[Dict[str, Any]] = None,
    ) -> None:
        self._outputs: List[Tensor] = [] if output_tensors is None else list(output_tensors)
        for tensor in self._outputs:
            if not isinstance(tensor, Tensor):
                raise _not_a_tensor(tensor)
        if error is not None and not isinstance(error, TritonError):
            raise TypeError(
                f"InferenceResponse(error): expected a pb_utils.TritonError, got {type(error).__name__}; "
                "wrap the text with pb_utils.TritonError(text)"
            )
        self._error = error
        self._parameters = None if parameters is None else check_parameters(parameters)

    def output_tensors(self) -> List[Tensor]:
        """The outputs."""
        return self._outputs

    def has_error(self) -> bool:
        """Whether this is an error response."""
        return self._error is not None

    def error(self) -> Optional[TritonError]:
        """The error, if any."""
        return self._error

    def parameters(self) -> str:
        """The parameters as a JSON object."""
        return json.dumps(self._parameters or {})

    def parameters_or_none(self) -> Optional[Dict[str, Any]]:
        """The parameters as a dictionary, None when there are none: for the channel."""
        return self._parameters


def _not_a_tensor(value: Any) -> Exception:
    if value is None:
        return TritonModelException("Output tensor for inference response should not be empty.")
    return TypeError(
        f"InferenceResponse(output_tensors): expected pb_utils.Tensor objects, got {type(value).__name__}"
    )
