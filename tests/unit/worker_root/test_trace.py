from __future__ import annotations

from tritium_worker.trace import UNTRACED, InferenceTrace


def test_what_is_not_traced_has_no_context() -> None:
    assert isinstance(UNTRACED, InferenceTrace)
    assert UNTRACED.get_context() is None
