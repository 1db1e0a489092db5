"""The flags of ``tritium serve``: one table, from which come the parser, its help and the documentation."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tritium.cli import values
from tritium.cli.backend_settings import merged, parse_backend_config
from tritium.cli.settings import default_of, options_from
from tritium.cli.triton_values import cache_config, rate_limit_resource, restricted
from tritium.options import ServerOptions


@dataclass(frozen=True, slots=True)
class ServeFlag:
    """One flag. Without a ``metavar`` it is a switch that sets ``constant``."""

    name: str
    setting: str
    help: str
    metavar: str = ""
    parse: values.Parse = values.text
    constant: object = None
    repeated: bool = False

    @property
    def destination(self) -> str:
        """The attribute under which the parser leaves the value."""
        return self.name.removeprefix("--").replace("-", "_")


_CONTROL_MODES = ("none", "explicit")
_RATE_LIMITS = ("off", "execution_count")
_LOG_LEVELS = ("error", "warning", "info", "verbose")
LOG_FORMATS = ("default", "ISO8601")

GROUPS: Mapping[str, tuple[ServeFlag, ...]] = {
    "models": (
        ServeFlag("--model-repository", "model_repositories", "a directory of models; may be repeated", "DIR",
                  values.path, repeated=True),
        ServeFlag("--model-control-mode", "model_control_mode",
                  "none loads all models; explicit loads those of --load-model, and more on request",
                  f"{{{','.join(_CONTROL_MODES)}}}", values.one_of(*_CONTROL_MODES)),
        ServeFlag("--load-model", "startup_models",
                  "load this model only, or '*' for all; may be repeated; implies explicit control", "NAME",
                  values.some_text, repeated=True),
        ServeFlag("--no-exit-on-error", "exit_on_error",
                  "serve what could be loaded when a model fails to load",
                  constant=False),
        ServeFlag("--no-strict-readiness", "strict_readiness", "be ready although a model failed to load",
                  constant=False),
        ServeFlag("--disable-auto-complete-config", "disable_auto_complete_config",
                  "do not complete config.pbtxt from model files", constant=True),
        ServeFlag("--model-config-name", "model_config_name",
                  "use configs/NAME.pbtxt of a model, where it exists, instead of config.pbtxt", "NAME",
                  values.some_text),
        ServeFlag("--cpu-fallback", "cpu_fallback",
                  "serve models that ask for a GPU (KIND_GPU) on the CPU where there is none, with a warning",
                  constant=True),
        ServeFlag("--model-load-threads", "model_load_threads", "how many models are loaded at the same time",
                  "N",
                  values.integer(1, 1024)),
        ServeFlag("--backend-config", "backend_config", "a setting of a backend, or of all; may be repeated",
                  "[BACKEND,]KEY=VALUE", parse_backend_config, repeated=True),
        ServeFlag("--backend-directory", "backend_directory",
                  "where python-based backends are: DIR/NAME/model.py serves models with backend NAME", "DIR",
                  values.path),
    ),
    "server": (
        ServeFlag("--host", "http.address", "the address on which to listen", "ADDRESS", values.some_text),
        ServeFlag("--server-id", "server_id", "what the server calls itself at /v2", "NAME"),
        ServeFlag("--max-queue-size", "max_queue_size", "requests that may wait for one model", "N",
                  values.integer(1)),
        ServeFlag("--cache-config", "cache_config",
                  "a setting of the response cache, such as local,size=104857600 or redis,host=NAME; may be "
                  "repeated", "CACHE,KEY=VALUE", cache_config, repeated=True),
        ServeFlag("--rate-limit", "rate_limit",
                  "off, or execution_count: instances with a rate_limiter wait for its resources, in turns",
                  f"{{{','.join(_RATE_LIMITS)}}}", values.one_of(*_RATE_LIMITS)),
        ServeFlag("--rate-limit-resource", "rate_limit_resources",
                  "how much of a resource there is (default: the largest need); may be repeated",
                  "NAME:COUNT", rate_limit_resource, repeated=True),
        ServeFlag("--worker-stopped-limit-secs", "worker_stopped_limit_s",
                  "restart a worker process that has been stopped (SIGSTOP) for so long", "SECONDS",
                  values.seconds(0.1)),
        ServeFlag("--execution-timeout-secs", "execution_timeout_s",
                  "end an execution in a worker process that takes longer, where the model does not say "
                  "TRITIUM_EXECUTION_TIMEOUT_SECS itself; models that run in threads cannot be ended",
                  "SECONDS", values.seconds(0.001)),
        ServeFlag("--exit-timeout-secs", "exit_timeout_s",
                  "how long accepted requests may take when the server stops",
                  "SECONDS", values.seconds()),
        ServeFlag("--drain-delay-secs", "drain_delay_s",
                  "when stopping, how long to go on listening while not ready", "SECONDS", values.seconds()),
    ),
    "http": (
        ServeFlag("--no-http", "http.enabled", "do not listen for HTTP", constant=False),
        ServeFlag("--http-port", "http.port", "the port; 0 for a free one", "PORT", values.port),
        ServeFlag("--http-reuse-port", "http.reuse_port",
                  "let several servers listen on this port (SO_REUSEPORT)",
                  constant=True),
        ServeFlag("--http-max-input-size", "http.max_input_bytes",
                  "the largest body, as sent and decompressed", "BYTES", values.integer(1)),
        ServeFlag("--http-max-header-size", "http.max_header_bytes", "the largest head of a request", "BYTES",
                  values.integer(1024)),
        ServeFlag("--http-max-headers", "http.max_headers", "the most headers of a request", "N",
                  values.integer(1)),
        ServeFlag("--http-max-chunks", "http.max_chunks", "the most chunks of a chunked body", "N",
                  values.integer(1)),
        ServeFlag("--http-max-connections", "http.max_connections", "the most connections at the same time",
                  "N",
                  values.integer(1)),
        ServeFlag("--http-header-timeout-secs", "http.header_timeout_s",
                  "how long a client may take for the head of a request", "SECONDS", values.seconds(0.001)),
        ServeFlag("--http-body-grace-secs", "http.body_grace_s",
                  "how long a body may come slower than --http-min-body-rate", "SECONDS", values.seconds()),
        ServeFlag("--http-min-body-rate", "http.min_body_rate",
                  "the slowest body, after the grace; 0 for any",
                  "BYTES_PER_SECOND", values.integer(0)),
        ServeFlag("--http-idle-timeout-secs", "http.idle_timeout_s",
                  "close a connection that is idle for so long",
                  "SECONDS", values.seconds(0.001)),
        ServeFlag("--http-write-timeout-secs", "http.write_timeout_s",
                  "close a connection whose client has read nothing for so long", "SECONDS",
                  values.seconds(0.001)),
        ServeFlag("--http-header-forward-pattern", "http.forward_pattern",
                  "headers whose names match become parameters of inferences", "REGEX", values.text),
        ServeFlag("--http-restricted-api", "http.restricted",
                  "endpoints that want a secret header; may be repeated", "CATEGORY,...:KEY=VALUE",
                  restricted("--http-restricted-api"), repeated=True),
    ),
    "grpc": (
        ServeFlag("--no-grpc", "grpc.enabled", "do not listen for gRPC", constant=False),
        ServeFlag("--grpc-host", "grpc.address", "the address for gRPC; without it, that of --host",
                  "ADDRESS", values.some_text),
        ServeFlag("--grpc-port", "grpc.port", "the port; 0 for a free one", "PORT", values.port),
        ServeFlag("--grpc-reuse-port", "grpc.reuse_port",
                  "let several servers listen on this port (SO_REUSEPORT)",
                  constant=True),
        ServeFlag("--grpc-max-message-size", "grpc.max_message_bytes", "the largest message, decompressed",
                  "BYTES", values.integer(1, (1 << 31) - 1)),
        ServeFlag("--grpc-max-connections", "grpc.max_connections", "the most connections at the same time",
                  "N",
                  values.integer(1)),
        ServeFlag("--grpc-tls", "grpc.use_tls", "serve gRPC by TLS; needs a certificate and its key",
                  constant=True),
        ServeFlag("--grpc-tls-certificate", "grpc.certificate", "the server's certificate (PEM)", "FILE",
                  values.path),
        ServeFlag("--grpc-tls-key", "grpc.key", "the key of the certificate (PEM)", "FILE", values.path),
        ServeFlag("--grpc-tls-mutual", "grpc.mutual_tls", "clients need a certificate as well",
                  constant=True),
        ServeFlag("--grpc-tls-root", "grpc.root_certificate",
                  "the certificate that clients' certificates are checked with (PEM)", "FILE", values.path),
        ServeFlag("--grpc-compression", "grpc.compression_level",
                  "compress responses for clients that accept it", "LEVEL",
                  values.one_of("none", "low", "medium", "high")),
        ServeFlag("--grpc-keepalive-time-ms", "grpc.keepalive_time_ms", "silence before the server pings",
                  "MS", values.integer(1)),
        ServeFlag("--grpc-keepalive-timeout-ms", "grpc.keepalive_timeout_ms",
                  "silence after a ping before a connection is closed", "MS", values.integer(1)),
        ServeFlag("--grpc-keepalive-without-calls", "grpc.keepalive_permit_without_calls",
                  "ping connections without calls as well", constant=True),
        ServeFlag("--grpc-max-pings-without-data", "grpc.max_pings_without_data",
                  "pings with nothing else in between; 0 for any number", "N", values.integer(0)),
        ServeFlag("--grpc-min-ping-interval-ms", "grpc.min_ping_interval_ms",
                  "how often a client may ping while nothing is sent", "MS", values.integer(0)),
        ServeFlag("--grpc-max-ping-strikes", "grpc.max_ping_strikes",
                  "pings that come too soon before a client is cut off; 0 for any number", "N",
                  values.integer(0)),
        ServeFlag("--grpc-max-connection-age-ms", "grpc.max_connection_age_ms",
                  "how long a connection may live; 0 for any time", "MS", values.integer(0)),
        ServeFlag("--grpc-max-connection-age-grace-ms", "grpc.max_connection_age_grace_ms",
                  "how much longer its calls may take; 0 for any time", "MS", values.integer(0)),
        ServeFlag("--grpc-header-forward-pattern", "grpc.forward_pattern",
                  "metadata whose keys match become parameters of inferences", "REGEX", values.text),
        ServeFlag("--grpc-restricted-protocol", "grpc.restricted",
                  "calls that want a secret in their metadata; may be repeated", "CATEGORY,...:KEY=VALUE",
                  restricted("--grpc-restricted-protocol"), repeated=True),
        ServeFlag("--grpc-reflection", "grpc.reflection",
                  "describe the services to clients that ask (server reflection)", constant=True),
    ),
    "metrics": (
        ServeFlag("--no-metrics", "metrics.enabled", "do not offer Prometheus metrics", constant=False),
        ServeFlag("--metrics-host", "metrics.address", "the address for metrics; without it, that of --host",
                  "ADDRESS", values.some_text),
        ServeFlag("--metrics-port", "metrics.port", "the port for metrics; 0 for a free one", "PORT",
                  values.port),
        ServeFlag("--no-cpu-metrics", "metrics.cpu", "leave CPU and memory metrics out", constant=False),
    ),
    "log": (
        ServeFlag("--log-level", "log_level", "the least severe lines to write",
                  f"{{{','.join(_LOG_LEVELS)}}}",
                  values.one_of(*_LOG_LEVELS)),
        ServeFlag("--log-format", "log_format", "how a line begins", f"{{{','.join(LOG_FORMATS)}}}",
                  values.one_of(*LOG_FORMATS)),
        ServeFlag("--debug-errors", "debug_errors",
                  "give clients the full tracebacks of model.py files, with paths of the server",
                  constant=True),
        ServeFlag("--log-file", "log_file", "append the log to this file instead of standard error", "FILE",
                  values.path),
    ),
}  # fmt: skip


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Teach ``parser`` the flags of ``tritium serve``."""
    for title, flags in GROUPS.items():
        group = parser.add_argument_group(title)
        for flag in flags:
            if not flag.metavar:
                group.add_argument(flag.name, action="store_const", const=flag.constant, help=flag.help)
                continue
            group.add_argument(
                flag.name,
                action="append" if flag.repeated else "store",
                metavar=flag.metavar,
                type=_argument(flag.parse),
                required=flag.name == "--model-repository",
                help=f"{flag.help}{_default_note(flag)}".replace("%", "%%"),
            )


def shown_default(flag: ServeFlag) -> str:
    """The default of a flag as its value would be written; empty for switches, and where there is none."""
    default = default_of(flag.setting)
    if not flag.metavar or flag.repeated or default in (None, ""):
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def _default_note(flag: ServeFlag) -> str:
    default = shown_default(flag)
    return f" (default: {default})" if default else ""


def _argument(parse: values.Parse) -> Callable[[str], object]:
    """``parse`` with errors that argparse shows as they stand."""

    def convert(value: str) -> object:
        try:
            return parse(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def all_flags() -> Iterator[ServeFlag]:
    """Every flag, group by group."""
    for flags in GROUPS.values():
        yield from flags


def options_of(arguments: argparse.Namespace) -> ServerOptions:
    """What a parsed command line asks for.

    Raises:
        ValueError: flags that contradict each other.
    """
    given = vars(arguments)
    settings: dict[str, object] = {}
    for flag in all_flags():
        value = given[flag.destination]
        if value is not None:
            settings[flag.setting] = tuple(value) if flag.repeated else value
    settings |= _startup_models(given["load_model"], given["model_control_mode"])
    backend_config: dict[str, dict[str, str]] = {}
    for backend, key, value in given["backend_config"] or ():
        backend_config = merged(backend_config, backend, key, value)
    return options_from({**settings, "backend_config": backend_config})


def _startup_models(names: list[str] | None, mode: str | None) -> dict[str, object]:
    if not names:
        return {"startup_models": ()} if mode == "explicit" else {}
    if mode not in (None, "explicit"):
        raise ValueError(f"--load-model needs --model-control-mode explicit, got {mode}")
    if names == ["*"]:
        return {"model_control_mode": "explicit", "startup_models": None}
    if "*" in names:
        raise ValueError("--load-model '*' loads all models; remove the other --load-model flags")
    return {"model_control_mode": "explicit", "startup_models": tuple(dict.fromkeys(names))}
