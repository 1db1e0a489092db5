"""What a server is told when it starts: one field per flag, each with the default of the real tritonserver
unless the comment says whose judgement it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Restriction:
    """Categories of calls that are answered only if a header named by ``key`` has this value."""

    categories: tuple[str, ...]
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The HTTP front end."""

    enabled: bool = True
    address: str = "127.0.0.1"  # tritium's; the ``tritonserver`` command binds 0.0.0.0 as the real one
    port: int = 8000
    reuse_port: bool = False
    max_input_bytes: int = 64 << 20  # --http-max-input-size of Triton 2.73; 2.51 has no limit
    max_header_bytes: int = 64 << 10  # tritium's, as uvicorn's with h11
    max_headers: int = 256  # tritium's: no client known sends more than a few dozen
    max_chunks: int = 65536  # as Triton 2.73
    max_connections: int = 4096  # tritium's
    header_timeout_s: float = 10.0  # tritium's, RELIABILITY T21
    body_grace_s: float = 10.0  # tritium's: after it a body must come at ``min_body_rate``
    min_body_rate: int = 240  # bytes per second, as Apache mod_reqtimeout
    idle_timeout_s: float = 75.0  # as nginx
    write_timeout_s: float = 60.0  # as nginx: a reader that takes nothing for so long is cut
    forward_pattern: str = ""  # headers whose names match become parameters of inferences; empty: none
    restricted: tuple[Restriction, ...] = ()


@dataclass(frozen=True, slots=True)
class GrpcOptions:
    """The gRPC front end."""

    enabled: bool = True
    address: str = ""  # empty: as HTTP
    port: int = 8001
    reuse_port: bool = False
    max_message_bytes: int = (1 << 31) - 1
    max_connections: int = 4096  # tritium's
    compression_level: str = "none"  # of responses: none, low, medium or high
    use_tls: bool = False
    mutual_tls: bool = False  # clients need a certificate, which is checked with ``root_certificate``
    certificate: Path | None = None
    key: Path | None = None
    root_certificate: Path | None = None
    keepalive_time_ms: int = 7_200_000
    keepalive_timeout_ms: int = 20_000
    keepalive_permit_without_calls: bool = False
    max_pings_without_data: int = 2
    min_ping_interval_ms: int = 300_000
    max_ping_strikes: int = 2
    max_connection_age_ms: int = 0  # 0: any
    max_connection_age_grace_ms: int = 0  # 0: any
    forward_pattern: str = ""  # metadata whose keys match become parameters of inferences; empty: none
    restricted: tuple[Restriction, ...] = ()
    reflection: bool = False  # tritium's: offer grpc.reflection.v1


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """The Prometheus endpoint."""

    enabled: bool = True
    address: str = ""  # empty: as HTTP
    port: int = 8002
    cpu: bool = True


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Everything."""

    model_repositories: tuple[Path, ...] = ()
    server_id: str = "triton"  # what /v2 calls itself; clients compare it
    http: HttpOptions = field(default_factory=HttpOptions)
    grpc: GrpcOptions = field(default_factory=GrpcOptions)
    metrics: MetricsOptions = field(default_factory=MetricsOptions)
    model_control_mode: str = "none"  # none or explicit
    startup_models: tuple[str, ...] | None = None  # explicit control: load these; None loads all
    exit_on_error: bool = True
    strict_readiness: bool = True
    disable_auto_complete_config: bool = False
    model_config_name: str | None = None
    xrt: Mapping[str, str] = field(default_factory=dict)  # oneflow-serving's, by model: openvino or tensorrt
    cpu_fallback: bool = False  # tritium's: KIND_GPU without a GPU is served on the CPU, with a warning
    model_load_threads: int = 4
    exit_timeout_s: float = 30.0
    drain_delay_s: float = 0.0  # tritium's: between "not ready" and closing the listeners
    max_queue_size: int = 16384  # tritium's: requests per model; Triton's default queue is unbounded
    rate_limit: str = "off"  # off or execution_count
    rate_limit_resources: tuple[tuple[str, int], ...] = ()  # names in lower case, and how much there is
    worker_stopped_limit_s: float = 5.0  # tritium's, RELIABILITY T4
    execution_timeout_s: float | None = None  # tritium's: of models in workers that say nothing themselves
    backend_config: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cache_config: tuple[tuple[str, str, str], ...] = ()  # of the response cache: its name, a setting, a value
    backend_directory: Path | None = None  # of python-based backends: <directory>/<backend>/model.py
    debug_errors: bool = False  # tritium's: clients get the full tracebacks of model.py
    terminal: bool = False  # one worker per python model, which reads from this terminal: tritium dev
    log_level: str = "info"  # error, warning, info or verbose: the least severe lines that are written
    log_silenced: frozenset[str] = frozenset()  # levels above it that are left out: --log-warning=false
    log_format: str = "default"
    log_file: Path | None = None
