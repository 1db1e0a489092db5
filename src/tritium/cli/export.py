"""``tritium export``: a model of a training framework as a file that other programs run."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tritium.errors import TritiumError
from tritium.export.oneflow import to_onnx
from tritium.oneflow.translate import BATCH_METADATA

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

OK = 0
FAILED = 1
UNUSABLE = 2

_SAVED_FILE = "model.mlir"
_MODEL_DIRECTORY = "model"  # of a version directory
_EXAMPLE = """\
example:
  tritium export oneflow models/classifier/1/model classifier.onnx

exit codes: 0 written, 1 the graph cannot be translated, 2 wrong usage
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Teach ``parser`` what can be exported."""
    sources = parser.add_subparsers(dest="source", metavar="FRAMEWORK", title="frameworks", required=True)
    oneflow = sources.add_parser(
        "oneflow",
        help="a graph that oneflow.save wrote, to ONNX",
        description="Translate a graph that oneflow.save wrote to an ONNX model; OneFlow is not needed.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    oneflow.add_argument(
        "directory", type=Path, metavar="DIR", help="what oneflow.save wrote, or a version directory with it"
    )
    oneflow.add_argument("output", type=Path, metavar="OUT.onnx", help="the file to write")
    oneflow.add_argument("--force", action="store_true", help="overwrite OUT.onnx")


def run(arguments: argparse.Namespace) -> int:
    """Export, and print what was written: the exit code."""
    output: Path = arguments.output
    problem = _source_problem(arguments.directory) or _output_problem(output, force=arguments.force)
    if problem:
        return _refuse(problem, UNUSABLE)
    try:
        model = to_onnx(_saved_graph(arguments.directory))
    except TritiumError as error:
        return _refuse(str(error), FAILED)
    content = model.SerializeToString()
    try:
        _publish(output, content)
    except OSError as error:
        return _refuse(f"{output}: cannot be written: {error.strerror}", FAILED)
    print("\n".join(_report(model, output, len(content))))
    return OK


def _saved_graph(directory: Path) -> Path:
    """The directory with model.mlir: this one, or its ``model``."""
    inner = directory / _MODEL_DIRECTORY
    return inner if (inner / _SAVED_FILE).exists() else directory


def _source_problem(directory: Path) -> str | None:
    if not directory.is_dir():
        found = "a file" if directory.exists() else "nothing"
        return f"{directory}: expected a directory, found {found}"
    if not (_saved_graph(directory) / _SAVED_FILE).exists():
        return (
            f"{directory}: expected {_SAVED_FILE} in it, or in {_MODEL_DIRECTORY}/ of it, found neither; "
            "name the directory that oneflow.save wrote, or a version directory of a model repository"
        )
    return None


def _output_problem(output: Path, *, force: bool) -> str | None:
    if output.is_dir():
        return f"{output}: expected a file name, found a directory; write {output / 'model.onnx'}"
    if output.exists() and not force:
        return f"{output} exists; choose another name, or overwrite it by --force"
    if not output.parent.is_dir():
        return f"{output}: there is no directory {output.parent}; make it first"
    return None


def _publish(output: Path, content: bytes) -> None:
    """Put ``content`` at ``output`` in one step, so that nobody reads half of it."""
    descriptor, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.chmod(0o644)
        temporary.replace(output)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _report(model: ModelProto, output: Path, size_bytes: int) -> Iterator[str]:
    graph = model.graph
    yield (
        f"{output}: {len(graph.node)} operations, {len(graph.initializer)} constants, "
        f"{size_bytes / 1000:.1f} kB, opset {model.opset_import[0].version}"
    )
    for side, tensors in (("input", graph.input), ("output", graph.output)):
        yield from (f"  {side:6}  {tensor.name}  {_type(tensor)}" for tensor in tensors)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    yield f"  batch   {metadata[BATCH_METADATA]}"


def _type(tensor: ValueInfoProto) -> str:
    from onnx import TensorProto

    shape = tensor.type.tensor_type.shape
    dims = ", ".join(dim.dim_param or str(dim.dim_value) for dim in shape.dim)
    return f"{TensorProto.DataType.Name(tensor.type.tensor_type.elem_type)} [{dims}]"


def _refuse(message: str, code: int) -> int:
    print(f"tritium export: error: {message}", file=sys.stderr)
    return code
