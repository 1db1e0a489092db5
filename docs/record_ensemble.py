"""Record three requests on their way through an ensemble and draw them: ``python -m docs.record_ensemble``.

It writes ``pictures/ensemble.json``, the times as they were, and the picture made of it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tritonclient.http as http

from benchmarks.servers import tritium
from docs.draw_timeline import Bar, draw

_PICTURES = Path(__file__).with_name("pictures")
_TITLE = "three requests, 1 to 3, through an ensemble of four models"
_STEPS = {"prepare": (20, ("IN",)), "left": (30, ("a",)), "right": (60, ("a",)), "join": (30, ("b", "c"))}
_MADE = {"prepare": "a", "left": "b", "right": "c", "join": "OUT"}
_ARRIVALS_MS = (0, 10, 60)
# Works for so many milliseconds, and answers when it began and ended (monotonic seconds).
_MODEL = """
import time
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        began = time.monotonic()
        time.sleep({seconds})
        seen = np.array([[began, time.monotonic()]])
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUT", np.zeros((1, 1), np.float32)), pb_utils.Tensor("SEEN", seen)]
            )
            for _ in requests
        ]
"""


def main() -> int:
    """Record, and draw."""
    with tempfile.TemporaryDirectory() as directory:
        _write(Path(directory))
        with tritium(Path(directory)) as server, ThreadPoolExecutor(len(_ARRIVALS_MS)) as pool:
            address = f"127.0.0.1:{server.http_port}"
            _ask(address, 0.0)  # the first one of a connection is slower
            start = time.monotonic() + 0.3
            asked = [pool.submit(_ask, address, start + at_ms / 1000) for at_ms in _ARRIVALS_MS]
            seen = [each.result() for each in asked]
    bars = [
        Bar(
            name,
            _ms(seen[place][name][0], start),
            _ms(seen[place][name][1], start),
            f"{place + 1}",
            f"{place}",
        )
        for name in _STEPS
        for place in range(len(seen))
    ]
    run = {"title": _TITLE, "unit": "ms", "bars": [asdict(bar) for bar in _together(bars)]}
    _PICTURES.mkdir(exist_ok=True)
    (_PICTURES / "ensemble.json").write_text(json.dumps(run, indent=1) + "\n")
    (_PICTURES / "ensemble.svg").write_text(draw(_TITLE, _together(bars)))
    return 0


def _together(bars: list[Bar]) -> list[Bar]:
    """Bars of one batch as one."""
    found: dict[tuple[str, float, float], Bar] = {}
    for bar in bars:
        key = bar.lane, bar.start, bar.end
        other = found.get(key)
        if other is None:
            found[key] = bar
        else:
            found[key] = Bar(*key, f"{other.label} + {bar.label}", "together")
    return [*found.values()]


def _ms(moment: float, start: float) -> float:
    return round((moment - start) * 1000, 1)


def _ask(address: str, at: float) -> dict[str, tuple[float, float]]:
    """Send one request at a moment: when each of its steps ran."""
    client = http.InferenceServerClient(address)
    client.is_server_live()
    tensor = http.InferInput("IN", [1, 1], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 1), np.float32))
    time.sleep(max(0.0, at - time.monotonic()))
    result = client.infer("pipeline", [tensor])
    client.close()
    return {name: tuple(result.as_numpy(f"{name}_seen")[0].tolist()) for name in _STEPS}


def _write(repository: Path) -> None:
    outputs = [("OUT", "FP32", 1), *((f"{name}_seen", "FP64", 2) for name in _STEPS)]
    steps = []
    for name, (work_ms, reads) in _STEPS.items():
        inputs = [f"IN{place}" for place in range(len(reads))]
        maps = [f'input_map {{ key: "{i}" value: "{t}" }}' for i, t in zip(inputs, reads, strict=True)]
        maps.append(f'output_map {{ key: "OUT" value: "{_MADE[name]}" }}')
        maps.append(f'output_map {{ key: "SEEN" value: "{name}_seen" }}')
        steps.append(f'step {{ model_name: "{name}" model_version: -1 {" ".join(maps)} }}')
        made = [("OUT", "FP32", 1), ("SEEN", "FP64", 2)]
        config = f'backend: "python" {_tensors(inputs, made)} dynamic_batching {{ }}'
        _publish(repository / name, config, _MODEL.format(seconds=work_ms / 1000))
    config = f'platform: "ensemble" {_tensors(["IN"], outputs)} ensemble_scheduling {{ {" ".join(steps)} }}'
    _publish(repository / "pipeline", config)


def _tensors(inputs: list[str], outputs: list[tuple[str, str, int]]) -> str:
    given = [f'input {{ name: "{name}" data_type: TYPE_FP32 dims: 1 }}' for name in inputs]
    made = [
        f'output {{ name: "{name}" data_type: TYPE_{kind} dims: {size} }}' for name, kind, size in outputs
    ]
    return " ".join(["max_batch_size: 4", *given, *made])


def _publish(directory: Path, config: str, source: str = "") -> None:
    (directory / "1").mkdir(parents=True)
    (directory / "config.pbtxt").write_text(config)
    if source:
        (directory / "1" / "model.py").write_text(source)


if __name__ == "__main__":
    sys.exit(main())
