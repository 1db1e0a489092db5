"""Tests for ``tritium.cli.triton_options``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tritium.cli.triton_flag import Refused
from tritium.cli.triton_flags import all_flags
from tritium.cli.triton_options import RefusedFlagsError, UsageError, options_of, parse, refuse
from tritium.options import ServerOptions

VALUES = [
    "MIN",
    "execution_count",
    "true",
    "false",
    "5",
    "0",
    "x",
    "off",
    "OFF",
    "none",
    "a,b=c",
    "a:b=c",
    "1:1",
    "1-2",
    "R:1",
    "a=b",
]


def options(*argv: str) -> ServerOptions:
    given = parse(argv)
    refuse(given)
    return options_of(given)


def refusal(*argv: str) -> str:
    with pytest.raises(RefusedFlagsError) as caught:
        options(*argv)
    return str(caught.value)


def test_it_listens_on_all_addresses_as_the_real_one() -> None:
    assert options().http.address == "0.0.0.0"


def test_without_flags_all_else_is_the_default() -> None:
    assert replace(options(), http=ServerOptions().http) == ServerOptions()


def test_flags_that_work_set_their_options() -> None:
    found = options(
        "--model-repository=a", "--model-store", "b", "--id=me", "--exit-timeout-secs=5",
        "--exit-on-error=off", "--disable-auto-complete-config", "--strict-readiness=0",
        "--model-config-name=h100", "--model-load-thread-count=2", "--http-address=::1", "--http-port=0",
        "--reuse-http-port=TRUE", "--http-max-input-size=10", "--allow-metrics=off",
        "--metrics-address=::2", "--metrics-port=7", "--log-format=ISO8601", "--log-file=l",
        "--allow-cpu-metrics=false", "--backend-config=default-max-batch-size=3",
    )  # fmt: skip
    assert found.model_repositories == (Path("a"), Path("b"))
    assert (found.server_id, found.exit_timeout_s, found.exit_on_error) == ("me", 5, False)
    assert (found.disable_auto_complete_config, found.strict_readiness) == (True, False)
    assert (found.model_config_name, found.model_load_threads) == ("h100", 2)
    assert (found.http.address, found.http.port, found.http.reuse_port) == ("::1", 0, True)
    assert (found.http.max_input_bytes, found.metrics.enabled, found.metrics.cpu) == (10, False, False)
    assert (found.metrics.address, found.metrics.port) == ("::2", 7)
    assert (found.log_format, found.log_file) == ("ISO8601", Path("l"))
    assert found.backend_config == {"": {"default-max-batch-size": "3"}}


def test_the_last_of_a_flag_counts() -> None:
    assert options("--http-port=1", "--http-port=2").http.port == 2


def test_http_can_be_switched_off() -> None:
    assert not options("--allow-http=false").http.enabled


def test_levels_of_the_log_are_switched_one_by_one() -> None:
    found = options("--log-info=false", "--log-warning=false", "--log-warning=true", "--log-verbose=1")
    assert (found.log_silenced, found.log_level) == (frozenset({"info"}), "verbose")


@pytest.mark.parametrize(("text", "disabled"), [("true", True), ("false", False)])
def test_the_old_flag_for_strict_configurations_works(text: str, disabled: bool) -> None:
    assert options(f"--strict-model-config={text}").disable_auto_complete_config is disabled


def test_an_empty_config_name_is_none() -> None:
    assert options("--model-config-name=").model_config_name is None


def test_explicit_control_loads_the_models_named() -> None:
    found = options("--model-control-mode=explicit", "--load-model=a", "--load-model=b")
    assert (found.model_control_mode, found.startup_models) == ("explicit", ("a", "b"))


def test_explicit_control_loads_all_for_a_star() -> None:
    assert options("--model-control-mode=explicit", "--load-model=*").startup_models is None


def test_explicit_control_starts_with_nothing_else() -> None:
    assert options("--model-control-mode=explicit").startup_models == ()


def test_polling_is_refused() -> None:
    expected = (
        "error: --model-control-mode poll: polling is not offered by this version of tritium; remove the flag"
    )
    assert refusal("--model-control-mode=poll") == expected


def test_all_refused_flags_are_named_at_once() -> None:
    assert refusal("--sagemaker-port=1", "--allow-sagemaker=true", "--trace-rate", "5").splitlines() == [
        f"error: {flag} is not offered by this version of tritium; remove the flag"
        for flag in ("--allow-sagemaker true: the SageMaker endpoint", "--trace-rate 5: tracing")
    ]


def test_every_refused_flag_is_refused_for_some_value() -> None:
    for flag in all_flags():
        if not isinstance(flag.effect, Refused):
            continue
        refused = 0
        for value in VALUES:
            try:
                options(f"--{flag.name}={value}")
            except RefusedFlagsError:
                refused += 1
            except UsageError:  # the value is not one of this flag
                continue
        assert refused, flag.name


@pytest.mark.parametrize(
    "flag",
    [
        "--allow-sagemaker=false",
        "--allow-vertex-ai=false",
        "--allow-gpu-metrics=false",
        "--allow-client-shm=false",
        "--model-control-mode=none",
        "--model-load-retry-count=0",
        "--model-namespacing=false",
        "--rate-limit=off",
        "--response-cache-byte-size=0",
        "--trace-level=OFF",
        "--trace-config=level=OFF",
        "--metrics-config=counter_latencies=true",
        "--metrics-config=summary_latencies=false",
    ],
)
def test_a_flag_that_asks_for_what_happens_anyway_is_accepted(flag: str) -> None:
    assert options(flag) == options()


@pytest.mark.parametrize(
    "flag",
    [
        "--pinned-memory-pool-byte-size=268435456",
        "--cuda-memory-pool-byte-size=0:67108864",
        "--http-thread-count=0",
        "--buffer-manager-thread-count=4",
        "--repository-poll-secs=0",
        "--metrics-interval-ms=1000",
        "--min-supported-compute-capability=7.5",
        "--enable-peer-access=true",
        "--sagemaker-port=8080",
        "--backend-config=python,shm-default-byte-size=1048576",
    ],
)
def test_a_flag_without_effect_is_accepted_and_the_server_is_the_same(flag: str) -> None:
    assert replace(options(flag), backend_config={}) == options()


def test_flags_of_a_front_end_that_is_off_are_accepted() -> None:
    restricted = "--grpc-restricted-protocol=inference:key=value"
    assert not options(restricted, "--allow-grpc=false").grpc.enabled


def test_the_flags_of_grpc_become_its_options() -> None:
    grpc = options(
        "--grpc-port=9", "--grpc-address=::1", "--reuse-grpc-port=1", "--grpc-use-ssl=true",
        "--grpc-server-cert=c",
        "--grpc-server-key=k", "--grpc-keepalive-time=5", "--grpc-max-connection-age=7",
        "--grpc-infer-response-compression-level=high",
    ).grpc  # fmt: skip
    assert (grpc.port, grpc.address, grpc.reuse_port, grpc.use_tls) == (9, "::1", True, True)
    assert (grpc.certificate, grpc.key) == (Path("c"), Path("k"))
    assert (grpc.keepalive_time_ms, grpc.max_connection_age_ms) == (5, 7)
    assert grpc.compression_level == "high"


def test_gpu_metrics_are_refused_unless_metrics_are_off() -> None:
    assert "GPU metrics" in refusal("--allow-gpu-metrics=true")
    assert not options("--allow-gpu-metrics=true", "--allow-metrics=false").metrics.enabled
