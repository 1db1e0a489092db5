"""The rules of a configuration that has been named, completed and normalised.

The cause is in Triton's words where it has words for it, as the index and the load answer show them; what
follows a semicolon or a full stop says what to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tritium.config.document import document_of
from tritium.config.names import check_file_name, check_model_name, shown
from tritium.config.platforms import ENSEMBLE, KNOWN_PLATFORMS
from tritium.config.validate_ensemble import check_ensemble
from tritium.config.validate_schedulers import check_dynamic_batching, check_sequence_batching
from tritium.config.validate_tensors import check_tensors
from tritium.core.model_config import ModelConfig, ModelInstanceGroup
from tritium.errors import ConfigError

EXECUTION_PARAMETER = "TRITIUM_EXECUTION"
_EXECUTIONS = ("thread", "process")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_OWN_LABELS = ("model", "version", "reason")
_MAX_INSTANCES = 1024  # per group; Triton has no bound and would try to make two thousand million


def check(config: ModelConfig, *, gpus: Sequence[int] = ()) -> None:
    """Refuse a configuration that cannot be served. Files are not looked at (``check_files`` does that).

    Args:
        gpus: the usable devices.

    Raises:
        ConfigError: the first rule that is broken.
    """
    check_model_name(config.name)
    check_file_names(config)
    _check_printable(document_of(config), "", config.name)
    _check_platform(config)
    _check_batch_size(config)
    if config.dynamic_batching is not None:
        check_dynamic_batching(config, config.dynamic_batching)
    if config.sequence_batching is not None:
        check_sequence_batching(config, config.sequence_batching)
    if config.is_ensemble:
        check_ensemble(config)
    _check_cache(config)
    _check_parameters(config)
    _check_metric_tags(config)
    check_tensors(config)
    for group in config.instance_group:
        _check_group(config.name, group, gpus)


def _check_printable(value: object, where: str, model: str) -> None:
    """Names reach logs, headers and metric labels: none may hold a line break. Parameters' values may."""
    if isinstance(value, str) and not value.isprintable():
        raise ConfigError(
            f"'{where}' of {model} is '{shown(value)}', which holds characters that cannot be printed; "
            "remove them"
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_printable(key, where, model)
            if not (where.endswith("parameters") and isinstance(item, str)) and key != "string_value":
                _check_printable(item, f"{where}.{key}".lstrip("."), model)
    elif isinstance(value, list):
        for item in value:
            _check_printable(item, where, model)


def _check_platform(config: ModelConfig) -> None:
    name = config.name
    if config.ensemble_scheduling is not None and config.platform != ENSEMBLE:
        raise ConfigError(
            f"ensemble scheduling cannot be set for model '{name}' whose platform is not {ENSEMBLE}; write "
            f'platform: "{ENSEMBLE}"'
        )
    if config.platform == ENSEMBLE and config.backend:
        raise ConfigError(
            f"ensemble {name} has backend '{config.backend}', but ensembles have none; remove it"
        )
    if not config.platform and not config.backend:
        raise ConfigError(
            f"must specify 'platform' or 'backend' for {name}; write one, for example backend: "
            '"onnxruntime"'
        )
    if not config.backend and config.platform not in KNOWN_PLATFORMS:
        raise ConfigError(
            f"unexpected platform type '{config.platform}' for {name}; write a 'backend' instead, or one of "
            f"the platforms {', '.join(sorted(KNOWN_PLATFORMS))}"
        )


def _check_batch_size(config: ModelConfig) -> None:
    if config.max_batch_size < 0:
        raise ConfigError(
            f"'max_batch_size' must be non-negative value for {config.name}; write 0 for a model without a "
            "batch dimension"
        )


def check_file_names(config: ModelConfig) -> None:
    """Refuse files outside the model's directory; to be asked before the first of them is opened.

    Raises:
        ConfigError: names the field.
    """
    for field, value in _file_names(config):
        check_file_name(field, value, config.name)


def _file_names(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Every value of a configuration that names a file, with its field."""
    yield "runtime", config.runtime
    yield "default_model_filename", config.default_model_filename
    for capability, file in config.cc_model_filenames.items():
        yield f"cc_model_filenames[{capability}]", file
    for output in config.output:
        yield "label_filename", output.label_filename
    for library in config.model_operations.op_library_filename if config.model_operations else ():
        yield "op_library_filename", library
    for sample in config.model_warmup:
        for data in sample.inputs.values():
            yield "input_data_file", data.input_data_file or ""
    for state in config.sequence_batching.state if config.sequence_batching else ():
        for initial in state.initial_state:
            yield "data_file", initial.data_file or ""


def _check_cache(config: ModelConfig) -> None:
    if not config.caches_responses:
        return
    conflict = ""
    if config.sequence_batching is not None:
        conflict = "sequence batching scheduler"
    elif config.decoupled:
        conflict = "'decoupled' transaction policy"
    if conflict:
        raise ConfigError(
            f"Response Cache does not currently support model {config.name} with {conflict}. Please disable "
            "the response cache."
        )


def _check_parameters(config: ModelConfig) -> None:
    for key, parameter in config.parameters.items():
        if not key.strip():
            raise ConfigError(f"parameter '{key}' of {config.name} must have a key; write what it is for")
        if "\0" in parameter.string_value:
            raise ConfigError(f"parameter '{key}' of {config.name} holds a NUL character; remove it")
        if key == EXECUTION_PARAMETER and parameter.string_value not in _EXECUTIONS:
            raise ConfigError(
                f"parameter '{key}' of {config.name} is '{shown(parameter.string_value)}'; write one of "
                f"{', '.join(_EXECUTIONS)}"
            )


def _check_metric_tags(config: ModelConfig) -> None:
    """Tags become labels, so their keys must be names that Prometheus takes."""
    for key in config.metric_tags:
        if not _LABEL.fullmatch(key) or key in _OWN_LABELS:
            raise ConfigError(
                f"metric_tags of {config.name} has key '{ascii(key)[1:-1]}'; write letters, digits "
                f"and underscores, none of {', '.join(_OWN_LABELS)}"
            )


def _check_group(model: str, group: ModelInstanceGroup, gpus: Sequence[int]) -> None:
    prefix = f"instance group {group.name} of model {model}"
    if group.count > _MAX_INSTANCES:
        raise ConfigError(f"{prefix} has count {group.count}, expected at most {_MAX_INSTANCES}")
    if group.kind in ("KIND_CPU", "KIND_MODEL"):
        if group.gpus:
            raise ConfigError(
                f"{prefix} has kind {group.kind} but specifies one or more GPUs. Remove gpus, or use a "
                "machine that has them and kind KIND_GPU"
            )
        return
    if not group.gpus:
        raise ConfigError(
            f"{prefix} has kind {group.kind} but no GPUs are available. Change kind to KIND_CPU or "
            "KIND_AUTO, or remove it, or serve it on the CPU by --cpu-fallback"
        )
    unknown = [gpu for gpu in group.gpus if gpu not in gpus]
    if unknown:
        # Triton's words, with the list of usable devices at the end; it is empty on a machine without GPUs.
        listed = "".join(f"{gpu} " for gpu in gpus)
        raise ConfigError(
            f"{prefix} specifies invalid or unsupported gpu id {unknown[0]}. GPUs with at least the minimum "
            f"required CUDA compute compatibility of 6.000000 are: {listed}"
            + (
                ""
                if gpus
                else "none. Change kind to KIND_CPU or KIND_AUTO, and remove gpus, or "
                "serve it on the CPU by --cpu-fallback"
            )
        )
