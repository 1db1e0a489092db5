"""From options to a running server: opens the log, runs, closes the log."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tritium.errors import TritiumError
from tritium.log import configure
from tritium.options import ServerOptions

FAILURE = 1

Run = Callable[[ServerOptions, Callable[[str], None]], int]


def occupy_standard_files() -> None:
    """Open the null device where standard input, output or error is closed.

    Else the next socket would become standard error, and a library's message a part of somebody's response.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(opened, True)  # workers need theirs as well


def launch(options: ServerOptions, run: Run) -> int:
    """Run a server with its log: the exit code.

    Args:
        run: serves until it is told to stop; it is given a function that prints lines for people.
    """
    occupy_standard_files()
    try:
        log = configure(options)
    except TritiumError as error:
        print(f"error: creating server: {error.code.text} - {error}", file=sys.stderr)
        return FAILURE
    try:
        return run(options, log.report)
    finally:
        log.close()
