"""The ``tritonserver`` command: tritium behind the real one's flags, messages and exit codes."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence

from tritium import serve
from tritium.cli.launch import FAILURE, Run, launch
from tritium.cli.triton_flag import NoEffect, Refused, TritonFlag
from tritium.cli.triton_flags import GROUPS
from tritium.cli.triton_options import (
    PROGRAM,
    CreationError,
    Given,
    RefusedFlagsError,
    UsageError,
    check_creation,
    options_of,
    parse,
    refuse,
)
from tritium.options import ServerOptions

_WIDTH = 80


def main(
    argv: Sequence[str] | None = None,
    *,
    run: Run = serve.run,
    adapt: Callable[[ServerOptions], ServerOptions] = lambda options: options,
) -> int:
    """Run the command line ``argv`` (without the program's name) and return the exit code.

    Args:
        run: serves until it is told to stop.
        adapt: what another command makes of the options; it may refuse its flags as ``refuse`` does.
    """
    try:
        given = parse(sys.argv[1:] if argv is None else argv)
        refuse(given)
        options = options_of(given)
        _print_warnings(given)
        check_creation(options)
        options = adapt(options)
    except UsageError as error:  # --help too: tritonserver answers it with status 1
        message = f"\n{error}" if str(error) else ""
        print(f"{usage()}{message}", file=sys.stderr)
        return FAILURE
    except (RefusedFlagsError, CreationError) as error:
        print(error, file=sys.stderr)
        return FAILURE
    return launch(options, run)


def _print_warnings(given: Sequence[Given]) -> None:
    for flag, _, _ in given:
        if flag.replaced_by:
            print(f"Warning: '--{flag.name}' is deprecated; use '{flag.replaced_by}'", file=sys.stderr)


def usage() -> str:
    """The usage text: every flag, with what it does here."""
    lines = [f"Usage: {PROGRAM} [options]"]
    for title, flags in GROUPS.items():
        lines += ["", f"{title}:"]
        for flag in flags:
            lines += _usage_of(flag)
    return "\n".join([*lines, ""])


def _usage_of(flag: TritonFlag) -> Iterator[str]:
    yield f"  --{flag.name}" if flag.parse is None else f"  --{flag.name} <value>"
    text = flag.help
    if isinstance(flag.effect, NoEffect):
        text += f" (accepted, no effect: {flag.effect.reason})"
    elif isinstance(flag.effect, Refused):
        text += f" (refused: {flag.effect.reason})"
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent="\t", subsequent_indent="\t", break_on_hyphens=False
    )


if __name__ == "__main__":
    sys.exit(main())
