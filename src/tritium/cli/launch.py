"""From options to a running server: opens the log, runs, closes the log."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tritium.errors import TritiumError
from tritium.log import configure
from tritium.options import ServerOptions

FAILURE = 1

Run = Callable[[ServerOptions, Callable[[str], None]], int]


def launch(options: ServerOptions, run: Run) -> int:
    """Run a server with its log: the exit code.

    Args:
        run: serves until it is told to stop; it is given a function that prints lines for people.
    """
    try:
        log = configure(options)
    except TritiumError as error:
        print(f"error: creating server: {error.code.text} - {error}", file=sys.stderr)
        return FAILURE
    try:
        return run(options, log.report)
    finally:
        log.close()
