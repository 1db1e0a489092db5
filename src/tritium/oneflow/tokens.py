"""The words of a model.mlir file, one after another, with their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_WORDS = re.compile(
    r"""
      [ \t\r]+ | //[^\n]*
    | (?P<newline>\n)
    | (?P<value>%[A-Za-z0-9_$.\-]+(?:\#\d+|:\d+)?)
    | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
    | (?P<type>(?:tensor|vector)<[^<>\n]*>)
    | (?P<arrow>->)
    | (?P<number>-?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?))
    | (?P<word>[@\#]?[A-Za-z_$][A-Za-z0-9_$.]*)
    | (?P<mark>[()\[\]{}<>,:=])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """``kind`` is value, string, type, arrow, number, word, mark, other or end."""

    kind: str
    text: str
    line: int  # from 1


def tokens(text: str) -> Iterator[Token]:
    """The tokens of ``text``, and then ``end`` for ever. Takes time in proportion to the text."""
    line = 1
    for match in _WORDS.finditer(text):
        kind = match.lastgroup
        if kind == "newline":
            line += 1
        elif kind is not None:
            yield Token(kind, match.group(), line)
    while True:
        yield Token("end", "", line)
