"""The ``oneflow-serving`` command: tritonserver, with OneFlow-Serving's switches for accelerators."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tritium import serve
from tritium.backends.oneflow_xrt import OPENVINO, TENSORRT
from tritium.cli import tritonserver
from tritium.cli.launch import FAILURE, Run
from tritium.cli.triton_options import RefusedFlagsError
from tritium.options import ServerOptions

USAGE_ERROR = 2  # argparse's exit code
DEFAULT_STORE = "/models"  # as OneFlow-Serving's
_STORES = ("--model-store", "--model-repository")
_EPILOG = f"""\
All other flags are those of tritonserver (docs/reference/flags.md), such as --model-store DIR, the model
repository (default: {DEFAULT_STORE}), and --cpu-fallback, which serves KIND_GPU on the CPU.

The switches are for models without a config.pbtxt. A model that has one says there what runs it:
  parameters {{ key: "xrt" value {{ string_value: "openvino" }} }}

example:
  oneflow-serving --model-store models --enable-openvino resnet50
"""


def main(argv: Sequence[str] | None = None, *, run: Run = serve.run) -> int:
    """Run the command line ``argv`` (without the program's name) and return the exit code.

    Args:
        run: serves until it is told to stop.
    """
    try:
        arguments, rest = _parser().parse_known_args(argv)
    except SystemExit as ending:  # argparse has printed help or an error
        return ending.code if isinstance(ending.code, int) else USAGE_ERROR
    openvino, tensorrt = set(arguments.enable_openvino), set(arguments.enable_tensorrt)
    for name in sorted(openvino & tensorrt):
        print(
            f"error: {name} is given to --enable-openvino and to --enable-tensorrt; choose one",
            file=sys.stderr,
        )
        return FAILURE
    if not any(map(_names_a_store, rest)):
        rest = [*rest, _STORES[0], DEFAULT_STORE]
    xrt = {**dict.fromkeys(openvino, OPENVINO), **dict.fromkeys(tensorrt, TENSORRT)}
    return tritonserver.main(rest, run=run, adapt=lambda options: _with_xrt(options, xrt))


def _names_a_store(word: str) -> bool:
    """Whether it is one of the flags, or a beginning that is unique."""
    name = word.partition("=")[0]
    return len(name) > len("--model-") and any(flag.startswith(name) for flag in _STORES)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oneflow-serving",
        usage="%(prog)s [--model-store DIR] [--enable-openvino MODEL] [--enable-tensorrt MODEL] [flags]",
        description="Serve a repository of models that OneFlow saved, as OneFlow-Serving's command does.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for engine, text in ((OPENVINO, "OpenVINO, on the CPU"), (TENSORRT, "TensorRT, on a GPU")):
        parser.add_argument(
            f"--enable-{engine}",
            action="append",
            default=[],
            metavar="MODEL",
            help=f"run this model by {text}; may be repeated",
        )
    return parser


def _with_xrt(options: ServerOptions, xrt: Mapping[str, str]) -> ServerOptions:
    """``options`` with what runs each model.

    Raises:
        RefusedFlagsError: no repository has a model of that name.
    """
    missing = [
        name for name in sorted(xrt) if not any((root / name).is_dir() for root in options.model_repositories)
    ]
    if missing:
        places = ", ".join(map(str, options.model_repositories))
        raise RefusedFlagsError(
            "\n".join(
                f"error: --enable-{xrt[name]} {name}: there is no model of that name in {places}"
                for name in missing
            )
        )
    return replace(options, xrt=dict(xrt))


if __name__ == "__main__":
    sys.exit(main())
