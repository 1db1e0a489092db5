"""The parameters of config.pbtxt that say how the workers of a model are looked after."""

from __future__ import annotations

from dataclasses import replace

from tritium.core.model_config import ModelConfig
from tritium.errors import ConfigError
from tritium.execution.flights import Retry
from tritium.execution.recycler import RecycleLimits
from tritium.execution.worker_plan import WorkerPlan

EXECUTION_TIMEOUT_PARAMETER = "TRITIUM_EXECUTION_TIMEOUT_SECS"
RETRY_PARAMETER = "TRITIUM_RETRY"
RECYCLE_REQUESTS_PARAMETER = "TRITIUM_RECYCLE_AFTER_REQUESTS"
RECYCLE_SIZE_PARAMETER = "TRITIUM_RECYCLE_ABOVE_MB"
_ALL = (EXECUTION_TIMEOUT_PARAMETER, RETRY_PARAMETER, RECYCLE_REQUESTS_PARAMETER, RECYCLE_SIZE_PARAMETER)
_IDEMPOTENT = "idempotent"


def plan_for(plan: WorkerPlan, config: ModelConfig, execution_timeout_s: float | None) -> WorkerPlan:
    """``plan`` with what the configuration asks for.

    Args:
        execution_timeout_s: where the configuration gives none.

    Raises:
        ConfigError: a parameter has a value that means nothing.
    """
    timeout_s = _number(config, EXECUTION_TIMEOUT_PARAMETER, "a number of seconds")
    requests = _number(config, RECYCLE_REQUESTS_PARAMETER, "a number of requests")
    megabytes = _number(config, RECYCLE_SIZE_PARAMETER, "a number of megabytes")
    recycle = None
    if requests is not None or megabytes is not None:
        recycle = RecycleLimits(
            None if requests is None else max(1, round(requests)),
            None if megabytes is None else round(megabytes * 2**20),
        )
    stateful = config.sequence_batching is not None
    if stateful and recycle is not None:
        given = RECYCLE_REQUESTS_PARAMETER if requests is not None else RECYCLE_SIZE_PARAMETER
        raise ConfigError(
            f"parameter '{given}' of {config.name}: a worker of a model with sequence_batching keeps state "
            "between requests, which would be lost with it; remove the parameter"
        )
    return replace(
        plan,
        stateful=stateful,
        execution_timeout_s=execution_timeout_s if timeout_s is None else timeout_s,
        retry=_retry(config),
        recycle=recycle,
        in_order=config.dynamic_batching is None and config.sequence_batching is None,
    )


def refuse_in_threads(config: ModelConfig, backend: str) -> None:
    """Threads cannot be ended, so nothing of this is possible there.

    Raises:
        ConfigError: names the parameter.
    """
    for name in _ALL:
        if name in config.parameters:
            raise ConfigError(
                f"parameter '{name}' of {config.name}: backend '{backend}' runs in threads, which cannot be "
                "ended; remove the parameter"
            )


def _retry(config: ModelConfig) -> Retry:
    stateful = config.sequence_batching is not None
    parameter = config.parameters.get(RETRY_PARAMETER)
    if parameter is None:
        return Retry.NONE if stateful else Retry.NEIGHBOURS
    if parameter.string_value != _IDEMPOTENT:
        raise ConfigError(
            f"parameter '{RETRY_PARAMETER}' of {config.name} is '{parameter.string_value}'; write "
            f"'{_IDEMPOTENT}', or remove the parameter"
        )
    if stateful:
        raise ConfigError(
            f"parameter '{RETRY_PARAMETER}' of {config.name}: a model with sequence_batching keeps state "
            "between requests, and none of them can be run again; remove the parameter"
        )
    return Retry.ALL


def _number(config: ModelConfig, name: str, what: str) -> float | None:
    parameter = config.parameters.get(name)
    if parameter is None:
        return None
    try:
        number = float(parameter.string_value)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise ConfigError(
            f"parameter '{name}' of {config.name} is '{parameter.string_value}'; write {what} greater than 0"
        )
    return number
