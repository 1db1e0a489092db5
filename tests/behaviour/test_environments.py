"""Models under interpreters and in environments of their own."""

from __future__ import annotations

import concurrent.futures
import os
import tarfile
from pathlib import Path

import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json
from tests.harness.models import write_python_model
from tests.harness.pythons import VERSIONS, base_python, cache_directory, python_with_numpy

LENIENT = "--no-exit-on-error"

# Large enough for shared memory; what ran it is among the parameters.
WHERE = """
import sys
class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            found = {"python": "%d.%d" % sys.version_info[:2], "prefix": sys.prefix, "numpy": np.__version__,
                     "path": os.environ["PATH"].split(":")[0]}
            output = pb_utils.Tensor("OUT", values(request) * 2)
            responses.append(pb_utils.InferenceResponse([output], parameters=found))
        return responses
"""

HUMAN = """
import humanize
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", values(r))],
                parameters={"text": humanize.naturalsize(123456)}) for r in requests]
"""


def add(repository: Path, name: str, body: str, **parameters: str) -> Path:
    extra = "\n".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
        for key, value in parameters.items()
    )
    write_python_model(repository, name, body, extra=extra)
    return repository / name


def environments(*more: str) -> tuple[str, ...]:
    return (f"--backend-config=python,environments={cache_directory() / 'environments'}", *more)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_worker_runs_on_this_python(repository: Path, start_server: StartServer, version: str) -> None:
    python = python_with_numpy(version)
    add(repository, "where", WHERE, PYTHON_EXECUTABLE=str(python))
    server = start_server(repository)
    for count in (3, 100_000):
        reply = server.infer("where", infer_json([1.0] * count))
        assert reply.status == 200, reply.body
        assert reply.json["outputs"][0]["data"] == [2.0] * count
    assert reply.json["parameters"]["python"] == version
    server.assert_three_ok()


def test_an_interpreter_for_all_python_models(repository: Path, start_server: StartServer) -> None:
    python = python_with_numpy("3.10")
    add(repository, "where", WHERE)
    server = start_server(repository, f"--backend-config=python,executable={python}")
    assert server.infer("where", infer_json([1.0])).json["parameters"]["python"] == "3.10"


def test_requirements_are_installed_once_and_shared(repository: Path, start_server: StartServer) -> None:
    for name in ("first", "second"):
        (add(repository, name, HUMAN) / "requirements.txt").write_text("humanize==4.9.0\n")
    server = start_server(repository, *environments())
    for name in ("first", "second"):
        assert server.infer(name, infer_json([1.0])).json["parameters"]["text"] == "123.5 kB"
    assert server.output().count("installing requirements.txt") <= 1
    server.assert_three_ok()


def test_two_servers_make_an_environment_once(
    repository: Path, tmp_path: Path, start_server: StartServer
) -> None:
    (add(repository, "where", WHERE) / "requirements.txt").write_text("# numpy alone\n")
    flags = (f"--backend-config=python,environments={tmp_path / 'cache'}",)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        starts = [threads.submit(start_server, repository, *flags) for _ in range(2)]
        servers = [start.result() for start in starts]
    replies = [server.infer("where", infer_json([1.0])).json["parameters"] for server in servers]
    assert replies[0] == replies[1]
    assert replies[0]["prefix"].startswith(str(tmp_path / "cache"))
    assert replies[0]["path"] == f"{replies[0]['prefix']}/bin"
    assert sum(server.output().count("installing requirements.txt") for server in servers) == 1


def test_requirements_that_cannot_be_installed_are_a_load_error(
    repository: Path, tmp_path: Path, start_server: StartServer
) -> None:
    (add(repository, "where", WHERE) / "requirements.txt").write_text("./nothing-1-py3-none-any.whl\n")
    (add(repository, "bad", WHERE) / "requirements.txt").write_text("--no-index\nno-such-package\n")
    server = start_server(repository, LENIENT, f"--backend-config=python,environments={tmp_path / 'cache'}")
    log = server.output()
    assert (
        "'nothing-1-py3-none-any.whl', which requirements.txt of model 'where' names: cannot be read" in log
    )
    assert "environment of model 'bad': requirements.txt cannot be installed by pip:" in log
    assert "No matching distribution found for no-such-package" in log
    assert not [entry for entry in (tmp_path / "cache").iterdir() if entry.is_dir()]
    assert server.infer("echo", infer_json([1, 2, 3])).status == 200


def test_requirements_can_be_left_alone(repository: Path, start_server: StartServer) -> None:
    (add(repository, "where", WHERE) / "requirements.txt").write_text("no-such-package\n")
    server = start_server(repository, "--backend-config=python,requirements=ignore")
    assert server.infer("where", infer_json([1.0])).status == 200


def packed_environment(path: Path) -> Path:
    """What venv-pack would make of an environment of Python 3.10 with humanize."""
    environment = python_with_numpy("3.10", "humanize").parent.parent
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in ("bin", "lib", "pyvenv.cfg"):
            tar.add(environment / name, arcname=name, filter=_no_caches)
        if (environment / "lib64").is_symlink():
            tar.add(environment / "lib64", arcname="lib64")
        unpack = path.with_name("conda-unpack")
        unpack.write_text("import sys\nopen(sys.prefix + '/unpacked', 'w').write(sys.prefix)\n")
        tar.add(unpack, arcname="bin/conda-unpack")
    return path


def _no_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    skipped = ("__pycache__", "/tests", "site-packages/pip")
    return None if any(part in member.name for part in skipped) else member


def test_a_packed_environment_is_unpacked_and_used(
    repository: Path, tmp_path: Path, start_server: StartServer
) -> None:
    models = [
        add(repository, name, HUMAN, EXECUTION_ENV_PATH="$$TRITON_MODEL_DIRECTORY/environment.tar.gz")
        for name in ("first", "second")
    ]
    os.link(packed_environment(models[0] / "environment.tar.gz"), models[1] / "environment.tar.gz")
    cache = tmp_path / "cache"
    server = start_server(repository, f"--backend-config=python,environments={cache}")
    for name in ("first", "second"):
        assert server.infer(name, infer_json([1.0])).json["parameters"]["text"] == "123.5 kB"
    (place,) = [entry for entry in cache.iterdir() if entry.is_dir()]
    assert (place / "unpacked").read_text() == str(place)


def test_a_directory_is_an_environment_too(repository: Path, start_server: StartServer) -> None:
    environment = python_with_numpy("3.10").parent.parent
    add(repository, "where", WHERE, EXECUTION_ENV_PATH=str(environment))
    reply = start_server(repository).infer("where", infer_json([1.0]))
    assert reply.json["parameters"]["prefix"] == str(environment)
    assert reply.json["parameters"]["path"] == f"{environment}/bin"


def test_environments_that_cannot_be_used_are_load_errors(
    repository: Path, tmp_path: Path, start_server: StartServer
) -> None:
    (tmp_path / "bare" / "bin").mkdir(parents=True)
    (tmp_path / "linked" / "bin").mkdir(parents=True)
    (tmp_path / "linked" / "bin" / "python").symlink_to("/nowhere/python3.9")
    evil = tmp_path / "evil.tar.gz"
    with tarfile.open(evil, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../evil"))
    (tmp_path / "text.tar.gz").write_text("no archive")
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'ImportError: libpython' >&2; exit 1\n")
    broken.chmod(0o755)
    cases = {
        "missing": (
            {"EXECUTION_ENV_PATH": "/nope.tar.gz"},
            "Failed to get the canonical path for /nope.tar.gz.",
        ),
        "bare": ({"EXECUTION_ENV_PATH": str(tmp_path / "bare")}, "has no bin/python: found bin; pack"),
        "linked": ({"EXECUTION_ENV_PATH": str(tmp_path / "linked")}, "it is a link to '/nowhere/python3.9'"),
        "evil": ({"EXECUTION_ENV_PATH": str(evil)}, "member '../../evil' would be written outside"),
        "text": ({"EXECUTION_ENV_PATH": str(tmp_path / "text.tar.gz")}, "it cannot be read as a tar archive"),
        "broken": ({"PYTHON_EXECUTABLE": str(broken)}, "does not work:\\n  ImportError: libpython"),
        "absent": ({"PYTHON_EXECUTABLE": "/nowhere/python"}, "of PYTHON_EXECUTABLE does not exist"),
        "unknown": ({"PYTHON_EXECUTABLE": "no-such-python"}, "is not on the server's PATH"),
        "shell": ({"PYTHON_EXECUTABLE": "$(touch /tmp/x)/python"}, "of PYTHON_EXECUTABLE does not exist"),
        "both": ({"PYTHON_EXECUTABLE": "a", "EXECUTION_ENV_PATH": "b"}, "has both parameters"),
    }
    for name, (parameters, _) in cases.items():
        add(repository, name, WHERE, **parameters)
    server = start_server(repository, LENIENT, f"--backend-config=python,environments={tmp_path / 'cache'}")
    log = server.output()
    for name, (_, words) in cases.items():
        line = next(line for line in log.splitlines() if f"failed to load '{name}' version 1" in line)
        assert words in line
        assert not server.ready(name)
    assert not (tmp_path.parent / "evil").exists() and not (tmp_path / "evil").exists()
    assert server.infer("echo", infer_json([1, 2, 3])).status == 200


def test_an_interpreter_without_numpy_is_a_load_error_that_says_what_to_install(
    repository: Path, start_server: StartServer, tmp_path: Path
) -> None:
    base = base_python("3.12") or pytest.skip("NOT TESTED: no python3.12")
    isolated = tmp_path / "python"
    isolated.write_text(f'#!/bin/sh\nexec {base} -I -S "$@"\n')
    isolated.chmod(0o755)
    add(repository, "where", WHERE, PYTHON_EXECUTABLE=str(isolated))
    server = start_server(repository, LENIENT)
    assert "has no numpy, which a worker needs; install it with the interpreter's own" in server.output()
