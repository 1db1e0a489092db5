"""The ``tritium`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tritium import serve
from tritium.cli import check, dev, env, export
from tritium.cli.launch import FAILURE, Run, launch
from tritium.cli.serve_flags import add_flags, options_of
from tritium.server import product_version

USAGE_ERROR = 2  # argparse's exit code

_SERVE_EXAMPLE = """\
example:
  tritium serve --model-repository models
  curl localhost:8000/v2/health/ready

Every flag, also those of tritonserver: docs/reference/flags.md
"""


def main(argv: Sequence[str] | None = None, *, run: Run = serve.run) -> int:
    """Run the command line ``argv`` (without the program's name) and return the exit code.

    Args:
        run: serves until it is told to stop.
    """
    parser = make_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as ending:  # argparse has printed help or an error
        return ending.code if isinstance(ending.code, int) else USAGE_ERROR
    if arguments.command == "serve":
        return _serve(arguments, run)
    if arguments.command == "dev":
        return dev.run(arguments)
    if arguments.command == "check":
        return check.run(arguments)
    if arguments.command == "export":
        return export.run(arguments)
    if arguments.command == "env":
        return env.run(arguments)
    parser.print_help()
    return USAGE_ERROR


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="tritium", description="A Triton-compatible inference server.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"tritium {product_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    serving = commands.add_parser(
        "serve",
        usage="tritium serve --model-repository DIR [flags]",
        help="serve the models of a repository",
        description="Load the models of a repository and serve them until SIGINT or SIGTERM.",
        epilog=_SERVE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_flags(serving)
    developing = commands.add_parser(
        "dev",
        help="serve one model.py while you write it",
        description="Serve one python model: with breakpoint(), reload on save, and whole tracebacks.",
        epilog=dev.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    dev.add_flags(developing)
    checking = commands.add_parser(
        "check",
        help="say whether a repository can be served",
        description="Read every model of the repositories and say what would keep it from being served.",
        epilog="exit codes: 0 all models are fine, 1 a model is not, 2 wrong usage or no models",
        allow_abbrev=False,
    )
    check.add_flags(checking)
    exporting = commands.add_parser(
        "export",
        help="write a model as a file that other programs run",
        description="Write a model of a training framework as a file that other programs run.",
        allow_abbrev=False,
    )
    export.add_flags(exporting)
    making = commands.add_parser(
        "env",
        help="make an environment for an engine that needs its own",
        description="Make environments for engines that cannot live in the server's own.",
        allow_abbrev=False,
    )
    env.add_flags(making)
    return parser


def _serve(arguments: argparse.Namespace, run: Run) -> int:
    try:
        options = options_of(arguments)
    except ValueError as error:
        return _refuse(str(error), USAGE_ERROR)
    for repository in options.model_repositories:
        if not repository.is_dir():
            found = "a file" if repository.exists() else "nothing"
            return _refuse(f"--model-repository {repository}: expected a directory, found {found}", FAILURE)
    return launch(options, run)


def _refuse(message: str, code: int) -> int:
    print(f"tritium serve: error: {message}", file=sys.stderr)
    return code
