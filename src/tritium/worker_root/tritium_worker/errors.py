"""What model code raises and returns as errors, and what leaves the worker process."""

from __future__ import annotations

from tritium_worker.text import text


class TritonModelException(Exception):  # noqa: N818 - the name that model.py files import
    """Raised by the python API, and by models that want to fail a whole batch."""


class TritonError:
    """One request's error, handed to ``InferenceResponse(error=...)``.

    Args:
        message: shown to the client as it stands.
        code: one of this class's eight constants.

    Raises:
        TypeError: the message is not a string, or the code is not one of the eight.
    """

    __slots__ = ("_code", "_message")

    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        if not isinstance(code, int) or not self.UNKNOWN <= code <= self.CANCELLED:
            raise TypeError(
                f"TritonError(code): expected TritonError.UNKNOWN ({self.UNKNOWN}) to "
                f"TritonError.CANCELLED ({self.CANCELLED}), got {code!r}"
            )
        self._message = text(message, "TritonError(message)")
        self._code = code

    def message(self) -> str:
        """The text."""
        return self._message

    def code(self) -> int:
        """One of this class's constants."""
        return self._code


class HostError(Exception):
    """Model code failed, in the form that crosses the process boundary.

    Attributes:
        code: one of TritonError's constants.
        text: for clients; names files relative to the model repository, never the server's directories.
        traceback: for the log, with full paths; empty where the model raised nothing.
    """

    def __init__(self, code: int, text: str, traceback: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.traceback = traceback


def not_available(feature: str) -> TritonModelException:
    """The error for a part of Triton's python API that this version does not have."""
    return TritonModelException(f"{feature} is not available in this version of tritium.")
