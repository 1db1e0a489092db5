from __future__ import annotations

import pytest

from tests.unit.builders import echo_config, model
from tests.unit.frontends.http.fakes import Reply, exchange, reply_of, server
from tritium.frontends.http.exchange import HttpRefusal
from tritium.frontends.http.metrics_api import MetricsApi


def ask(method: str, path: str, *, cpu: bool = False, name: str = "echo") -> Reply:
    api = MetricsApi(server(model(echo_config(name))), cpu=cpu)
    one = exchange(method, path)
    one.head.plan = api.plan(one.head)
    api.handle(one)
    return reply_of(one)


def test_metrics_are_prometheus_text_of_every_ready_model() -> None:
    reply = ask("GET", "/metrics")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert b'nv_inference_count{model="echo",version="1"} 0\n' in reply.body


def test_metrics_of_the_machine_are_an_option() -> None:
    assert b"nv_cpu_memory_total_bytes" in ask("GET", "/metrics", cpu=True).body
    assert b"nv_cpu_memory_total_bytes" not in ask("GET", "/metrics").body


@pytest.mark.parametrize("path", ["/", "/metrics/", "/v2/health/ready"])
def test_every_other_path_is_an_empty_page(path: str) -> None:
    assert (ask("GET", path).status, ask("GET", path).body) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
def test_another_method_is_not_allowed(method: str) -> None:
    assert ask(method, "/metrics").status == 405


@pytest.mark.parametrize(("method", "status"), [("GET", 413), ("POST", 405)])
@pytest.mark.parametrize("headers", [{b"content-length": b"1"}, {b"transfer-encoding": b"chunked"}])
def test_a_request_with_a_body_is_refused_before_it_is_read(
    method: str, status: int, headers: dict[bytes, bytes]
) -> None:
    api = MetricsApi(server(), cpu=False)
    with pytest.raises(HttpRefusal) as caught:
        api.plan(exchange(method, "/metrics", headers=headers).head)
    assert caught.value.status == status


def test_a_fault_of_ours_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    assert ask("GET", "/metrics", name="\udcff").status == 500
    assert "UnicodeEncodeError" in caplog.text
