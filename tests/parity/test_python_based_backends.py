"""A backend that is a model.py, served by the real Triton and by tritium."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.reference import Program
from tests.harness.http import infer_json
from tests.harness.models import PLAIN, write_python_model
from tests.harness.peers import Peer, ReferencePeer, reference_python, reference_triton
from tests.harness.python_backends import write_backend, write_backend_model
from tests.harness.server import ServerProcess

FLAG = "--backend-directory="


def with_backend(program: Program, directory: Path) -> Program:
    """The real Triton with its own backends and those of ``directory``, which gets links to them."""
    (own,) = (Path(argument.removeprefix(FLAG)) for argument in program.argv if argument.startswith(FLAG))
    for backend in own.iterdir():
        (directory / backend.name).symlink_to(backend)
    argv = [argument for argument in program.argv if not argument.startswith(FLAG)]
    return Program((*argv, f"{FLAG}{directory}"), program.env)


def told(peer: Peer) -> list[Any]:
    answer = peer.infer("chosen", infer_json([1], shape=[1]))
    failed = peer.infer("chosen", infer_json([-1], shape=[1]))
    failed = {**failed, "error": failed["error"].replace(f"{peer.repository.parent}/backends/", "")}
    return [json.loads(answer["outputs"][0]["data"][0]), failed, peer.ask("GET", "/v2/models/chosen").json]


def test_a_python_based_backend_is_the_same(tmp_path: Path) -> None:
    program = reference_triton()
    models, backends = tmp_path / "models", tmp_path / "backends"
    write_python_model(models, "echo", PLAIN)
    write_backend(backends, "mine")
    write_backend_model(models, "chosen", 'backend: "mine"')
    triton = with_backend(program, backends)
    flags = ["--backend-directory", str(backends)]
    flags += ["--backend-config", f"python,executable={reference_python()}"]
    with (
        ReferencePeer(lambda: servers.real_triton(triton, models), models) as theirs,
        ServerProcess(models, *flags, log=tmp_path / "log") as ours,
    ):
        peer = Peer(ours.http_port, ours.grpc_port, ours.metrics_port, models)
        assert told(peer) == theirs.answer(told)
        ours.assert_three_ok()
