"""The metrics port: Prometheus text on /metrics, and an empty page for every other path, as Triton's."""

from __future__ import annotations

from tritium.frontends.http.exchange import Exchange, HttpRefusal
from tritium.frontends.http.handlers import respond_error
from tritium.metrics import CONTENT_TYPE, CpuMetrics, prometheus_text
from tritium.protocol.json_codec import encode_error
from tritium.server import InferenceServer


class MetricsApi:
    """The application of the metrics listener."""

    def __init__(self, server: InferenceServer, *, cpu: bool) -> None:
        self._server = server
        self._cpu = CpuMetrics() if cpu else None

    def admit(self, exchange: Exchange) -> None:
        """No request to this port has a use for a body."""
        if int(exchange.headers.get(b"content-length", b"0")) or b"transfer-encoding" in exchange.headers:
            if exchange.method != b"GET":
                raise HttpRefusal(405, "Method Not Allowed")
            raise HttpRefusal(413, "a request for metrics has no body")

    def handle(self, exchange: Exchange) -> None:
        """Answer at once."""
        if exchange.method != b"GET":
            exchange.respond(405, [encode_error("Method Not Allowed")])
            return
        try:
            text = b""
            if exchange.path == "/metrics":
                text = prometheus_text(self._server.models.ready_models(), cpu=self._cpu)
            exchange.respond(200, [text], content_type=CONTENT_TYPE)
        except Exception as error:
            respond_error(exchange, error, CONTENT_TYPE)
