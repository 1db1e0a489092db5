"""What containers take away: a home directory, a name for the user, rights (T51)."""

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


@pytest.fixture
def readable_repository() -> Iterator[Path]:
    """A repository that every user can read, and none but the owner can write."""
    root = Path(tempfile.mkdtemp(prefix="tritium-container-"))
    root.chmod(0o755)
    write_python_model(root / "repository", "echo", PLAIN)
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
