"""The sequence example: its client streams readings, and the statistics are numpy's."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.harness.http import infer_json
from tests.harness.server import ServerProcess

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    log = tmp_path_factory.mktemp("sensors") / "log"
    flags = ("--model-control-mode", "explicit", "--load-model", "sensor_statistics")
    with ServerProcess(EXAMPLES / "model_repository", *flags, log=log) as running:
        yield running


@pytest.fixture(scope="module")
def client() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "sensor_client", EXAMPLES / "sensor_statistics" / "client.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_statistics_of_every_sensor_are_those_of_its_own_readings(
    server: ServerProcess, client: ModuleType
) -> None:
    readings = client.made_up(40, 30)
    readings["alone"] = np.array([3.5])
    for _ in range(2):  # sensors that begin anew
        found = client.stream(f"localhost:{server.grpc_port}", readings)
        assert found.keys() == readings.keys()
        for sensor, values in readings.items():
            summary = found[sensor]
            assert summary.count == len(values)
            deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
            assert np.allclose(
                [summary.mean, summary.deviation, summary.lowest, summary.highest],
                [values.mean(), deviation, values.min(), values.max()],
            )


def test_a_sensor_that_never_began_is_refused(server: ServerProcess, client: ModuleType) -> None:
    reading = infer_json([1.0], datatype="FP64", name="READING", parameters={"sequence_id": "late"})
    assert "must specify the START flag" in server.infer(client.MODEL, reading).error


def test_the_command_prints_a_line_for_each_sensor(
    server: ServerProcess, client: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    client.main(["--url", f"localhost:{server.grpc_port}", "--sensors", "2", "--readings", "50"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["sensor", "1", "50"], ["sensor", "2", "50"]]
