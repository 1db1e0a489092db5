"""What a gRPC port is told when it starts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tritium.frontends.grpc.keepalive import KeepaliveRules
from tritium.http2.limits import Http2Limits
from tritium.protocol.restrictions import Restrictions


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """The gRPC front end. Defaults are those of tritonserver unless the comment says otherwise."""

    address: str = "127.0.0.1"  # tritium's; the ``tritonserver`` command binds 0.0.0.0 as the real one
    port: int = 8001
    reuse_port: bool = False
    max_connections: int = 4096  # tritium's
    max_message_bytes: int = (1 << 31) - 1
    compression: str | None = None  # of replies, for clients that accept it: "gzip" or "deflate"
    limits: Http2Limits = field(default_factory=Http2Limits)
    keepalive: KeepaliveRules = field(default_factory=KeepaliveRules)
    restrictions: Restrictions = field(default_factory=Restrictions)
    forward: re.Pattern[bytes] | None = None  # what metadata become parameters of inferences
