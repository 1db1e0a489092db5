"""Tests for ``tritium.cli.long_options``."""

from __future__ import annotations

import pytest

from tritium.cli.long_options import OptionSyntaxError, split_options

KNOWN = {"http-port": True, "http-address": True, "id": True, "idle": True, "quiet": False}


def split(*argv: str) -> list[tuple[str, str | None]]:
    return list(split_options(argv, KNOWN, program="p"))


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        ([], []),
        (["--id=a"], [("id", "a")]),
        (["--id", "a"], [("id", "a")]),
        (["--id="], [("id", "")]),
        (["--id=a=b"], [("id", "a=b")]),
        (["--id", "--quiet"], [("id", "--quiet")]),
        (["--quiet", "--id", "-1"], [("quiet", None), ("id", "-1")]),
        (["--http-p", "5"], [("http-port", "5")]),
        (["--id=a", "--id=b"], [("id", "a"), ("id", "b")]),
        (["--quiet", "--"], [("quiet", None)]),
    ],
)
def test_options_are_split_as_getopt_long_does(
    argv: list[str], options: list[tuple[str, str | None]]
) -> None:
    assert split(*argv) == options


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--nope"], "p: unrecognized option '--nope'"),
        (["--nope=1"], "p: unrecognized option '--nope'"),
        (["--http-prt=1"], "p: unrecognized option '--http-prt'; did you mean '--http-port'?"),
        (["--id"], "p: option '--id' requires an argument"),
        (["--quiet=true"], "p: option '--quiet' doesn't allow an argument"),
        (["--http=1"], "p: option '--http=1' is ambiguous; possibilities: '--http-port' '--http-address'"),
        (["-h"], "p: invalid option -- 'h'"),
        (["stray"], "Unexpected argument: stray"),
        (["--", "stray"], "Unexpected argument: stray"),
        (["-"], "Unexpected argument: -"),
    ],
)
def test_what_is_no_list_of_options_is_explained(argv: list[str], message: str) -> None:
    with pytest.raises(OptionSyntaxError) as caught:
        split(*argv)
    assert str(caught.value) == message
