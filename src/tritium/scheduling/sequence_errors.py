"""What clients are told when a request does not fit its sequence. The first four texts are Triton's."""

from __future__ import annotations

from tritium.errors import CancelledError, InvalidArgumentError, UnavailableError

_ANEW = "start it anew: send its first request again, with the START flag"


def too_many_rows(model: str) -> InvalidArgumentError:
    """A request of more than one row."""
    return InvalidArgumentError(
        f"inference request to model '{model}' must specify batch-size 1 due to requirements of sequence "
        "batcher"
    )


def no_id(model: str) -> InvalidArgumentError:
    """A request that names no sequence."""
    return InvalidArgumentError(
        f"inference request to model '{model}' must specify a non-zero or non-empty correlation ID"
    )


def not_started(model: str, key: int | str) -> InvalidArgumentError:
    """A request for a sequence that has not begun, has ended or was forgotten."""
    return InvalidArgumentError(
        f"inference request for sequence {key} to model '{model}' must specify the START flag on the first "
        "request of the sequence"
    )


def timed_out() -> UnavailableError:
    """A sequence found no slot in time."""
    return UnavailableError("timeout of the corresponding sequence has been expired")


def lost(model: str, key: int | str) -> UnavailableError:
    """The model has forgotten the sequence."""
    return UnavailableError(
        f"sequence {key} of model '{model}' was lost, because the worker that held its state ended; {_ANEW}"
    )


def cut_short(model: str, key: int | str) -> CancelledError:
    """A request behind one that was cancelled before it ran."""
    return CancelledError(
        f"a request of sequence {key} to model '{model}' before this one was cancelled, which ended the "
        f"sequence; {_ANEW}"
    )
