"""Label files: the texts of a classification's classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tritium.core.model_config import ModelConfig
from tritium.errors import ConfigError

_MAX_LABELS_BYTES = 64 << 20  # a bound on what one file may cost; a million classes take a quarter


def read_labels(path: Path) -> tuple[str, ...]:
    """The lines of a label file: class ``i`` is line ``i``, from 0; an empty line is an empty label.

    Raises:
        ConfigError: the file cannot be read, is not UTF-8, or is larger than 64 MiB.
    """
    shown = f"{path.parent.name}/{path.name}"  # clients see the text, and not where the repository is
    try:
        if path.stat().st_size > _MAX_LABELS_BYTES:
            raise ConfigError(f"label file {shown} is larger than {_MAX_LABELS_BYTES} bytes")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"failed to open text file for read {shown}: {error.strerror}; put the file there, or remove "
            "label_filename"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"label file {shown} is not UTF-8: {error.reason} at byte {error.start}") from error
    lines = text.split("\n")
    return tuple(line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1]))


def check_files(config: ModelConfig, model_dir: Path) -> Mapping[str, tuple[str, ...]]:
    """Read the label files that a checked configuration names.

    Returns:
        The labels by the name of the output.

    Raises:
        ConfigError: a file cannot be read.
    """
    labelled = [output for output in config.output if output.label_filename]
    return {output.name: read_labels(model_dir / output.label_filename) for output in labelled}
