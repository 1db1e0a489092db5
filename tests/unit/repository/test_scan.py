from __future__ import annotations

import os
from pathlib import Path

import pytest

from tritium.errors import ConfigError, UnavailableError
from tritium.repository.scan import Diff, Snapshot, diff, scan, scan_model


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(snapshot: Snapshot) -> list[str]:
    return list(snapshot.models)


def changed_names(found: Diff) -> tuple[list[str], list[str], list[str]]:
    return [e.name for e in found.added], [e.name for e in found.removed], [e.name for e in found.changed]


def test_a_model_is_a_directory_with_versions_and_perhaps_a_configuration(tmp_path: Path) -> None:
    write(tmp_path / "b" / "1" / "model.py")
    write(tmp_path / "a" / "10" / "model.onnx")
    write(tmp_path / "a" / "2" / "model.onnx")
    write(tmp_path / "a" / "config.pbtxt", 'backend: "x"')
    snapshot = scan([tmp_path])
    assert names(snapshot) == ["a", "b"]
    assert snapshot.models["a"].versions == (2, 10)
    assert snapshot.models["a"].config_text == 'backend: "x"'
    assert snapshot.models["a"].directory == tmp_path / "a"
    assert snapshot.models["b"].config_text is None
    assert not any(entry.problem or entry.warnings for entry in snapshot.models.values())


def test_plain_files_and_hidden_directories_are_no_models(tmp_path: Path) -> None:
    write(tmp_path / "README.md")
    write(tmp_path / ".git" / "config")
    write(tmp_path / "..data" / "1" / "model.py")
    assert scan([tmp_path]) == Snapshot({})


def test_an_empty_directory_is_a_model_without_versions(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert scan([tmp_path]).models["empty"].versions == ()


def test_directories_that_are_no_version_are_skipped_with_tritons_warning(tmp_path: Path) -> None:
    ignored = ("03", "00", "v4", "-1", "+1", "1_0", "٣", str(2**63))
    for version in ("0", "1", *ignored, "warmup", "configs", "initial_state", "__pycache__", ".tmp"):
        (tmp_path / "m" / version).mkdir(parents=True)
    write(tmp_path / "m" / "7", "a file")
    entry = scan([tmp_path]).models["m"]
    assert entry.versions == (0, 1)
    assert len(entry.warnings) == len(ignored)
    assert (
        "ignore version directory '03' which contains leading zeros in its directory name" in entry.warnings
    )
    assert "ignore version directory 'v4' which fails to convert to integral number" in entry.warnings


def test_a_name_in_two_repositories_is_a_problem_of_that_name_alone(tmp_path: Path) -> None:
    for root in ("one", "two", "three"):
        write(tmp_path / root / "echo" / "1" / "model.py")
    write(tmp_path / "two" / "other" / "1" / "model.py")
    snapshot = scan([tmp_path / "one", tmp_path / "two", tmp_path / "three"])
    echo = snapshot.models["echo"]
    assert echo.problem == "model appears in two or more repositories"
    assert echo.warnings == ("failed to poll model 'echo': not unique across all model repositories",)
    assert snapshot.models["other"].problem is None


def test_a_name_that_cannot_be_printed_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "a\nb").mkdir()
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    snapshot = scan([tmp_path])
    assert names(snapshot) == []
    assert len(snapshot.warnings) == 2
    assert all(warning.isprintable() for warning in snapshot.warnings)


def test_a_repository_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(
        UnavailableError, match="model repository 'gone' cannot be read: No such file"
    ) as caught:
        scan([tmp_path / "gone"])
    assert str(tmp_path) not in str(caught.value)


def test_a_configuration_that_is_no_text_is_the_models_problem(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.pbtxt").write_bytes(b"\xff\xfe")
    entry = scan([tmp_path]).models["m"]
    assert entry.problem is not None and entry.problem.startswith("config.pbtxt:1: byte 0xff is not UTF-8")
    assert entry.fingerprint


def test_a_configuration_that_cannot_be_read_is_the_models_problem(tmp_path: Path) -> None:
    (tmp_path / "m" / "config.pbtxt").mkdir(parents=True)
    entry = scan_model(tmp_path / "m")
    assert entry.problem == "failed to read 'config.pbtxt' of model 'm': Is a directory"


def test_another_configuration_can_be_named(tmp_path: Path) -> None:
    write(tmp_path / "m" / "config.pbtxt", "max_batch_size: 1")
    write(tmp_path / "m" / "configs" / "big.pbtxt", "max_batch_size: 9")
    write(tmp_path / "n" / "config.pbtxt", "max_batch_size: 1")
    models = scan([tmp_path], config_name="big").models
    assert (models["m"].config_file, models["m"].config_text) == ("configs/big.pbtxt", "max_batch_size: 9")
    assert (models["n"].config_file, models["n"].config_text) == ("config.pbtxt", "max_batch_size: 1")
    with pytest.raises(ConfigError):
        scan([tmp_path], config_name="../big")


def test_a_second_look_sees_no_difference(tmp_path: Path) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    first = scan([tmp_path])
    assert not diff(first, scan([tmp_path]))


def test_models_come_go_and_change(tmp_path: Path) -> None:
    write(tmp_path / "stays" / "1" / "model.py", "one")
    write(tmp_path / "goes" / "1" / "model.py")
    write(tmp_path / "changes" / "1" / "model.py", "one")
    before = scan([tmp_path])
    (tmp_path / "goes").rename(tmp_path / "comes")
    write(tmp_path / "changes" / "1" / "model.py", "three")
    found = diff(before, scan([tmp_path]))
    assert found
    assert changed_names(found) == (["comes"], ["goes"], ["changes"])


@pytest.mark.parametrize(
    "touched", ["1/model.py", "1/deep/weights.bin", "2/", "labels.txt", "config.pbtxt", "1/link"]
)
def test_any_file_of_a_model_changes_it(tmp_path: Path, touched: str) -> None:
    write(tmp_path / "m" / "1" / "model.py", "one")
    before = scan([tmp_path])
    path = tmp_path / "m" / touched
    if touched.endswith("/"):
        path.mkdir()
    elif touched.endswith("link"):
        path.symlink_to("nowhere")
    else:
        write(path, "longer than before")
    assert changed_names(diff(before, scan([tmp_path]))) == ([], [], ["m"])


def test_a_new_time_alone_changes_a_model(tmp_path: Path) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    before = scan([tmp_path])
    os.utime(tmp_path / "m" / "1" / "model.py", ns=(1, 1))
    assert changed_names(diff(before, scan([tmp_path]))) == ([], [], ["m"])


@pytest.mark.parametrize("written", ["1/__pycache__/model.cpython-311.pyc", ".tmp/half", "1/.model.py.swp"])
def test_what_a_running_model_or_an_editor_writes_changes_nothing(tmp_path: Path, written: str) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    before = scan([tmp_path])
    write(tmp_path / "m" / written)
    assert not diff(before, scan([tmp_path]))


def test_linked_directories_are_followed_and_a_loop_of_them_ends(tmp_path: Path) -> None:
    write(tmp_path / "store" / "weights.bin", "one")
    (tmp_path / "repository" / "m" / "1").mkdir(parents=True)
    (tmp_path / "repository" / "m" / "1" / "store").symlink_to(tmp_path / "store")
    (tmp_path / "repository" / "m" / "1" / "loop").symlink_to(tmp_path / "repository" / "m")
    before = scan([tmp_path / "repository"])
    write(tmp_path / "store" / "weights.bin", "three")
    assert changed_names(diff(before, scan([tmp_path / "repository"]))) == ([], [], ["m"])
