"""Save networks by the real OneFlow, with inputs and the outputs of eager OneFlow beside them.

    python3.10 tests/oneflow/make_models.py DIRECTORY [NAME ...]

makes ``DIRECTORY/<name>/model`` (what ``oneflow.save`` writes) and ``DIRECTORY/<name>/reference.npz`` with
the arrays ``<batch>/input/<i>`` and ``<batch>/output/<i>``. Runs under the interpreter that OneFlow 0.9.0 is
installed in.
"""

# mypy: disable-error-code="import-not-found, misc"
from __future__ import annotations

import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from networks import NETWORKS, UNCOVERED, Network

import oneflow as flow
from oneflow import nn


class Saved(nn.Graph):
    """Any module as a graph."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def build(self, *tensors: Any) -> Any:
        return self.module(*tensors)


def save(name: str, network: Network, directory: Path) -> None:
    """Write one network and its reference; atomically, so that what is there is complete."""
    flow.manual_seed(7)
    random = np.random.default_rng(7)
    module = network.make().eval()
    _settle(module, random)
    arrays: dict[str, Any] = {}
    with flow.no_grad():
        for batch in sorted({network.saved_batch, *network.batches}):
            inputs = network.inputs(batch, random)
            outputs = _flat(module(*[flow.tensor(np.require(x, requirements="C")) for x in inputs]))
            arrays.update({f"{batch}/input/{i}": x for i, x in enumerate(inputs)})
            arrays.update({f"{batch}/output/{i}": y.numpy().copy() for i, y in enumerate(outputs)})
        graph = Saved(module)
        saved = [arrays[f"{network.saved_batch}/input/{i}"] for i in range(len(inputs))]
        graph._compile(*[flow.tensor(np.require(x, requirements="C")) for x in saved])
    made = directory / f".{name}"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    flow.save(graph, str(made / "model"))
    np.savez_compressed(made / "reference.npz", **arrays)
    shutil.rmtree(directory / name, ignore_errors=True)
    made.rename(directory / name)


def _settle(module: nn.Module, random: np.random.Generator) -> None:
    """Statistics and scales other than 0 and 1, so that a norm that forgets one is noticed."""
    for key, tensor in {**dict(module.named_buffers()), **dict(module.named_parameters())}.items():
        last = key.rsplit(".", 1)[-1]
        if last in ("running_var", "running_mean") or (len(tensor.shape) == 1 and last in ("weight", "bias")):
            values = random.uniform(0.6, 1.4, tuple(tensor.shape)) - (last in ("running_mean", "bias"))
            tensor.copy_(flow.tensor(values.astype(np.float32)))


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _flat(item)]
    return [value]


def main(directory: Path, names: list[str]) -> int:
    """Save the networks that are named, or all that are not there yet."""
    failed = 0
    networks = {**NETWORKS, **UNCOVERED}
    for name in names or [n for n in networks if not (directory / n).exists()]:
        try:
            save(name, networks[name], directory)
            print(f"saved {name}", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print(f"failed {name}", flush=True)
    return failed


if __name__ == "__main__":
    status = main(Path(sys.argv[1]), sys.argv[2:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(min(status, 1))  # OneFlow 0.9.0 aborts in an ordinary exit while a graph is alive
