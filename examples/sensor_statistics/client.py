"""Stream readings of several sensors to ``sensor_statistics`` and print what the server makes of them.

    tritium serve --model-repository examples/model_repository --model-control-mode explicit \
        --load-model sensor_statistics
    python examples/sensor_statistics/client.py --sensors 3 --readings 200

Every sensor is a sequence with its name as its id; all share one gRPC stream. The readings are made up: a
level of each sensor's own, with noise. Needs tritonclient[grpc].
"""

from __future__ import annotations

import argparse
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as grpcclient

MODEL = "sensor_statistics"
ANSWER_S = 30.0  # the longest wait for one answer


@dataclass(frozen=True)
class Summary:
    """What the server said of a sensor with its last reading."""

    count: int
    mean: float
    deviation: float
    lowest: float
    highest: float


def stream(url: str, readings: dict[str, npt.NDArray[np.float64]]) -> dict[str, Summary]:
    """Send the readings of each sensor, by turns; its last summary by its name.

    Raises:
        RuntimeError: the server refused a reading; nothing more was read.
        queue.Empty: it did not answer in time.
    """
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with grpcclient.InferenceServerClient(url) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        count = 0
        for step in range(max(map(len, readings.values()), default=0)):
            for sensor, values in readings.items():
                if step < len(values):
                    send(client, sensor, values, step)
                    count += 1
        found = {}
        for _ in range(count):
            result, error = answers.get(timeout=ANSWER_S)
            if error is not None:
                raise RuntimeError(f"{MODEL}: {error}")
            found[result.get_response().id] = summary(result)
        client.stop_stream()
    return found


def send(
    client: grpcclient.InferenceServerClient, sensor: str, values: npt.NDArray[np.float64], step: int
) -> None:
    """One reading; the first of a sensor begins its sequence, and the last one ends it."""
    reading = grpcclient.InferInput("READING", [1, 1], "FP64")
    reading.set_data_from_numpy(values[step : step + 1].reshape(1, 1))
    client.async_stream_infer(
        MODEL,
        [reading],
        request_id=sensor,
        sequence_id=sensor,
        sequence_start=step == 0,
        sequence_end=step == len(values) - 1,
    )


def summary(result: grpcclient.InferResult) -> Summary:
    """The outputs of one answer."""
    return Summary(
        int(result.as_numpy("COUNT").item()),
        *(float(result.as_numpy(name).item()) for name in ("MEAN", "DEVIATION", "LOWEST", "HIGHEST")),
    )


def made_up(sensors: int, readings: int) -> dict[str, npt.NDArray[np.float64]]:
    """Readings by the sensor's name."""
    dice = np.random.default_rng(0)
    return {
        f"sensor {number}": 20.0 * number + dice.normal(0, 1 + number / 10, readings)
        for number in range(1, sensors + 1)
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Stream readings of sensors to sensor_statistics.")
    parser.add_argument("--url", default="localhost:8001", help="of the gRPC port")
    parser.add_argument("--sensors", type=int, default=3)
    parser.add_argument("--readings", type=int, default=200)
    given = parser.parse_args(arguments)
    print(f"{'sensor':12} {'count':>6} {'mean':>9} {'deviation':>10} {'lowest':>9} {'highest':>9}")
    for sensor, found in sorted(stream(given.url, made_up(given.sensors, given.readings)).items()):
        print(
            f"{sensor:12} {found.count:6} {found.mean:9.3f} {found.deviation:10.3f} {found.lowest:9.3f} "
            f"{found.highest:9.3f}"
        )


if __name__ == "__main__":
    main()
