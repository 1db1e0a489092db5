"""Node with ``@grpc/grpc-js``: the client of the JavaScript world, installed once beside the checkout."""

from __future__ import annotations

import base64
import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness.pythons import cache_directory

_PACKAGE = "@grpc/grpc-js@1.14.7"
_INSTALL_LIMIT_S = 240.0
_CALL_LIMIT_S = 60.0
_CLIENT = Path(__file__).with_name("grpc_js_client.cjs")


class GrpcJs:
    """Makes calls from Node, one process for each."""

    def __init__(self, node: str, modules: Path) -> None:
        self._node = node
        self._modules = modules

    def call(self, port: int, method: str, *messages: bytes, **options: Any) -> dict[str, Any]:
        """One call, and what became of it: ``code``, ``details``, ``messages``, ``headers``, ``trailers``.

        Args:
            method: the full path, as ``/inference.GRPCInferenceService/ModelInfer``.
            messages: serialized; with ``stream=True`` any number of them, else one.
            options: ``stream``; ``metadata``, a mapping; ``deadline_ms``; ``cancel_after_ms``;
                ``compression``: 1 for deflate, 2 for gzip.
        """
        asked = {
            "address": f"127.0.0.1:{port}",
            "method": method,
            "messages": [base64.b64encode(message).decode() for message in messages],
            **options,
        }
        done = subprocess.run(
            [self._node, str(_CLIENT), str(self._modules)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=_CALL_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        result["messages"] = [base64.b64decode(message) for message in result["messages"]]
        return result


def grpc_js() -> GrpcJs:
    """The client; the test is skipped, loudly, where there is no Node or the package cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("NOT TESTED WITH grpc-js: no node and npm on PATH (Debian: nodejs, npm)")
    place = cache_directory() / _PACKAGE.replace("/", "-")
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            _install(npm, place)
    return GrpcJs(node, place / "node_modules")


def _install(npm: str, place: Path) -> None:
    argv = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(place), _PACKAGE]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_INSTALL_LIMIT_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"NOT TESTED WITH grpc-js: npm did not install it in {_INSTALL_LIMIT_S:.0f} s")
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED WITH grpc-js: npm cannot install it: {done.stderr[-300:]}")
    (place / "complete").touch()
