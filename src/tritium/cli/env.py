"""``tritium env``: environments for engines that cannot live in the server's own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tritium.environments.oneflow import OneFlowEnvironment, default_directory, find_environment
from tritium.environments.oneflow_installer import install, is_ready
from tritium.environments.progress import Progress
from tritium.errors import TritiumError

OK = 0
FAILED = 1

_EXAMPLE = """\
example:
  tritium env oneflow
  tritium env oneflow --dir /data/oneflow --python /opt/python3.10/bin/python3.10

The server looks in the default directory, or where TRITIUM_ONEFLOW_ENV or
--backend-config=oneflow,environment=DIR says.

exit codes: 0 ready, 1 it cannot be made, 2 wrong usage
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Teach ``parser`` which environments there are."""
    engines = parser.add_subparsers(dest="engine", metavar="ENGINE", title="engines", required=True)
    oneflow = engines.add_parser(
        "oneflow",
        help="OneFlow's own runtime, 0.9.0 under Python 3.10",
        description="Install OneFlow 0.9.0 in an environment of its own (a download of 1 GB, 2.6 GB on disk) "
        "and run a graph in it. What is there already is kept.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    oneflow.add_argument(
        "--python", type=Path, metavar="PATH", help="the Python 3.10 to use; found if not given"
    )
    oneflow.add_argument(
        "--dir", type=Path, metavar="DIR", help="where to put it (TRITIUM_ONEFLOW_ENV, or the user's cache)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the environment: the exit code."""
    chosen: Path | None = arguments.dir
    environment = OneFlowEnvironment(chosen.absolute()) if chosen is not None else find_environment({})
    progress = Progress(sys.stderr)
    try:
        if not is_ready(environment):
            install(environment, arguments.python, progress)
    except TritiumError as error:
        progress.clear()
        print(f"tritium env oneflow: error: {error}", file=sys.stderr)
        return FAILED
    progress.clear()
    print(f"OneFlow 0.9.0 is ready in {environment.directory}")
    if environment != find_environment({}):
        print(f"serve with --backend-config=oneflow,environment={environment.directory}")
    elif environment.directory != default_directory():
        print("the server finds it by TRITIUM_ONEFLOW_ENV")
    return OK
