"""Names that are commands or paths, routes that are not there, configurations that reach outside
(CVE-2023-31036, 2024-0087, 2024-0100, 2025-23316, 2025-23317, 2026-24147, 2026-24208/24209)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json, request
from tests.harness.models import ECHO, PLAIN, write_onnx_model, write_python_model
from tests.harness.server import GOOD, ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("names")
    write_python_model(root / "models", "echo", PLAIN)
    (root / "secret").mkdir()
    (root / "secret" / "config.pbtxt").write_text("secret")
    with ServerProcess(root / "models", log=root / "log") as running:
        yield running
        running.assert_three_ok()


NAMES = [
    "..",
    ".",
    "...",
    "%2e%2e",
    "%2e%2e%2fsecret",
    "..%2fsecret",
    "..%5csecret",
    "..\\secret",
    "echo%2f..",
    "echo%00",
    "%00",
    "echo;touch${IFS}PWNED",
    "$(touch${IFS}PWNED)",
    "`touch${IFS}PWNED`",
    "echo&&touch${IFS}PWNED",
    "echo|id",
    "-rf",
    "--help",
    "~",
    "~root",
    "*",
    "?",
    "echo'",
    'echo"',
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "%s%s%s%n",
    "%d" * 50,
    "'OR'1'='1",
    "nul",
    "CON",
    "echo.",
    "ECHO",
    "\xf0\x9f\x98\x80",
    "\xc3\x28",
    "\xff\xfe",
    "a" * 4096,
    "__class__",
    "echo:1",
    "echo%20",
    "echo%0a",
    "echo%0d%0aX:y",
    "file:..",
    "stats2",
    "versions",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:30].encode("unicode_escape").decode())
def test_cve_2025_23316_names_are_only_looked_up(server: ServerProcess, name: str) -> None:
    workers = server.workers()
    for method, path in (
        ("GET", f"/v2/models/{name}"),
        ("GET", f"/v2/models/{name}/config"),
        ("GET", f"/v2/models/{name}/ready"),
        ("GET", f"/v2/models/{name}/stats"),
        ("POST", f"/v2/models/{name}/infer"),
        ("POST", f"/v2/models/{name}/versions/1/infer"),
        ("POST", f"/v2/repository/models/{name}/load"),
        ("POST", f"/v2/repository/models/{name}/unload"),
    ):
        target, _, _ = path.partition("?")
        reply = server.ask(method, path, GOOD if method == "POST" else None)
        assert reply.status in {400, 404, 405, 503} or target != path, (path, reply)
    assert server.workers() == workers
    assert not list(Path.cwd().glob("PWNED*"))


# Tells the kinds of what became of asking for, and loading, models of hostile names.
ASKER = """
NAMES = {names!r}

def outcome(function, *arguments):
    try:
        return repr(function(*arguments))
    except pb_utils.TritonModelException:
        return "refused"

class TritonPythonModel:
    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        found = set()
        for name in NAMES:
            asked = pb_utils.InferenceRequest(
                model_name=name, requested_output_names=["OUT"], inputs=request.inputs()
            )
            found.add("refused" if asked.exec().has_error() else "answered")
            found.add(outcome(pb_utils.load_model, name))
            found.add(outcome(pb_utils.unload_model, name))
            found.add(outcome(pb_utils.is_model_ready, name))
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("OUT", values(request))], parameters={{"found": " ".join(sorted(found))}}
        )
"""


def test_cve_2025_23316_names_that_a_model_asks_for_are_only_looked_up(
    start_server: StartServer, repository: Path
) -> None:
    hostile = [name for name in NAMES if name != "echo:1"] + ["", "echo\0", "a;touch PWNED", "../secret"]
    write_python_model(repository, "asker", ASKER.format(names=hostile))
    flags = ("--model-control-mode", "explicit", "--load-model", "echo", "--load-model", "asker")
    server = start_server(repository, *flags)
    workers = server.workers()
    reply = server.infer("asker", infer_json([1]))
    assert reply.status == 200, reply.body
    # Nothing is loaded by such a name, nothing is ready, and unloading what is not there is no error.
    assert reply.json["parameters"]["found"] == "False None refused"
    assert server.workers() == workers
    assert not list(Path.cwd().glob("PWNED*"))
    server.assert_three_ok()


TRAVERSAL = [
    "/../../etc/passwd",
    "/v2/../../../etc/passwd",
    "/v2/models/../models/echo",
    "/v2/models/echo/../../../etc/passwd",
    "/v2/models/echo/versions/../../config",
    "//etc/passwd",
    "/v2/models/%2e%2e/%2e%2e/etc/passwd",
    "/..",
    "/.",
    "/v2/..;/v2",
    "/proc/self/environ",
    "/v2/models/echo/1/model.py",
    "/v2/models/echo/config.pbtxt",
    "/static/../../x",
    "/%2e%2e/x",
]


@pytest.mark.parametrize("path", TRAVERSAL)
def test_cve_2026_24208_no_path_leads_to_a_file(server: ServerProcess, path: str) -> None:
    reply = server.get(path)
    assert reply.status == 404
    assert b"root:" not in reply.body


def test_cve_2024_0087_log_and_trace_files_cannot_be_chosen_by_clients(
    server: ServerProcess, tmp_path: Path
) -> None:
    target = tmp_path / "chosen"
    for path, setting in (
        ("/v2/logging", {"log_file": str(target)}),
        ("/v2/trace/setting", {"trace_file": str(target)}),
        (
            "/v2/models/echo/trace/setting",
            {"trace_file": str(target), "trace_level": ["TIMESTAMPS"], "trace_rate": "1"},
        ),
    ):
        assert server.ask("POST", path, json.dumps(setting).encode()).status in {400, 404, 501}
        server.assert_three_ok()
    assert not target.exists()


def test_cve_2023_31036_nothing_is_written_by_the_load_api(server: ServerProcess, tmp_path: Path) -> None:
    before = set(tmp_path.parent.rglob("*"))
    content = base64.b64encode(b"planted").decode()
    for name in (
        "file:../../planted",
        f"file:{tmp_path}/planted",
        "file:1/../../planted",
        "file:..\\planted",
        "file:1/model.py",
    ):
        body = json.dumps({"parameters": {"config": "{}", name: content}}).encode()
        reply = server.ask("POST", "/v2/repository/models/planted/load", body)
        assert reply.status in {400, 404, 503}
    assert set(tmp_path.parent.rglob("*")) == before


BAD_CONFIGS = {
    "default_model_filename": 'default_model_filename: "../../secret/config.pbtxt"',
    "absolute default_model_filename": 'default_model_filename: "/etc/passwd"',
    "environment outside": 'parameters { key: "EXECUTION_ENV_PATH" value { string_value: "/etc/passwd" } }',
    "shell in the environment": 'parameters { key: "EXECUTION_ENV_PATH" value { string_value: "$(id)" } }',
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_cve_2026_24147_configurations_do_not_reach_outside(
    start_server: StartServer, repository: Path, name: str
) -> None:
    write_python_model(repository, "bad", ECHO, extra=BAD_CONFIGS[name])
    server = start_server(repository, "--no-exit-on-error", "--no-strict-readiness")
    assert not server.ready("bad")
    assert b"root:" not in server.get("/v2/models/bad/config").body
    assert "root:x" not in server.output()
    server.assert_three_ok()


def test_cve_2026_24147_labels_from_outside_are_refused(start_server: StartServer, repository: Path) -> None:
    write_onnx_model(repository, "bad")
    config = (repository / "bad" / "config.pbtxt").read_text()
    outside = "../../../../../../etc/passwd"
    config += f'output {{ name: "OUT" data_type: TYPE_FP32 dims: [-1] label_filename: "{outside}" }}'
    (repository / "bad" / "config.pbtxt").write_text(config)
    server = start_server(repository, "--no-exit-on-error", "--no-strict-readiness")
    assert not server.ready("bad")
    server.assert_three_ok()


def test_cve_2025_23317_model_directories_with_commands_for_names_start_nothing(
    start_server: StartServer, repository: Path, tmp_path: Path
) -> None:
    for name in (
        "a;touch PWNED",
        "$(touch PWNED)",
        "`touch PWNED`",
        "a && touch PWNED",
        "-c",
        "a\nb",
        "a b",
        "ü",
    ):
        write_python_model(repository, name, PLAIN)
    server = start_server(repository, "--no-exit-on-error", "--no-strict-readiness")
    for child in psutil.Process(server.process.pid).children(recursive=True):
        assert "python" in child.name(), child.cmdline()
    assert not list(tmp_path.rglob("PWNED")) and not list(Path.cwd().glob("PWNED"))
    with server.connect() as connection:
        connection.send(request("GET", "/v2/models/stats"))
        reply = connection.reply()
    assert reply is not None and reply.status == 200
    server.assert_three_ok()
