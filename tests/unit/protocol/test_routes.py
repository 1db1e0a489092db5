from __future__ import annotations

import pytest

from tritium.errors import InvalidArgumentError
from tritium.protocol.routes import Endpoint, Route, match

HIGHEST = 2**63 - 1


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2", Route(Endpoint.SERVER_METADATA)),
        ("/v2/health/live", Route(Endpoint.LIVE)),
        ("/v2/health/ready", Route(Endpoint.READY)),
        ("/v2/models/stats", Route(Endpoint.MODEL_STATS)),
        ("/v2/models/m", Route(Endpoint.MODEL_METADATA, "m")),
        ("/v2/models/m/versions/1", Route(Endpoint.MODEL_METADATA, "m", 1)),
        ("/v2/models/m/ready", Route(Endpoint.MODEL_READY, "m")),
        ("/v2/models/m/versions/3/ready", Route(Endpoint.MODEL_READY, "m", 3)),
        ("/v2/models/m/config", Route(Endpoint.MODEL_CONFIG, "m")),
        ("/v2/models/m/stats", Route(Endpoint.MODEL_STATS, "m")),
        ("/v2/models/m/versions/007/stats", Route(Endpoint.MODEL_STATS, "m", 7)),
        ("/v2/models/m/infer", Route(Endpoint.INFER, "m")),
        (f"/v2/models/m/versions/{HIGHEST}/infer", Route(Endpoint.INFER, "m", HIGHEST)),
        ("/v2/models/m/generate", Route(Endpoint.GENERATE, "m")),
        ("/v2/models/m/versions/2/generate_stream", Route(Endpoint.GENERATE_STREAM, "m", 2)),
        ("/v2/models/infer", Route(Endpoint.MODEL_METADATA, "infer")),
        ("/v2/models/ec%68o", Route(Endpoint.MODEL_METADATA, "ec%68o")),
        ("/v2/repository/index", Route(Endpoint.REPOSITORY_INDEX)),
        ("/v2/repository/r/index", Route(Endpoint.REPOSITORY_INDEX, repository="r")),
        ("/v2/repository/models/index", Route(Endpoint.REPOSITORY_INDEX, repository="models")),
        ("/v2/repository/models/m/load", Route(Endpoint.MODEL_LOAD, "m")),
        ("/v2/repository/models/../unload", Route(Endpoint.MODEL_UNLOAD, "..")),
        ("/v2/repository/r/models/m/load", Route(Endpoint.MODEL_LOAD, "m", repository="r")),
        ("/v2/models/a.b-c d", Route(Endpoint.MODEL_METADATA, "a.b-c d")),
    ],
)
def test_paths_lead_to_endpoints(path: str, route: Route) -> None:
    assert match(path) == route


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v2/",
        "//v2",
        "/v1",
        "/v2/health",
        "/v2/health/live/",
        "/v2/models",
        "/v2/models/",
        "/v2/models//infer",
        "/v2/models/m/",
        "/v2/models/m/infer/",
        "/v2/repository",
        "/v2/repository/models/m",
        "/v2/repository/models/m/load/",
        "/v2/repository/a/b/models/m/load",
        "/v2/models/m/nothing",
        "/v2/models/m/versions/x",
        "/v2/models/m/versions/-1",
        "/v2/models/m/versions/٣",
        "/v2/models/m/versions",
        "/v2/models/m/infer\n",
    ],
)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert match(path) is None


@pytest.mark.parametrize("version", ["99999999999999999999", str(2**63), "9" * 400])
def test_a_version_beyond_64_bits_is_refused_in_tritons_words(version: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        match(f"/v2/models/m/versions/{version}/infer")
    assert str(caught.value) == (
        f"failed to get model version from specified version string '{version}' (details: stol), version "
        "should be an integral value > 0"
    )


def test_what_may_change_something_is_posted() -> None:
    assert {endpoint for endpoint in Endpoint if endpoint.method == "POST"} == {
        Endpoint.INFER,
        Endpoint.GENERATE,
        Endpoint.GENERATE_STREAM,
        Endpoint.REPOSITORY_INDEX,
        Endpoint.MODEL_LOAD,
        Endpoint.MODEL_UNLOAD,
    }
    assert {endpoint.method for endpoint in Endpoint} == {"GET", "POST"}
