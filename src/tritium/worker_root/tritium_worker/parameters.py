"""Parameters of requests and responses that model code makes: a flat dictionary that survives JSON."""

from __future__ import annotations

from typing import Any, Dict, Optional


def check_parameters(where: str, parameters: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """A copy of ``parameters``, None when there are none.

    Raises:
        TypeError: not a dictionary of str to str, int, float or bool; the text says which, and where.
    """
    if parameters is None:
        return None
    if not isinstance(parameters, dict):
        raise TypeError(f"{where}(parameters): expected a dict, got {type(parameters).__name__}")
    for key, value in parameters.items():
        if not isinstance(key, str):
            raise TypeError(f"{where}(parameters): expected str keys, got {key!r}")
        if not isinstance(value, (str, int, float)):  # bool is an int
            raise TypeError(
                f"{where}(parameters): '{key}' must be a str, int, float or bool, got {type(value).__name__}"
            )
    return dict(parameters) or None
