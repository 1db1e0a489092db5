"""What containers take away: a home directory, a name for the user, rights, shared memory (T51)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.conftest import StartServer
from tests.harness.http import infer_json
from tests.harness.models import PLAIN, write_python_model
from tests.harness.server import ServerProcess

USER = 12345
HOMELESS = """
import os
for name in ("HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
"""
BECOME = f"""{HOMELESS}
os.setgroups([])
os.setgid({USER})
os.setuid({USER})
"""

# A mount namespace of its own with another /dev/shm; ``{options}`` and ``{flags}`` as mount(2) takes them.
WITH_SHARED_MEMORY = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_RDONLY = 0x20000, 0x4000, 1 << 18, 1
assert libc.unshare(CLONE_NEWNS) == 0, "unshare is not permitted"
assert libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0, "mount is not permitted"
assert libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", {flags}, b"{options}") == 0, "mount is not permitted"
"""
SHARED_MEMORY = {
    "of 64 KiB": WITH_SHARED_MEMORY.format(flags="0", options="size=64k"),
    "read-only": WITH_SHARED_MEMORY.format(flags="MS_RDONLY", options="size=64k"),
}
SMALL_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, 1 << 17))"
# Asks the model ``echo``, so that large tensors go all ways.
ASKING = """
class TritonPythonModel:
    def execute(self, requests):
        asked = [
            pb_utils.InferenceRequest(model_name="echo", requested_output_names=["OUT"], inputs=each.inputs())
            for each in requests
        ]
        return [pb_utils.InferenceResponse(each.exec().output_tensors()) for each in asked]
"""


@pytest.fixture
def readable_repository() -> Iterator[Path]:
    """A repository that every user can read, and none but the owner can write."""
    root = Path(tempfile.mkdtemp(prefix="tritium-container-"))
    root.chmod(0o755)
    write_python_model(root / "repository", "echo", PLAIN)
    write_python_model(root / "repository", "asking", ASKING)
    yield root / "repository"
    shutil.rmtree(root)


def test_t51_a_server_without_a_home_directory_serves(
    start_server: StartServer, readable_repository: Path
) -> None:
    server = start_server(readable_repository, prelude=HOMELESS)
    assert server.infer("echo", infer_json([0.0] * 100_000)).status == 200
    server.assert_three_ok()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_t51_a_user_without_name_home_and_rights_can_serve(
    start_server: StartServer, readable_repository: Path
) -> None:
    probe = [sys.executable, "-c", f"{BECOME}\nimport tritium.serve, numpy"]
    if subprocess.run(probe, capture_output=True, check=False, cwd="/").returncode:
        pytest.skip("this installation of tritium cannot be read by other users")
    server = start_server(readable_repository, prelude=BECOME)
    assert server.infer("echo", infer_json([0.0] * 100_000)).status == 200
    (worker,) = server.workers()
    assert f"Uid:\t{USER}\t{USER}" in Path(f"/proc/{worker}/status").read_text()
    server.assert_three_ok()


@pytest.mark.parametrize("which", SHARED_MEMORY)
def test_t51_shared_memory_with_a_name_is_not_needed(
    start_server: StartServer, readable_repository: Path, which: str
) -> None:
    probe = [sys.executable, "-c", SHARED_MEMORY[which]]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("NOT TESTED WITH ANOTHER /dev/shm: this user may not make a mount namespace")
    server = start_server(readable_repository, prelude=SHARED_MEMORY[which])
    mounts = Path(f"/proc/{server.process.pid}/mounts").read_text()
    assert "size=64k" in [line for line in mounts.splitlines() if " /dev/shm " in line][-1]
    large_tensors_go_all_ways(server)


def test_t51_where_memory_cannot_be_shared_tensors_go_through_the_socket(
    start_server: StartServer, readable_repository: Path
) -> None:
    """A memfd counts as a file: with this limit, no tensor of 400 kB can be put into one."""
    large_tensors_go_all_ways(start_server(readable_repository, prelude=SMALL_FILES))


def large_tensors_go_all_ways(server: ServerProcess) -> None:
    for model in ("echo", "asking"):
        reply = server.infer(model, infer_json(list(range(100_000))))
        assert reply.status == 200, reply.body[:300]
        assert reply.json["outputs"][0]["data"][-1] == 99_999
    server.assert_three_ok()
