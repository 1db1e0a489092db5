"""The gRPC port of a server, out of its options."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tritium.frontends.grpc.health import HealthService
from tritium.frontends.grpc.inference_service import InferenceService
from tritium.frontends.grpc.keepalive import KeepaliveRules
from tritium.frontends.grpc.listener import GrpcListener
from tritium.frontends.grpc.reflection import ReflectionService
from tritium.frontends.grpc.restriction import PREFIX
from tritium.frontends.grpc.service import Streaming, Unary
from tritium.frontends.grpc.settings import GrpcSettings
from tritium.frontends.grpc.tls import tls_context
from tritium.http2.limits import Http2Limits, PingRules
from tritium.options import GrpcOptions
from tritium.protocol.restrictions import Restrictions, forward_pattern
from tritium.server import InferenceServer


class Services:
    """Triton's inference service and gRPC's health and reflection services, on one port."""

    def __init__(self, server: InferenceServer, *, reflection: bool = False) -> None:
        self.health = HealthService(lambda name: server.ready)
        self.methods: Mapping[bytes, Unary | Streaming] = {
            **InferenceService(server).methods,
            **self.health.methods,
            **(ReflectionService().methods if reflection else {}),
        }


def make_listener(server: InferenceServer, options: GrpcOptions, address: str) -> GrpcListener:
    """The listener, not started yet.

    Raises:
        InvalidArgumentError: its TLS files, restrictions or pattern cannot be used.
    """
    services = Services(server, reflection=options.reflection)
    listener = GrpcListener(services, settings_of(options, address), tls_context(options))
    listener.on_sweep = services.health.refresh
    return listener


def settings_of(options: GrpcOptions, address: str) -> GrpcSettings:
    """What the transport wants to know; 0 milliseconds of age stand for no limit, as in Triton."""
    pings = PingRules(
        min_interval_s=options.min_ping_interval_ms / 1000, max_strikes=options.max_ping_strikes
    )
    return GrpcSettings(
        address=address,
        port=options.port,
        reuse_port=options.reuse_port,
        max_connections=options.max_connections,
        max_message_bytes=options.max_message_bytes,
        compression=None if options.compression_level == "none" else "gzip",
        limits=Http2Limits(pings=pings),
        keepalive=KeepaliveRules(
            time_s=options.keepalive_time_ms / 1000,
            timeout_s=options.keepalive_timeout_ms / 1000,
            permit_without_calls=options.keepalive_permit_without_calls,
            max_pings_without_data=options.max_pings_without_data,
            max_age_s=options.max_connection_age_ms / 1000 or math.inf,
            max_age_grace_s=options.max_connection_age_grace_ms / 1000 or math.inf,
        ),
        restrictions=Restrictions(options.restricted, prefix=PREFIX),
        forward=forward_pattern(options.forward_pattern),
    )
