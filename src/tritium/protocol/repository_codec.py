"""Bodies of the repository endpoints: index, load and unload."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tritium.core.tensor import Buffer
from tritium.errors import InvalidArgumentError
from tritium.protocol.json_document import accessor_text, parse
from tritium.repository.index import IndexEntry
from tritium.repository.overrides import CONFIG_PARAMETER, FILE_PREFIX

_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def decode_index_request(body: Buffer) -> bool:
    """Whether only models that are ready are wanted.

    Raises:
        InvalidArgumentError: the body is no JSON, or ``ready`` no boolean.
    """
    document = parse(body) if len(body) else {}
    ready = document.get("ready", False) if isinstance(document, dict) else False
    if not isinstance(ready, bool):
        raise InvalidArgumentError(accessor_text("boolean"))
    return ready


def encode_index(entries: Iterable[IndexEntry]) -> list[dict[str, str]]:
    """The index as a JSON document: what an entry does not have is left out."""
    return [_entry(entry) for entry in entries]


def _entry(entry: IndexEntry) -> dict[str, str]:
    document = {"name": entry.name}
    if entry.version is not None:
        document["version"] = str(entry.version)
    if entry.state is not None:
        document["state"] = entry.state.value
    if entry.reason:
        document["reason"] = entry.reason
    return document


def decode_load_request(body: Buffer) -> dict[str, object]:
    """The parameters of a load request: ``config`` is text, files are bytes.

    Raises:
        InvalidArgumentError: the body is no JSON, or a parameter is unknown or no string.
    """
    parameters: dict[str, object] = {}
    for name, value in _parameters(body).items():
        if name != CONFIG_PARAMETER and not name.startswith(FILE_PREFIX):
            raise InvalidArgumentError("unexpected error on creating Triton parameter")
        if not isinstance(value, str):
            raise InvalidArgumentError(accessor_text("string"))
        parameters[name] = value if name == CONFIG_PARAMETER else _decode_base64(value)
    return parameters


def decode_unload_request(body: Buffer) -> bool:
    """Whether dependent models are to be unloaded as well.

    What cannot be read asks for nothing, as in Triton.
    """
    try:
        return _parameters(body).get("unload_dependents") is True
    except InvalidArgumentError:
        return False


def _parameters(body: Buffer) -> Mapping[str, Any]:
    document = parse(body) if len(body) else {}
    if not isinstance(document, dict) or "parameters" not in document:
        return {}
    parameters = document["parameters"]
    if not isinstance(parameters, dict):
        raise InvalidArgumentError("attempt to get members for non-object")
    return parameters


def _decode_base64(text: str) -> bytes:
    """Lenient, as Triton: other characters are skipped, and an incomplete last group is dropped."""
    raw = _NO_BASE64.sub(b"", text.encode("utf-8", "replace"))
    whole = len(raw) - (len(raw) % 4 == 1)
    return binascii.a2b_base64(raw[:whole] + b"=" * (-whole % 4))
