"""Splits a command line as GNU getopt_long: ``--name=value``, ``--name value``, unique prefixes of names."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence


class OptionSyntaxError(Exception):
    """A command line that is no list of options; the text says why."""


def split_options(
    argv: Sequence[str], takes_value: Mapping[str, bool], *, program: str
) -> Iterator[tuple[str, str | None]]:
    """The options of ``argv`` in their order: full name and value (None for options that take none).

    Args:
        takes_value: by the name of each option.

    Raises:
        OptionSyntaxError: at the first word that is no option or lacks its value.
    """
    words = iter(argv)
    for word in words:
        if not word.startswith("-") or word in ("-", "--"):
            word = next(words, "") if word == "--" else word
            if not word:
                return
            raise OptionSyntaxError(f"Unexpected argument: {word}")
        if not word.startswith("--"):
            raise OptionSyntaxError(f"{program}: invalid option -- '{word[1]}'")
        given, equals, value = word[2:].partition("=")
        name = _full_name(word, given, takes_value, program)
        if not takes_value[name]:
            if equals:
                raise OptionSyntaxError(f"{program}: option '--{name}' doesn't allow an argument")
            yield name, None
        elif equals:
            yield name, value
        else:
            following = next(words, None)
            if following is None:
                raise OptionSyntaxError(f"{program}: option '--{name}' requires an argument")
            yield name, following


def _full_name(word: str, given: str, known: Mapping[str, bool], program: str) -> str:
    if given in known:
        return given
    possible = [name for name in known if name.startswith(given)]
    if len(possible) == 1:
        return possible[0]
    if possible:
        listed = " ".join(f"'--{name}'" for name in possible)
        raise OptionSyntaxError(f"{program}: option '{word}' is ambiguous; possibilities: {listed}")
    near = difflib.get_close_matches(given, known, n=1)
    hint = f"; did you mean '--{near[0]}'?" if near else ""
    raise OptionSyntaxError(f"{program}: unrecognized option '--{given}'{hint}")
