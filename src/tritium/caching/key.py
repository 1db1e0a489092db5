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
from tritium.core.tensor import Buffer

_PIECE_BYTES = 1 << 20
_FORMS = 256  # of requests that are remembered; then they are looked at anew

_Begun = tuple["hashlib._Hash", tuple[int, ...]]


class KeyMaker:
    """Makes the keys of one loaded model's requests.

    Args:
        fingerprint: of the model's content; see ``fingerprint_of``.
        outputs: the names of all its outputs.
    """

    def __init__(self, fingerprint: bytes, outputs: frozenset[str]) -> None:
        self._base = hashlib.sha256(fingerprint)
        self._outputs = outputs
        self._begun: dict[object, _Begun] = {}  # by form

    def key(self, request: InferenceRequest) -> bytes:
        """32 bytes that are the same for requests which must get the same answer, and only for them."""
        plain = not (request.parameters or request.correlation_id or request.flags)
        form = request.form if plain else None
        begun = self._begun.get(form) if form is not None else None
        if begun is None:
            begun = self._begin(request)
            if form is not None:
                if len(self._begun) >= _FORMS:
                    self._begun.clear()
                self._begun[form] = begun
        return _end(begun, [tensor.buffer for tensor in request.inputs])

    def key_again(self, form: object, buffers: Sequence[Buffer]) -> bytes | None:
        """The key of a plain request of a form that ``key`` has seen; None for another one.

        A plain request has no parameters and belongs to no sequence.

        Args:
            buffers: of its tensors.
        """
        begun = self._begun.get(form)
        return None if begun is None else _end(begun, buffers)

    def _begin(self, request: InferenceRequest) -> _Begun:
        """The digest of all but the bytes of tensors, and the order in which those follow."""
        order = sorted(range(len(request.inputs)), key=lambda place: request.inputs[place].name)
        inputs = [request.inputs[place] for place in order]
        wanted = self._outputs.intersection(request.requested_outputs)
        header = (
            [(t.name, t.datatype.value, t.shape, len(t.buffer)) for t in inputs],
            sorted(wanted) if wanted != self._outputs else [],
            sorted(request.parameters.items()),
            (request.correlation_id, request.flags),
        )
        digest = self._base.copy()
        digest.update(msgspec.msgpack.encode(header))
        return digest, tuple(order)


def _end(begun: _Begun, buffers: Sequence[Buffer]) -> bytes:
    digest = begun[0].copy()
    for place in begun[1]:
        digest.update(buffers[place])
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
