"""What a request asks for beside its tensors: its parameters, read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tritium.core.request import InferenceRequest
from tritium.errors import TritiumError

_MAX_ENTRIES = 1024  # then the cache starts anew
_MAX_TEXT_BYTES = 512  # longer ones are read each time


@dataclass(slots=True)
class RequestOptions:
    """The parameters of a request by what they mean. Requests share it: nobody may change it.

    ``binary_data_output`` is asked for over HTTP only, ``wants_empty_final`` over gRPC only.
    """

    parameters: dict[str, Any] = field(default_factory=dict)  # those for the model
    correlation_id: int | str = 0
    flags: int = 0  # SEQUENCE_START | SEQUENCE_END
    priority: int = 0
    timeout_us: int = 0
    binary_data_output: bool = False
    wants_empty_final: bool = False

    @property
    def plain(self) -> bool:
        """Whether a model sees nothing but the tensors: no parameters, and no sequence."""
        return not (self.parameters or self.correlation_id or self.flags)

    def apply(self, request: InferenceRequest) -> None:
        """Let ``request`` ask for this."""
        request.parameters = self.parameters
        request.correlation_id = self.correlation_id
        request.flags = self.flags
        request.priority = self.priority
        request.timeout_us = self.timeout_us


class KnownOptions:
    """Options by the bytes that they were read from, for clients send the same ones again and again.

    Args:
        read: makes them of bytes; where it raises a TritiumError, there are none.
    """

    def __init__(self, read: Callable[[bytes], RequestOptions]) -> None:
        self._read = read
        self._known: dict[bytes, RequestOptions] = {}

    def read(self, text: bytes) -> RequestOptions | None:
        """The options that ``text`` means; None if it cannot be read."""
        known = self._known.get(text)
        if known is not None:
            return known
        try:
            options = self._read(text)
        except TritiumError:
            return None
        if len(text) <= _MAX_TEXT_BYTES:
            if len(self._known) >= _MAX_ENTRIES:
                self._known.clear()
            self._known[text] = options
        return options
