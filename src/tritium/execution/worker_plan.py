"""How the workers of one model are started, what they load, and how they are looked after."""

from __future__ import annotations

from dataclasses import dataclass

from tritium.environments.interpreter import Interpreter
from tritium.execution.flights import Retry
from tritium.execution.recycler import RecycleLimits


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How the workers of one model are started and what they load."""

    interpreter: Interpreter
    model: dict[str, str]  # host, directory, version, filename, name
    args: dict[str, str]  # of TritonPythonModel.initialize, without the instance's name
    stopped_limit_s: float = 5.0  # a process that is stopped (SIGSTOP) this long is replaced
    stalled_limit_s: float = 10.0  # and one that sends a part of a message and nothing more
    execution_timeout_s: float | None = None
    retry: Retry = Retry.NEIGHBOURS
    recycle: RecycleLimits | None = None
    stateful: bool = False  # its requests need what earlier ones left in the same process
    load_timeout_s: float | None = None
    in_order: bool = (
        False  # requests run one by one as they came, so nothing is lost by taking some in advance
    )
    native: bool = False  # an engine that writes to standard error why it ends, and takes all cores it sees
