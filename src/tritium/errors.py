"""What can go wrong, as one tree with Triton's error codes.

Nothing here knows a protocol: ``protocol/status.py`` holds the table from codes to HTTP and gRPC statuses.

    TritiumError                    UNKNOWN
    ├── InternalError               INTERNAL
    │   └── ModelExecutionError     INTERNAL          the model's own code failed
    ├── NotFoundError               NOT_FOUND
    │   └── ModelNotFoundError      NOT_FOUND
    ├── InvalidArgumentError        INVALID_ARG
    │   └── ConfigError             INVALID_ARG       a config.pbtxt that cannot be served
    ├── UnavailableError            UNAVAILABLE
    │   ├── ModelNotReadyError      UNAVAILABLE       a version that is known and does not serve
    │   └── WorkerDiedError         UNAVAILABLE       the process that ran the request ended
    ├── UnsupportedError            UNSUPPORTED
    ├── AlreadyExistsError          ALREADY_EXISTS
    ├── CancelledError              CANCELLED         the client went away or gave up
    └── DeadlineExceededError       DEADLINE_EXCEEDED an execution or request ran out of time
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ErrorCode(IntEnum):
    """Triton's eight codes, with its numbers, and one of tritium's own for deadlines."""

    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7
    DEADLINE_EXCEEDED = 8  # not in Triton: it has no execution deadline

    @property
    def text(self) -> str:
        """The word Triton prints before a load failure, as in ``Invalid argument: ...``."""
        return _TEXTS[self]


_TEXTS = {
    ErrorCode.UNKNOWN: "Unknown",
    ErrorCode.INTERNAL: "Internal",
    ErrorCode.NOT_FOUND: "Not found",
    ErrorCode.INVALID_ARG: "Invalid argument",
    ErrorCode.UNAVAILABLE: "Unavailable",
    ErrorCode.UNSUPPORTED: "Unsupported",
    ErrorCode.ALREADY_EXISTS: "Already exists",
    ErrorCode.CANCELLED: "Cancelled",
    ErrorCode.DEADLINE_EXCEEDED: "Deadline exceeded",
}


class TritiumError(Exception):
    """Base class. ``str(error)`` is shown to clients as it stands."""

    code: ClassVar[ErrorCode] = ErrorCode.UNKNOWN


class InternalError(TritiumError):
    """The server, or code that it runs, is at fault."""

    code = ErrorCode.INTERNAL


class ModelExecutionError(InternalError):
    """A model's own code raised while it ran a batch."""


class NotFoundError(TritiumError):
    """The request names something that is not there."""

    code = ErrorCode.NOT_FOUND


class ModelNotFoundError(NotFoundError):
    """No model of this name, no such version, or none that is ready."""

    def __init__(self, name: str, version: int | None = None, *, known: bool = False) -> None:
        detail = f"'{name}' is not found"
        if version is not None:
            detail = f"'{name}' version {version} is not found"
        elif known:
            detail = f"'{name}' has no available versions"
        super().__init__(f"Request for unknown model: {detail}")


class InvalidArgumentError(TritiumError):
    """The caller can mend this by sending something else."""

    code = ErrorCode.INVALID_ARG


class ConfigError(InvalidArgumentError):
    """A model configuration that cannot be served; the text names the field and what to write."""


class UnavailableError(TritiumError):
    """Not now; the same request may succeed later."""

    code = ErrorCode.UNAVAILABLE


class ModelNotReadyError(UnavailableError):
    """A version that the server knows, and which is being loaded or unloaded or has failed."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"Request for unknown model: '{name}' version {version} is not at ready state")


class WorkerDiedError(UnavailableError):
    """The worker process that held the request ended; it is being replaced."""


class UnsupportedError(TritiumError):
    """A legal request for something that this server does not do."""

    code = ErrorCode.UNSUPPORTED


class AlreadyExistsError(TritiumError):
    """A name is taken."""

    code = ErrorCode.ALREADY_EXISTS


class CancelledError(TritiumError):
    """The client went away, or asked for the request to stop."""

    code = ErrorCode.CANCELLED


class DeadlineExceededError(TritiumError):
    """An execution passed its time limit."""

    code = ErrorCode.DEADLINE_EXCEEDED


_BY_CODE: dict[ErrorCode, type[TritiumError]] = {
    ErrorCode.UNKNOWN: TritiumError,
    ErrorCode.INTERNAL: InternalError,
    ErrorCode.NOT_FOUND: NotFoundError,
    ErrorCode.INVALID_ARG: InvalidArgumentError,
    ErrorCode.UNAVAILABLE: UnavailableError,
    ErrorCode.UNSUPPORTED: UnsupportedError,
    ErrorCode.ALREADY_EXISTS: AlreadyExistsError,
    ErrorCode.CANCELLED: CancelledError,
    ErrorCode.DEADLINE_EXCEEDED: DeadlineExceededError,
}


def error_of(code: int, text: str) -> TritiumError:
    """The error for a (code, text) pair that crossed a process boundary; an unknown code is INTERNAL."""
    known = ErrorCode(code) if code in ErrorCode._value2member_map_ else ErrorCode.INTERNAL
    return _BY_CODE[known](text)
