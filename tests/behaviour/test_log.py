"""What clients and models say cannot forge lines of the log (CVE-2024-0095)."""

from __future__ import annotations

import re
from pathlib import Path

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json, request
from tests.harness.models import FAILING, write_python_model

FORGED = "I1122 12:00:00.000000 1 forged.py:1] forged line"
LOGGING = f"""
class TritonPythonModel:
    def execute(self, requests):
        pb_utils.Logger.log_error("x\\n{FORGED}\\r{FORGED}\\x1b[31m %s %d {{}}")
        raise RuntimeError("y\\n{FORGED}\\u2028{FORGED}\\x85{FORGED}")
"""


def test_cve_2024_0095_no_forged_lines(start_server: StartServer, repository: Path) -> None:
    write_python_model(repository, "err", FAILING)
    write_python_model(repository, "logging", LOGGING)
    server = start_server(repository, "--log-level", "verbose")
    server.infer("err", infer_json([100]))
    server.infer("logging", infer_json([1], id=f"z\n{FORGED}\x1b[31m"))
    server.infer(f"no%0a{FORGED}".replace(" ", "%20"), infer_json([1]))
    server.infer("echo", infer_json([1], id=f"z\n{FORGED}", parameters={f"a\n{FORGED}": f"b\n{FORGED}"}))
    server.infer("echo", infer_json([1], name=f"z\n{FORGED}"))
    with server.connect() as connection:
        connection.send(request("GET", "/v2", headers={"User-Agent": "%s%n\x1b", "X-Forwarded-For": FORGED}))
        connection.reply()
    assert server.stop() == 0
    lines = re.split("[\n\r\x0b\x0c\x85\u2028\u2029]", server.output())
    assert not [line for line in lines if line.startswith(("I1122 12:00:00.000000", "I1234"))]
    assert "\x1b" not in server.output()
    told = [line for line in lines if "forged line" in line]
    assert told, "the failures themselves are in the log"
    assert all(re.match(r"[IWEV]\d{4} \d\d:\d\d:\d\d\.\d{6} \d+ ", line) for line in told), told
