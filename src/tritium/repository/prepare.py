"""From a model directory to a configuration that can be served: read, complete, check. Blocking."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tritium.backends.api import Backend, BackendChoice, WorkerBackend
from tritium.backends.oneflow_xrt import XRT_PARAMETER
from tritium.backends.python import python_based_backend
from tritium.backends.registry import backend_named
from tritium.config.autocomplete import can_batch, merge
from tritium.config.cpu_fallback import on_cpu
from tritium.config.defaults import normalize, with_name
from tritium.config.initial_states import read_initial_states
from tritium.config.labels import check_files
from tritium.config.pbtxt import config_from_json, read_config
from tritium.config.platforms import complete_backend, fill_platform, version_entries
from tritium.config.unsupported import PYTHON_RUNTIME, check_supported
from tritium.config.validate import EXECUTION_PARAMETER, check, check_file_names
from tritium.core.model_config import ModelConfig, ModelParameter
from tritium.core.tensor import Tensor
from tritium.environments.python import check_sent
from tritium.errors import ConfigError, InvalidArgumentError, TritiumError
from tritium.repository.scan import ModelEntry
from tritium.repository.versions import NoVersionError, select_versions

logger = logging.getLogger("tritium.repository")

DEFAULT_MAX_BATCH_SIZE = 4  # Triton's --backend-config=default-max-batch-size
_ONNXRUNTIME_CPU_INSTANCES = 2  # Triton's onnxruntime backend without an instance_group


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """How configurations are completed."""

    auto_complete: bool = True
    default_max_batch_size: int = DEFAULT_MAX_BATCH_SIZE
    cpu_fallback: bool = False  # instance groups that ask for GPUs run on the CPU
    xrt: Mapping[str, str] = field(default_factory=dict)  # what runs OneFlow models without a configuration
    backend_settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by backend
    backend_directory: Path | None = None  # of python-based backends


@dataclass(frozen=True, slots=True)
class Draft:
    """A configuration as the user wrote it, with its backend known.

    With a ``problem`` there is none of its name, and no version can be loaded.
    """

    config: ModelConfig
    backend: Backend | None  # None for an ensemble
    versions: tuple[int, ...]
    problem: TritiumError | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that is complete and checked."""

    config: ModelConfig
    labels: Mapping[str, tuple[str, ...]]
    initial_states: Mapping[str, Tensor] = field(default_factory=dict)  # of sequences, by input name


def draft(entry: ModelEntry, options: PrepareOptions) -> Draft:
    """Read the configuration of ``entry`` and find its backend and versions.

    Raises:
        TritiumError: the directory holds nothing that can be served.
    """
    if entry.problem is not None:
        raise ConfigError(entry.problem)
    config = _given(entry, options.xrt.get(entry.name))
    config = fill_platform(with_name(config, entry.name))
    check_file_names(config)
    if entry.config_json is not None:
        check_sent(config, _on_disk(entry), entry.directory)
    if not config.is_ensemble and options.auto_complete:
        config = complete_backend(config, _entries(entry))
    policy = normalize(config).version_policy
    assert policy is not None
    selection = select_versions(policy, entry.versions, entry.name)
    for warning in (*entry.warnings, *selection.warnings):
        logger.warning("%s", warning)
    if not selection.versions:
        raise NoVersionError(entry.name)
    if config.is_ensemble:
        return Draft(config, None, selection.versions)
    try:
        backend = _backend(config, options)
    except TritiumError as problem:
        return Draft(config, None, selection.versions, problem)
    if isinstance(backend, WorkerBackend) and backend.script is not None:
        config = replace(config, runtime=PYTHON_RUNTIME)
    return Draft(config, backend, selection.versions)


def _backend(config: ModelConfig, options: PrepareOptions) -> Backend:
    """The backend that ``config`` names: one of this server, or a python-based one.

    Raises:
        TritiumError: there is none.
    """
    shared = None
    if options.backend_directory is not None:
        shared = python_based_backend(
            config.backend, options.backend_directory, options.backend_settings.get("python", {})
        )
    if shared is not None:
        return shared
    if config.runtime == PYTHON_RUNTIME:
        raise InvalidArgumentError(
            f"unable to find Python backend based backend library '{PYTHON_RUNTIME}' for model "
            f"'{config.name}', searched: '{config.backend}/{PYTHON_RUNTIME}' in --backend-directory"
        )
    return backend_named(config.backend, options.backend_settings.get(config.backend, {}))


def _given(entry: ModelEntry, xrt: str | None) -> ModelConfig:
    """What the user says: a load request, the file, or else what the command line says of the model."""
    if entry.config_json is not None:
        return config_from_json(entry.config_json, "parameter 'config'")
    if entry.config_text is not None:
        if xrt is not None:
            logger.warning(
                "--enable-%s %s has no effect, because the model has a configuration; say it there: "
                'parameters { key: "xrt" value { string_value: "%s" } }',
                xrt, entry.name, xrt,
            )  # fmt: skip
        return read_config(entry.config_text, entry.config_file)
    if xrt is None:
        return ModelConfig()
    return ModelConfig(backend="oneflow", parameters={XRT_PARAMETER: ModelParameter(xrt)})


def _on_disk(entry: ModelEntry) -> ModelConfig:
    """What the model's own file says, as far as it can be read."""
    try:
        return read_config(entry.config_text or "", entry.config_file)
    except ConfigError:
        return ModelConfig()


def _entries(entry: ModelEntry) -> frozenset[str]:
    """What the first version directory (in the order of their names) holds."""
    if not entry.versions:
        return frozenset()
    return version_entries(entry.directory / min(map(str, entry.versions)))


def choose_engine(entry: ModelEntry, found: Draft, version: int) -> Draft:
    """``found`` with the engine for one version, where the backend has several.

    Raises:
        TritiumError: none of them can run it, or it has not the execution that the configuration asks for.
    """
    backend = found.backend
    if isinstance(backend, BackendChoice):
        path = entry.directory / str(version) / found.config.default_model_filename
        backend = backend.choose(found.config, path)
    _check_execution(found.config, backend)
    return replace(found, backend=backend)


def complete(entry: ModelEntry, found: Draft, options: PrepareOptions) -> ModelConfig:
    """The configuration completed from the model file, for backends that read it in this process.

    Args:
        found: with an engine, as ``choose_engine`` gives it.

    Raises:
        TritiumError: the file cannot be read, or contradicts the configuration.
    """
    config = found.config
    backend = found.backend
    assert not isinstance(backend, BackendChoice)
    reader = backend.reader if isinstance(backend, WorkerBackend) else backend
    if reader is None or not options.auto_complete:
        return config
    path = entry.directory / str(found.versions[-1]) / config.default_model_filename
    description = reader.describe(config, path)
    completed = merge(
        config,
        description.inputs,
        description.outputs,
        can_batch((*description.inputs, *description.outputs)),
        default_max_batch_size=options.default_max_batch_size,
    )
    for warning in completed.warnings:
        logger.warning("%s", warning)
    return completed.config


def finish(entry: ModelEntry, config: ModelConfig, options: PrepareOptions) -> Prepared:
    """Normalise and check a completed configuration.

    Raises:
        ConfigError: the first rule that is broken.
    """
    if options.cpu_fallback:
        config, warnings = on_cpu(config)
        for warning in warnings:
            logger.warning("%s", warning)
    count = _ONNXRUNTIME_CPU_INSTANCES if config.backend == "onnxruntime" else 1
    config = normalize(config, default_instance_count=count)
    check(config)
    check_supported(config)
    return Prepared(
        config, check_files(config, entry.directory), read_initial_states(config, entry.directory)
    )


def _check_execution(config: ModelConfig, backend: Backend | None) -> None:
    """Refuse an execution that the backend does not have."""
    wanted = config.parameters.get(EXECUTION_PARAMETER)
    if wanted is None:
        return
    here = "process" if isinstance(backend, WorkerBackend) else "thread"
    if wanted.string_value != here:
        raise ConfigError(
            f"parameter '{EXECUTION_PARAMETER}' of {config.name} is '{wanted.string_value}', but backend "
            f"'{config.backend}' runs by '{here}' only; remove the parameter"
        )
