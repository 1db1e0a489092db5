from __future__ import annotations

from pathlib import Path

import pytest

from tritium.environments.cache import EnvironmentCache
from tritium.environments.packed import environment_at, expanded
from tritium.errors import InternalError


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("$$TRITON_MODEL_DIRECTORY/env", "/models/m/env"),
        ("$$TRITON_MODEL_DIRECTORY", "/models/m"),
        ("/elsewhere/$$TRITON_MODEL_DIRECTORY", "/elsewhere/$$TRITON_MODEL_DIRECTORY"),
    ],
)
def test_tritons_word_stands_for_the_models_directory(path: str, place: str) -> None:
    assert expanded(path, Path("/models/m")) == Path(place)


def environment(tmp_path: Path, path: str) -> Path:
    return environment_at(path, "m", tmp_path, EnvironmentCache(tmp_path / "cache"), 10.0)


def test_a_directory_with_an_interpreter_is_an_environment(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    assert environment(tmp_path, "$$TRITON_MODEL_DIRECTORY/env") == tmp_path / "env"


def test_a_path_to_nothing_is_refused_in_tritons_words(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match=r"^Failed to get the canonical path for \$\$TRITON") as caught:
        environment(tmp_path, "$$TRITON_MODEL_DIRECTORY/nope")
    assert str(tmp_path) not in str(caught.value)


def test_a_directory_without_an_interpreter_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "env" / "lib").mkdir(parents=True)
    with pytest.raises(InternalError, match="has no bin/python: found lib; pack the environment itself"):
        environment(tmp_path, "$$TRITON_MODEL_DIRECTORY/env")


def test_a_link_to_an_interpreter_that_is_not_here_is_named(tmp_path: Path) -> None:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "python").symlink_to("/nowhere/python3.9")
    with pytest.raises(InternalError, match=r"it is a link to '/nowhere/python3\.9'"):
        environment(tmp_path, "$$TRITON_MODEL_DIRECTORY/env")
