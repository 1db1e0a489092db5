"""Keys of the response cache: digests of all that decides an answer.

Triton's own key leaves shapes, parameters, requested outputs and the model's content out, so that different
questions can get the same answer; here everything that a model can see of a request is in it, each part with
its length.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tritium.core.request import InferenceRequest

_PIECE_BYTES = 1 << 20


class KeyMaker:
    """Makes the keys of one loaded model's requests.

    Args:
        fingerprint: of the model's content; see ``fingerprint_of``.
        outputs: the names of all its outputs.
    """

    def __init__(self, fingerprint: bytes, outputs: frozenset[str]) -> None:
        self._base = hashlib.sha256(fingerprint)
        self._outputs = outputs

    def key(self, request: InferenceRequest) -> bytes:
        """32 bytes that are the same for requests which must get the same answer, and only for them."""
        inputs = sorted(request.inputs, key=lambda tensor: tensor.name)
        wanted = self._outputs.intersection(request.requested_outputs)
        header = (
            [(t.name, t.datatype.value, t.shape, len(t.buffer)) for t in inputs],
            sorted(wanted) if wanted != self._outputs else [],
            sorted(request.parameters.items()),
        )
        digest = self._base.copy()
        digest.update(msgspec.msgpack.encode(header))
        for tensor in inputs:
            digest.update(tensor.buffer)
        return digest.digest()


def fingerprint_of(document: Mapping[str, Any], directory: Path, version: int, *, shared: bool) -> bytes:
    """What tells this model from every other.

    Args:
        document: its configuration as it is served.
        directory: of the model; all its files but those of other versions count.
        shared: whether the keys must be the same in other servers; else they are of this load alone.
    """
    if not shared:
        return secrets.token_bytes(32)
    digest = hashlib.sha256(msgspec.json.encode([document, version], order="sorted"))
    for path in _files(directory, version):
        name = str(path.relative_to(directory)).encode()
        digest.update(b"%d:%b%d:" % (len(name), name, path.stat().st_size))
        with path.open("rb") as content:
            while piece := content.read(_PIECE_BYTES):
                digest.update(piece)
    return digest.digest()


def ensemble_fingerprint(document: Mapping[str, Any], version: int, models: Sequence[bytes]) -> bytes:
    """What tells an ensemble from every other: its configuration, and those of its models."""
    return hashlib.sha256(msgspec.json.encode([document, version, models], order="sorted")).digest()


def _files(directory: Path, version: int) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        parts = path.relative_to(directory).parts
        of_other_version = parts[0].isdigit() and parts[0] != str(version)
        if path.is_file() and not of_other_version and "__pycache__" not in parts:
            yield path
