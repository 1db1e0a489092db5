"""Calls that want a secret in their metadata, and metadata that become parameters of inferences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tritium.frontends.grpc.status import GrpcStatus, refusal_block
from tritium.http2.header_rules import Field
from tritium.protocol.restrictions import Restrictions, forwarded_parameters

PREFIX = "triton-grpc-protocol-"  # of the keys of secrets
_HEALTH = b"/grpc.health.v1.Health/"
_SERVICE = b"/inference.GRPCInferenceService/"
CATEGORY_OF = {
    "ServerLive": "health",
    "ServerReady": "health",
    "ModelReady": "health",
    "ServerMetadata": "metadata",
    "ModelMetadata": "metadata",
    "ModelInfer": "inference",
    "ModelStreamInfer": "inference",
    "SystemSharedMemoryStatus": "shared-memory",
    "SystemSharedMemoryRegister": "shared-memory",
    "SystemSharedMemoryUnregister": "shared-memory",
    "CudaSharedMemoryStatus": "shared-memory",
    "CudaSharedMemoryRegister": "shared-memory",
    "CudaSharedMemoryUnregister": "shared-memory",
    "ModelConfig": "model-config",
    "RepositoryIndex": "model-repository",
    "RepositoryModelLoad": "model-repository",
    "RepositoryModelUnload": "model-repository",
    "ModelStatistics": "statistics",
    "TraceSetting": "trace",
    "LogSettings": "logging",
}


def restriction_refusal(
    restrictions: Restrictions, path: bytes, fields: Mapping[bytes, bytes]
) -> bytes | None:
    """The block that answers a call of ``path`` which lacks the secret that it needs; else None."""
    if path.startswith(_HEALTH):
        category = "health"
    else:
        category = CATEGORY_OF.get(path.removeprefix(_SERVICE).decode("latin-1"), "")
    missing = restrictions.missing(category, fields)
    if missing is None:
        return None
    return refusal_block(GrpcStatus.UNAVAILABLE, f"This protocol is restricted, expecting header '{missing}'")


def forwarded_metadata(pattern: re.Pattern[bytes] | None, metadata: Iterable[Field]) -> dict[str, str]:
    """Parameters of inferences; binary metadata, which are no text, and HTTP/2's own fields are none."""
    own = [field for field in metadata if not field[0].endswith(b"-bin") and not field[0].startswith(b":")]
    return forwarded_parameters(pattern, own)
