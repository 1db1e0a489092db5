"""Tests for ``tritium.cli.triton_flags``."""

from __future__ import annotations

from tritium.cli.settings import setting_names
from tritium.cli.triton_flag import NoEffect, Refused, Works
from tritium.cli.triton_flags import all_flags

# tritonserver 2.51 --help, in its order
FLAGS_OF_2_51 = [
    "help", "id", "exit-timeout-secs", "log-verbose", "log-info", "log-warning", "log-error", "log-format",
    "log-file", "model-store", "model-repository", "exit-on-error", "disable-auto-complete-config",
    "strict-readiness", "model-control-mode", "repository-poll-secs", "load-model", "model-config-name",
    "model-load-thread-count", "model-load-retry-count", "model-namespacing", "enable-peer-access",
    "allow-http", "http-address", "http-port", "reuse-http-port", "http-header-forward-pattern",
    "http-thread-count", "http-restricted-api", "allow-grpc", "grpc-address", "grpc-port", "reuse-grpc-port",
    "grpc-header-forward-pattern", "grpc-infer-allocation-pool-size", "grpc-use-ssl", "grpc-use-ssl-mutual",
    "grpc-server-cert", "grpc-server-key", "grpc-root-cert", "grpc-infer-response-compression-level",
    "grpc-keepalive-time", "grpc-keepalive-timeout", "grpc-keepalive-permit-without-calls",
    "grpc-http2-max-pings-without-data", "grpc-http2-min-recv-ping-interval-without-data",
    "grpc-http2-max-ping-strikes", "grpc-max-connection-age", "grpc-max-connection-age-grace",
    "grpc-restricted-protocol", "allow-sagemaker", "sagemaker-port", "sagemaker-safe-port-range",
    "sagemaker-thread-count", "allow-vertex-ai", "vertex-ai-port", "vertex-ai-thread-count",
    "vertex-ai-default-model", "allow-metrics", "allow-gpu-metrics", "allow-cpu-metrics", "metrics-address",
    "metrics-port", "metrics-interval-ms", "metrics-config", "trace-config", "backend-directory",
    "backend-config", "repoagent-directory", "cache-config", "cache-directory", "rate-limit",
    "rate-limit-resource", "pinned-memory-pool-byte-size", "cuda-memory-pool-byte-size",
    "cuda-virtual-address-size", "min-supported-compute-capability", "buffer-manager-thread-count",
    "host-policy", "model-load-gpu-limit", "strict-model-config", "response-cache-byte-size", "trace-file",
    "trace-level", "trace-rate", "trace-count", "trace-log-frequency",
]  # fmt: skip
ADDED_BY_2_73 = [
    "allow-client-shm",
    "http-max-input-size",
    "grpc-infer-thread-count",
    "grpc-max-response-pool-size",
]
OWN = ["cpu-fallback"]


def test_every_flag_of_tritonserver_is_known_once() -> None:
    assert len(FLAGS_OF_2_51) == 87
    assert sorted(flag.name for flag in all_flags()) == sorted(FLAGS_OF_2_51 + ADDED_BY_2_73 + OWN)


def test_flags_that_work_have_an_option_to_go_to() -> None:
    works = [
        flag.effect.setting for flag in all_flags() if isinstance(flag.effect, Works) and flag.name != "help"
    ]
    assert set(works) <= set(setting_names())


def test_flags_that_do_not_work_say_why() -> None:
    for flag in all_flags():
        if isinstance(flag.effect, NoEffect | Refused):
            assert flag.effect.reason, flag.name


def test_flags_that_make_others_moot_exist() -> None:
    names = {flag.name for flag in all_flags()}
    moot = {flag.effect.moot_without for flag in all_flags() if isinstance(flag.effect, Refused)}
    assert moot - {""} <= names


def test_only_switches_take_no_value() -> None:
    assert {flag.name for flag in all_flags() if flag.parse is None} == {
        "help",
        "disable-auto-complete-config",
        "cpu-fallback",
    }
