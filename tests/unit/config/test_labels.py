from __future__ import annotations

import os
from pathlib import Path

import pytest

from tritium.config.labels import check_files, read_labels
from tritium.core.model_config import ModelConfig, ModelOutput
from tritium.errors import ConfigError


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\r\ndog", ("cat", "dog")),
        (b"a\n\nc\n", ("a", "", "c")),
        (b"", ()),
        ("\ufeffÉtoile\u2028x\n".encode(), ("Étoile\u2028x",)),
    ],
)
def test_a_label_is_a_line(tmp_path: Path, raw: bytes, labels: tuple[str, ...]) -> None:
    (tmp_path / "labels.txt").write_bytes(raw)
    assert read_labels(tmp_path / "labels.txt") == labels


def test_a_missing_file_is_named_without_its_place(tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.mkdir()
    with pytest.raises(ConfigError) as caught:
        read_labels(model / "nofile.txt")
    assert str(caught.value).startswith(
        "failed to open text file for read m/nofile.txt: No such file or directory"
    )
    assert str(tmp_path) not in str(caught.value)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ConfigError, match=r"is not UTF-8: .* at byte 3"):
        read_labels(tmp_path / "labels.txt")


def test_a_file_of_no_sane_size_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.touch()
    os.truncate(path, (64 << 20) + 1)
    with pytest.raises(ConfigError, match="is larger than"):
        read_labels(path)


def test_labels_are_read_by_output(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\n")
    config = ModelConfig(output=(ModelOutput("p", label_filename="labels.txt"), ModelOutput("q")))
    assert check_files(config, tmp_path) == {"p": ("a", "b")}
    with pytest.raises(ConfigError):
        check_files(ModelConfig(output=(ModelOutput("p", label_filename="none.txt"),)), tmp_path)
