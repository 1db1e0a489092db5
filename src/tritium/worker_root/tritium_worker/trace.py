"""``InferenceTrace``: what ``InferenceRequest.trace()`` gives, for another request's ``trace``."""

from __future__ import annotations

from typing import Optional


class InferenceTrace:
    """The trace of a request. Requests always have one, as in Triton, also where nothing is traced."""

    __slots__ = ()

    def get_context(self) -> Optional[str]:
        """The context to hand on to other systems, as JSON; None where the request is not traced."""
        return None


UNTRACED = InferenceTrace()
