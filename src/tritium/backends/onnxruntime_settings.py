"""What config.pbtxt may say to ONNX Runtime, read and checked; the keys are Triton's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tritium.core.model_config import ModelConfig, ModelParameter
from tritium.errors import ConfigError

GraphLevel = Literal["all", "basic", "extended", "none"]

# As Triton documents optimization { graph { level } }: not in the order of effort.
_GRAPH_LEVELS: Mapping[int, GraphLevel] = {0: "all", -1: "basic", 1: "extended", 2: "none"}
_MAX_THREADS = 1024  # a judgement of ours: more is a slip of the keyboard, and would take the machine down
_ARENA_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
_SPINNING = "session.intra_op.allow_spinning"
_INTRA_THREADS = "intra_op_thread_count"
_OWN_KEYS = (
    "inter_op_thread_count", "execution_mode", "enable_mem_arena", "enable_mem_pattern", _ARENA_SHRINKAGE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How one session is made. Thread counts of 0 let ONNX Runtime choose."""

    intra_op_threads: int
    inter_op_threads: int
    parallel: bool
    memory_arena: bool
    memory_pattern: bool
    arena_shrinkage: str  # allocators to shrink after each run, "cpu:0"; empty for none
    graph_level: GraphLevel
    session_entries: Mapping[str, str]


def session_settings(config: ModelConfig, intra_op_threads: int, available: Sequence[str]) -> SessionSettings:
    """The settings of one instance of ``config``.

    Args:
        intra_op_threads: the instance's share of the cores; the configuration may say otherwise.
        available: the execution providers of the installed ONNX Runtime, for the error text.

    Raises:
        ConfigError: a parameter has a value that it cannot have.
    """
    _check_accelerators(config, available)
    read = _Parameters(config.name, config.parameters)
    arena = read.flag("enable_mem_arena", default=True)
    return SessionSettings(
        intra_op_threads=read.threads(_INTRA_THREADS, default=intra_op_threads),
        inter_op_threads=read.threads("inter_op_thread_count", default=0),
        parallel=read.flag("execution_mode", default=False),
        memory_arena=arena,
        memory_pattern=read.flag("enable_mem_pattern", default=True),
        arena_shrinkage=read.arena_shrinkage(arena),
        graph_level=_graph_level(config),
        session_entries=read.session_entries(),
    )


def threads_elsewhere(config: ModelConfig, intra_op_threads: int, engine: str) -> int:
    """The threads of one instance of ``config`` on another ``engine``; 0 lets it choose.

    Raises:
        ConfigError: a setting is for ONNX Runtime only, or has a value that it cannot have.
    """
    own = [key for key in config.parameters if key in _OWN_KEYS or key.startswith("session.")]
    if own:
        raise ConfigError(
            f"model '{config.name}': the parameters {', '.join(own)} are for ONNX Runtime, but {engine} runs "
            "it; remove them, or the parameter xrt"
        )
    if _graph_level(config) != "all":
        raise ConfigError(
            f"model '{config.name}': optimization.graph.level is for ONNX Runtime, but {engine} runs it; "
            "remove it, or the parameter xrt"
        )
    _check_accelerators(config, (engine,))
    return _Parameters(config.name, config.parameters).threads(_INTRA_THREADS, default=intra_op_threads)


@dataclass(frozen=True, slots=True)
class _Parameters:
    model: str
    values: Mapping[str, ModelParameter]

    def threads(self, key: str, default: int) -> int:
        text = self._text(key)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit()) or int(text) > _MAX_THREADS:
            raise self._error(
                key, text, f"a whole number from 0 (let ONNX Runtime choose) to {_MAX_THREADS}", "2"
            )
        return int(text)

    def flag(self, key: str, default: bool) -> bool:
        text = self._text(key)
        if text is None:
            return default
        if text not in ("0", "1"):
            meaning = "0 (sequential) or 1 (parallel)" if key == "execution_mode" else "0 (off) or 1 (on)"
            raise self._error(key, text, meaning, "1")
        return text == "1"

    def arena_shrinkage(self, arena: bool) -> str:
        text = self._text(_ARENA_SHRINKAGE)
        if not text:
            return ""
        if text not in ("cpu", "cpu:0"):
            raise self._error(_ARENA_SHRINKAGE, text, "cpu:0, the one device here", "cpu:0")
        if not arena:
            raise ConfigError(
                f"model '{self.model}': parameter '{_ARENA_SHRINKAGE}' is '{text}' but enable_mem_arena is "
                "0, so there is no arena to shrink; remove one of the two"
            )
        return text

    def session_entries(self) -> Mapping[str, str]:
        """Entries for ONNX Runtime's session configuration, with tritium's defaults."""
        # Threads that spin between runs take the cores from other instances and from the server's loop.
        # Style transfer at 256x256 on 2 cores, 2 threads each, runs/s without and with spinning: 2 instances
        # 41-44 and 26-34, 1 instance 36-38 and 41-42.
        entries = {_SPINNING: "0"}
        for key in self.values:
            if not key.startswith("session."):
                continue
            text = self._text(key) or ""
            if not text:
                raise self._error(
                    key, text, "a value for ONNX Runtime's session configuration entry of that name", "1"
                )
            if key.endswith(".allow_spinning") and text not in ("0", "1"):
                raise self._error(key, text, "0 (off) or 1 (on)", "1")
            entries[key] = text
        return entries

    def _text(self, key: str) -> str | None:
        parameter = self.values.get(key)
        return None if parameter is None else parameter.string_value.strip()

    def _error(self, key: str, got: str, allowed: str, example: str) -> ConfigError:
        return ConfigError(
            f"model '{self.model}': parameter '{key}' is '{got}' but must be {allowed}; write "
            f'parameters {{ key: "{key}" value {{ string_value: "{example}" }} }}'
        )


def _graph_level(config: ModelConfig) -> GraphLevel:
    graph = config.optimization.graph if config.optimization is not None else None
    level = graph.level if graph is not None else 0
    found = _GRAPH_LEVELS.get(level)
    if found is None:
        raise ConfigError(
            f"model '{config.name}': optimization.graph.level is {level} but must be -1 (basic), 0 (all), 1 "
            "(extended) or 2 (none); write optimization { graph { level: 1 } }"
        )
    return found


def _check_accelerators(config: ModelConfig, available: Sequence[str]) -> None:
    accelerators = config.optimization.execution_accelerators if config.optimization is not None else None
    if accelerators is None:
        return
    for accelerator in (*accelerators.gpu_execution_accelerator, *accelerators.cpu_execution_accelerator):
        raise ConfigError(
            f"model '{config.name}': optimization.execution_accelerators asks for '{accelerator.name}', but "
            f"models run on onnxruntime's CPUExecutionProvider here (installed: {', '.join(available)}); "
            "remove the accelerator"
        )
