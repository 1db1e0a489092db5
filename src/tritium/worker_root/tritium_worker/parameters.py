"""Parameters of requests and responses that model code makes: a flat dictionary that survives JSON."""

from __future__ import annotations

from typing import Any, Dict, Optional

from tritium_worker.errors import TritonModelException


def check_parameters(parameters: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """A copy of ``parameters``, None when there are none.

    Raises:
        TritonModelException: not a dictionary of str to str, int, float or bool; in Triton's words.
    """
    if parameters is None:
        return None
    if not isinstance(parameters, dict):
        raise TritonModelException(f"Expect dict, got {type(parameters)}")
    for key, value in parameters.items():
        if not isinstance(key, str):
            raise TritonModelException(f"Expect parameters keys to have type str, found type {type(key)}")
        if not isinstance(value, (str, int, float)):  # bool is an int
            raise TritonModelException(
                f"Expect parameters values to have type bool/int/str, found type {type(value)}"
            )
    return dict(parameters) or None
