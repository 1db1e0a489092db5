"""tritonserver's flags, all of 2.51 and those that 2.73 added: one table for parsing, usage and documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tritium.cli import triton_values as v
from tritium.cli.triton_flag import NoEffect, Refused, Silences, TritonFlag, Works

_GRPC = Refused("gRPC is not offered by this version of tritium", moot_without="allow-grpc")
_TRACE = Refused("tracing is not offered by this version of tritium")
_CACHE = "the response cache is not offered by this version of tritium"
_SAGEMAKER = NoEffect("the SageMaker endpoint is off")
_VERTEX = NoEffect("the Vertex AI endpoint is off")
_NO_GPU = NoEffect("the server itself uses no GPU memory")
_PACKAGES = (
    "backends are Python packages and are found by name; a backend that is missing is an error of its model"
)

GROUPS: Mapping[str, tuple[TritonFlag, ...]] = {
    "Server": (
        TritonFlag("help", None, Works("help"), "print this text and exit with status 1"),
        TritonFlag("id", v.text, Works("server_id"), "what the server calls itself"),
        TritonFlag("exit-timeout-secs", v.integer(0), Works("exit_timeout_s"),
                   "seconds that accepted requests may take when the server stops"),
    ),
    "Logging": (
        TritonFlag("log-verbose", v.log_level, Works("log_level"), "1 or more for verbose lines, 0 for none"),
        TritonFlag("log-info", v.boolean, Silences("info"), "whether to write info lines"),
        TritonFlag("log-warning", v.boolean, Silences("warning"), "whether to write warnings"),
        TritonFlag("log-error", v.boolean, Silences("error"), "whether to write errors"),
        TritonFlag("log-format", v.one_of("--log-format", "default", "ISO8601"), Works("log_format"),
                   "how a line begins: default or ISO8601"),
        TritonFlag("log-file", v.path, Works("log_file"), "append the log to this file"),
    ),
    "Model repository": (
        TritonFlag("model-store", v.path, Works("model_repositories", repeated=True), "as --model-repository"),
        TritonFlag("model-repository", v.path, Works("model_repositories", repeated=True),
                   "a directory of models; may be repeated"),
        TritonFlag("exit-on-error", v.boolean, Works("exit_on_error"), "whether a model that fails ends start-up"),
        TritonFlag("disable-auto-complete-config", None, Works("disable_auto_complete_config"),
                   "do not complete config.pbtxt from model files"),
        TritonFlag("strict-readiness", v.boolean, Works("strict_readiness"),
                   "whether ready means that every model is available"),
        TritonFlag("model-control-mode", v.one_of("--model-control-mode", "none", "poll", "explicit"),
                   Works("model_control_mode", refuses=(("poll", "polling is not offered by this version of tritium"),)),
                   "none loads all models; explicit loads those of --load-model"),
        TritonFlag("repository-poll-secs", v.integer(), NoEffect("it is for --model-control-mode=poll"),
                   "seconds between two polls"),
        TritonFlag("load-model", v.text, Works("startup_models", repeated=True),
                   "a model to load at start-up, or * for all; may be repeated"),
        TritonFlag("model-config-name", v.text, Works("model_config_name"),
                   "use configs/<name>.pbtxt of a model, where it exists"),
        TritonFlag("model-load-thread-count", v.thread_count, Works("model_load_threads"),
                   "how many models are loaded at the same time"),
        TritonFlag("model-load-retry-count", v.integer(0),
                   Refused("loading is not tried again by this version of tritium", allows=(0,)),
                   "how often to try again to load a model"),
        TritonFlag("model-namespacing", v.boolean,
                   Refused("model namespaces are not offered by this version of tritium", allows=(False,)),
                   "whether repositories may hold models of the same name"),
        TritonFlag("enable-peer-access", v.boolean, _NO_GPU, "whether GPUs read each other's memory"),
    ),
    "HTTP": (
        TritonFlag("allow-http", v.boolean, Works("http.enabled"), "whether to listen for HTTP"),
        TritonFlag("http-address", v.text, Works("http.address"), "the address to listen on"),
        TritonFlag("http-port", v.port, Works("http.port"), "the port to listen on"),
        TritonFlag("reuse-http-port", v.boolean, Works("http.reuse_port"), "whether servers may share the port"),
        TritonFlag("http-header-forward-pattern", v.text,
                   Refused("forwarding of headers is not offered by this version of tritium"),
                   "headers that become parameters of a request"),
        TritonFlag("http-thread-count", v.integer(), NoEffect("one event loop serves all connections"),
                   "threads that serve HTTP"),
        TritonFlag("http-restricted-api", v.restricted("--http-restricted-api"),
                   Refused("restricted endpoints are not offered by this version of tritium"),
                   "endpoints that want a secret header"),
        TritonFlag("http-max-input-size", v.integer(1, 2**63 - 1), Works("http.max_input_bytes"),
                   "the largest body in bytes, as sent and decompressed"),
    ),
    "gRPC": (
        TritonFlag("allow-grpc", v.boolean, Refused(_GRPC.reason, allows=(False,)), "whether to listen for gRPC"),
        TritonFlag("grpc-address", v.text, _GRPC, "the address to listen on"),
        TritonFlag("grpc-port", v.port, _GRPC, "the port to listen on"),
        TritonFlag("reuse-grpc-port", v.boolean, _GRPC, "whether servers may share the port"),
        TritonFlag("grpc-header-forward-pattern", v.text, _GRPC, "metadata that become parameters of a request"),
        TritonFlag("grpc-infer-allocation-pool-size", v.integer(), _GRPC, "objects that are kept for reuse"),
        TritonFlag("grpc-max-response-pool-size", v.integer(), _GRPC, "responses that are kept for reuse"),
        TritonFlag("grpc-infer-thread-count", v.integer(), _GRPC, "threads that serve gRPC"),
        TritonFlag("grpc-use-ssl", v.boolean, _GRPC, "whether to use TLS"),
        TritonFlag("grpc-use-ssl-mutual", v.boolean, _GRPC, "whether clients need a certificate"),
        TritonFlag("grpc-server-cert", v.text, _GRPC, "the server's certificate"),
        TritonFlag("grpc-server-key", v.text, _GRPC, "the server's key"),
        TritonFlag("grpc-root-cert", v.text, _GRPC, "the certificate that clients' certificates are checked with"),
        TritonFlag("grpc-infer-response-compression-level",
                   v.one_of("--grpc_infer_response_compression_level", "none", "low", "medium", "high"), _GRPC,
                   "how much responses are compressed"),
        TritonFlag("grpc-keepalive-time", v.integer(), _GRPC, "milliseconds between keepalive pings"),
        TritonFlag("grpc-keepalive-timeout", v.integer(), _GRPC, "milliseconds to wait for a ping's answer"),
        TritonFlag("grpc-keepalive-permit-without-calls", v.boolean, _GRPC, "whether to ping without calls"),
        TritonFlag("grpc-http2-max-pings-without-data", v.integer(), _GRPC, "pings without data in between"),
        TritonFlag("grpc-http2-min-recv-ping-interval-without-data", v.integer(), _GRPC,
                   "milliseconds between two pings of a client"),
        TritonFlag("grpc-http2-max-ping-strikes", v.integer(), _GRPC, "bad pings until a client is cut off"),
        TritonFlag("grpc-max-connection-age", v.integer(), _GRPC, "milliseconds that a connection may live"),
        TritonFlag("grpc-max-connection-age-grace", v.integer(), _GRPC, "milliseconds more for calls in flight"),
        TritonFlag("grpc-restricted-protocol", v.restricted("--grpc-restricted-protocol"), _GRPC,
                   "calls that want a secret in their metadata"),
    ),
    "SageMaker": (
        TritonFlag("allow-sagemaker", v.boolean,
                   Refused("the SageMaker endpoint is not offered by this version of tritium", allows=(False,)),
                   "whether to listen for SageMaker"),
        TritonFlag("sagemaker-port", v.port, _SAGEMAKER, "the port to listen on"),
        TritonFlag("sagemaker-safe-port-range", v.pair("-", v.port, v.port), _SAGEMAKER, "ports of other endpoints"),
        TritonFlag("sagemaker-thread-count", v.integer(), _SAGEMAKER, "threads that serve SageMaker"),
    ),
    "Vertex AI": (
        TritonFlag("allow-vertex-ai", v.boolean,
                   Refused("the Vertex AI endpoint is not offered by this version of tritium", allows=(False,)),
                   "whether to listen for Vertex AI"),
        TritonFlag("vertex-ai-port", v.port, _VERTEX, "the port to listen on"),
        TritonFlag("vertex-ai-thread-count", v.integer(), _VERTEX, "threads that serve Vertex AI"),
        TritonFlag("vertex-ai-default-model", v.text, _VERTEX, "the model of requests that name none"),
    ),
    "Metrics": (
        TritonFlag("allow-metrics", v.boolean, Works("metrics.enabled"), "whether to offer Prometheus metrics"),
        TritonFlag("allow-gpu-metrics", v.boolean,
                   Refused("GPU metrics are not offered by this version of tritium", allows=(False,),
                           moot_without="allow-metrics"),
                   "whether to offer metrics of GPUs"),
        TritonFlag("allow-cpu-metrics", v.boolean, Works("metrics.cpu"), "whether to offer metrics of CPU and memory"),
        TritonFlag("metrics-address", v.text, Works("metrics.address"), "the address to listen on"),
        TritonFlag("metrics-port", v.port, Works("metrics.port"), "the port to listen on"),
        TritonFlag("metrics-interval-ms", v.number, NoEffect("metrics are taken when they are asked for"),
                   "milliseconds between two measurements"),
        TritonFlag("metrics-config", v.metrics_config,
                   Refused("settings of metrics are not offered by this version of tritium",
                           allows=("counter_latencies=true", "summary_latencies=false", "histogram_latencies=false"),
                           moot_without="allow-metrics"),
                   "which kinds of metrics to offer"),
    ),
    "Tracing": (
        TritonFlag("trace-config", v.text, Refused(_TRACE.reason, allows=("level=OFF",)), "what to trace"),
    ),
    "Backends": (
        TritonFlag("backend-directory", v.text, NoEffect(_PACKAGES), "where shared libraries of backends are"),
        TritonFlag("backend-config", v.backend_config, Works("backend_config", repeated=True),
                   "a setting of a backend (<backend>,<key>=<value>) or of all (<key>=<value>); may be repeated"),
        TritonFlag("repoagent-directory", v.text,
                   NoEffect("there are no repository agents; a model that names one is refused"),
                   "where shared libraries of repository agents are"),
    ),
    "Response cache": (
        TritonFlag("cache-config", v.cache_config, Refused(_CACHE), "a setting of a cache"),
        TritonFlag("cache-directory", v.text, NoEffect("a cache would come with tritium"),
                   "where shared libraries of caches are"),
    ),
    "Rate limiter": (
        TritonFlag("rate-limit", v.one_of("--rate-limit", "execution_count", "off"),
                   Refused("rate limiting is not offered by this version of tritium", allows=("off",)),
                   "how instances share resources"),
        TritonFlag("rate-limit-resource", v.rate_limit_resource,
                   Refused("rate limiting is not offered by this version of tritium"), "how much of a resource there is"),
    ),
    "Memory and devices": (
        TritonFlag("pinned-memory-pool-byte-size", v.size, _NO_GPU, "bytes of pinned memory"),
        TritonFlag("cuda-memory-pool-byte-size", v.pair(":", v.integer(0), v.size), _NO_GPU, "bytes on each GPU"),
        TritonFlag("cuda-virtual-address-size", v.pair(":", v.integer(0), v.size), _NO_GPU,
                   "bytes of address space of states on each GPU"),
        TritonFlag("min-supported-compute-capability", v.number, _NO_GPU, "the oldest GPU to use"),
        TritonFlag("buffer-manager-thread-count", v.integer(),
                   NoEffect("inputs and outputs are copied once at most, where they are used"),
                   "threads that copy tensors"),
        TritonFlag("host-policy", v.host_policy,
                   Refused("host policies are not offered by this version of tritium"),
                   "NUMA nodes and cores of instances"),
        TritonFlag("model-load-gpu-limit", v.pair(":", v.integer(0), v.number),
                   Refused("a limit of GPU memory is not offered by this version of tritium"),
                   "how full a GPU may be for a model to be loaded"),
        TritonFlag("allow-client-shm", v.boolean,
                   Refused("shared memory with clients is not offered by this version of tritium", allows=(False,)),
                   "whether clients may register shared memory"),
    ),
    "Deprecated": (
        TritonFlag("strict-model-config", v.boolean, Works("disable_auto_complete_config"),
                   "true as --disable-auto-complete-config", replaced_by="--disable-auto-complete-config"),
        TritonFlag("response-cache-byte-size", v.size, Refused(_CACHE, allows=(0,)), "bytes of the response cache",
                   replaced_by="--cache-config"),
        TritonFlag("trace-file", v.text, _TRACE, "where traces are written", replaced_by="--trace-config"),
        TritonFlag("trace-level", v.trace_level, Refused(_TRACE.reason, allows=("OFF",)), "what to trace",
                   replaced_by="--trace-config"),
        TritonFlag("trace-rate", v.integer(), _TRACE, "one request in how many", replaced_by="--trace-config"),
        TritonFlag("trace-count", v.integer(), _TRACE, "how many requests", replaced_by="--trace-config"),
        TritonFlag("trace-log-frequency", v.integer(), _TRACE, "traces in one file", replaced_by="--trace-config"),
    ),
}  # fmt: skip


def all_flags() -> Iterator[TritonFlag]:
    """Every flag, group by group."""
    for flags in GROUPS.values():
        yield from flags
