"""What a server says when it has started: Triton's tables, and where it listens. Pure: text in, text out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tritium.options import ServerOptions

BUILT_IN = "builtin"  # the path of a backend that is part of tritium
_RATE_LIMITS = {"off": "OFF", "execution_count": "EXEC_COUNT"}
_CONTROL_MODES = {"none": "MODE_NONE", "poll": "MODE_POLL", "explicit": "MODE_EXPLICIT"}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a frame, and an empty line below it.

    A cell of several lines takes as many rows. Characters that cannot be printed are shown escaped, so that a
    cell cannot break out of its frame.
    """
    physical = [line for row in rows for line in _physical(row)]
    widths = [max(len(line[column]) for line in [header, *physical]) for column in range(len(header))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    lines = [_framed(line, widths) for line in physical]
    return "\n".join([rule, _framed(header, widths), rule, *lines, rule, ""])


def _physical(row: Sequence[str]) -> list[list[str]]:
    cells = [[_printable(line) for line in cell.rstrip("\n").split("\n")] for cell in row]
    height = max(map(len, cells))
    return [[cell[index] if index < len(cell) else "" for cell in cells] for index in range(height)]


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def _framed(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "|" + "|".join(f" {cell:<{width}} " for cell, width in zip(cells, widths, strict=True)) + "|"


def repository_agent_table() -> str:
    """Triton's table of repository agents; there are none."""
    return table(("Repository Agent", "Path"), [])


def backend_table(rows: Sequence[tuple[str, str, str]]) -> str:
    """The backends in use: name, path (``BUILT_IN`` or a package's name), configuration."""
    return table(("Backend", "Path", "Config"), rows)


def backend_rows(
    names: Iterable[str], options: ServerOptions, *, paths: Mapping[str, str] = MappingProxyType({})
) -> list[tuple[str, str, str]]:
    """The rows of ``backend_table`` for backends ``names``, with the settings that each was given.

    Args:
        paths: of backends that are not part of tritium.
    """
    return [(name, paths.get(name, BUILT_IN), _backend_config(name, options)) for name in sorted(set(names))]


def _backend_config(name: str, options: ServerOptions) -> str:
    auto_complete = "false" if options.disable_auto_complete_config else "true"
    settings = {"auto-complete-config": auto_complete, "default-max-batch-size": "4"}
    settings |= options.backend_config.get("", {})
    settings |= options.backend_config.get(name, {})
    return json.dumps({"cmdline": settings}, separators=(",", ":"))


def model_table(rows: Sequence[tuple[str, str, str]]) -> str:
    """The models: name, version, status as from ``status_cell``. In the order of ``rows``."""
    return table(("Model", "Version", "Status"), rows)


def status_cell(state: str, reason: str = "") -> str:
    """The status of one version: ``READY``, or ``UNAVAILABLE: <Code>: <message>``."""
    return f"{state}: {reason}" if reason else state


def option_table(rows: Sequence[tuple[str, str]]) -> str:
    """The options: name, value."""
    return table(("Option", "Value"), rows)


def option_rows(options: ServerOptions, *, version: str, extensions: Sequence[str]) -> list[tuple[str, str]]:
    """Triton's options in Triton's order, with this server's values.

    Memory pools and compute capability are 0: tritium has no pools of its own and drives no GPU itself.
    """
    repositories = [
        (f"model_repository_path[{i}]", str(path)) for i, path in enumerate(options.model_repositories)
    ]
    explicit = options.model_control_mode == "explicit"
    startup = ("*",) if options.startup_models is None else options.startup_models
    startup_models = [(f"startup_models_{i}", name) for i, name in enumerate(startup)] if explicit else []
    return [
        ("server_id", options.server_id),
        ("server_version", version),
        ("server_extensions", " ".join(extensions)),
        *repositories,
        ("model_control_mode", _CONTROL_MODES[options.model_control_mode]),
        *startup_models,
        ("strict_model_config", _bit(options.disable_auto_complete_config)),
        ("model_config_name", options.model_config_name or ""),
        ("rate_limit", _RATE_LIMITS[options.rate_limit]),
        ("pinned_memory_pool_byte_size", "0"),
        ("min_supported_compute_capability", "0.0"),
        ("strict_readiness", _bit(options.strict_readiness)),
        ("exit_timeout", f"{options.exit_timeout_s:g}"),
        ("cache_enabled", _bit(bool(options.cache_config))),
    ]


def _bit(value: bool) -> str:
    return "1" if value else "0"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port that a listener is bound to."""

    address: str
    port: int

    @property
    def url(self) -> str:
        """The address as a person on this machine would type it."""
        return f"http://{self.place}"

    @property
    def place(self) -> str:
        """Host and port, as clients of other protocols want them."""
        host = "localhost" if self.address in ("", "0.0.0.0", "::") else self.address
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def ready_line(
    ready: int,
    total: int,
    *,
    http: Endpoint | None = None,
    grpc: Endpoint | None = None,
    metrics: Endpoint | None = None,
) -> str:
    """The friendly last line: how many of ``total`` models serve, and where."""
    models = "1 model" if total == 1 else f"{total} models"
    serving = f"Serving {models}" if ready == total else f"Serving {ready} of {models}"
    places = [f"HTTP at {http.url}"] if http else []
    places += [f"gRPC at {grpc.place}"] if grpc else []
    places += [f"metrics at {metrics.url}/metrics"] if metrics else []
    return f"{serving}; {', '.join(places) or 'no listener is open'}"
