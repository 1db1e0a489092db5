"""The metrics port: Prometheus text on /metrics, and an empty page for every other path, as Triton's."""

from __future__ import annotations

from collections.abc import Callable

from tritium.frontends.http.exchange import Exchange, HttpRefusal
from tritium.frontends.http.head import RequestHead
from tritium.frontends.http.replies import respond_error
from tritium.metrics import CONTENT_TYPE, CpuMetrics, prometheus_text
from tritium.protocol.json_codec import encode_error
from tritium.server import InferenceServer


class MetricsApi:
    """The application of the metrics listener."""

    def __init__(self, server: InferenceServer, *, cpu: bool) -> None:
        self._server = server
        self._cpu = CpuMetrics() if cpu else None

    def plan(self, head: RequestHead) -> Callable[[Exchange], None]:
        """No request to this port has a use for a body."""
        if head.has_body:
            status, text = (
                (405, "Method Not Allowed") if head.method != b"GET" else (413, "metrics take no body")
            )
            raise HttpRefusal(status, text)
        return self._show if head.method == b"GET" else self._refuse

    def handle(self, exchange: Exchange) -> None:
        """Answer at once."""
        try:
            exchange.head.plan(exchange)
        except Exception as error:
            respond_error(exchange, error, CONTENT_TYPE)

    def _refuse(self, exchange: Exchange) -> None:
        exchange.respond(405, [encode_error("Method Not Allowed")])

    def _show(self, exchange: Exchange) -> None:
        text = b""
        if exchange.head.path == "/metrics":
            server = self._server
            text = prometheus_text(
                server.models.ready_models(), cpu=self._cpu, custom=server.custom_metrics, cache=server.cache
            )
        exchange.respond(200, [text], content_type=CONTENT_TYPE)
