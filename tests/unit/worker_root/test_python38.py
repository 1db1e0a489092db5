"""The import root runs in users' own interpreters: CPython 3.8 and later, with nothing but numpy."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3] / "src" / "tritium" / "worker_root"
SOURCES = sorted(ROOT.rglob("*.py"))
OWN = {"tritium_worker", "triton_python_backend_utils", "numpy"}


def old_interpreters() -> list[str]:
    found = [shutil.which(f"python3.{minor}") for minor in (8, 9, 10)]
    installed = (Path.home() / ".pyenv" / "versions").glob("3.[89].*/bin/python")
    return [path for path in sorted({*filter(None, found), *map(str, installed)}) if runs(path)]


def runs(interpreter: str) -> bool:
    """Whether this is an interpreter at all: version managers leave names that start nothing."""
    return subprocess.run([interpreter, "-c", "pass"], capture_output=True).returncode == 0


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_parses_as_python_38(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_the_standard_library_and_numpy_only(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").split(".")[0])
    assert imported - sys.stdlib_module_names <= OWN


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_annotations_are_never_evaluated(path: Path) -> None:
    """``dict[str, int]`` in an annotation is harmless on 3.8 only under the future import."""
    source = path.read_text()
    assert "from __future__ import annotations" in source or path.name == "__init__.py"


def test_compiles_on_old_interpreters() -> None:
    interpreters = old_interpreters()
    if not interpreters:
        pytest.skip("no CPython 3.8 to 3.10 on this machine")
    check = "import sys; [compile(open(p, encoding='utf-8').read(), p, 'exec') for p in sys.argv[1:]]"
    for interpreter in interpreters:
        subprocess.run(
            [interpreter, "-c", check, *map(str, SOURCES)], check=True, capture_output=True, text=True
        )
