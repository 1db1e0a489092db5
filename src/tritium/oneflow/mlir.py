"""The text of model.mlir to operations: the generic form of MLIR, as far as OneFlow 0.9.0 writes it.

One recursive descent over the tokens, without backing up. Whatever does not fit ends it; its line is named.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from math import prod

from tritium.core.tensor import DataType
from tritium.errors import ConfigError, TritiumError
from tritium.oneflow.graph import Attribute, Operation, TensorType
from tritium.oneflow.tokens import Token, tokens

# Bounds on what a file may ask of the server, far above what OneFlow writes for the networks there are.
MAX_OPERATIONS = 100_000
MAX_DEPTH = 16  # of arrays in arrays
MAX_RANK = 32
MAX_BYTES = 1 << 34  # of one tensor
_MAX_DIGITS = 40  # of one number: Python's own conversion takes quadratic time

_ELEMENTS = {
    "f16": DataType.FP16, "f32": DataType.FP32, "f64": DataType.FP64, "bf16": DataType.BF16, "i1":
    DataType.BOOL, "si8": DataType.INT8, "ui8": DataType.UINT8, "si32": DataType.INT32, "si64":
    DataType.INT64,
}  # fmt: skip
_TENSOR = re.compile(r"tensor<((?:\d{1,12}x)*)([a-z]+\d*)>")
_FLOATS = {"f16": "<e", "f32": "<f", "f64": "<d"}
_ESCAPES = {"n": b"\n", "t": b"\t", '"': b'"', "\\": b"\\"}
_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2}|.)")


@dataclass(frozen=True, slots=True)
class Module:
    """The operations of a file, and the values that its function takes and returns."""

    arguments: tuple[str, ...]
    operations: tuple[Operation, ...]
    returned: tuple[str, ...]


def parse(text: str, file: str) -> Module:
    """Parse the text of ``file`` (a relative path, for the errors).

    Raises:
        ConfigError: it is not such a text; what and in which line is said.
    """
    return _Parser(text, file).module()


@dataclass(slots=True)
class _Head:
    """The names in front of and behind an operation's own name."""

    results: list[str]
    kind: str
    line: int
    operands: list[str] = field(default_factory=list)


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._tokens = tokens(text)
        self._next = next(self._tokens)
        self._types: dict[str, TensorType] = {}
        self._line = 1  # of the token that was taken last
        self._about = ""  # the operation that is being read, for the errors

    def module(self) -> Module:
        self._expect_word("module")
        self._expect("{")
        self._expect_word("oneflow.job")
        self._take("word", "the job's name")
        arguments = self._arguments()
        if self._accept("->"):
            self._type_list()
        self._expect("{")
        operations: list[Operation] = []
        while self._next.text != "oneflow.return":
            if len(operations) == MAX_OPERATIONS:
                raise self._error(f"there are more than {MAX_OPERATIONS} operations")
            operations.append(self._operation())
        returned = self._return()
        self._expect("}")
        self._expect("}")
        if self._next.kind != "end":
            raise self._unexpected("the end of the file")
        return Module(arguments, tuple(operations), returned)

    def _arguments(self) -> tuple[str, ...]:
        names: list[str] = []
        self._expect("(")
        while not self._accept(")"):
            if names:
                self._expect(",")
            name = self._take("value", "an argument").text
            self._expect(":")
            self._define(name, self._type())
            names.append(name)
        return tuple(names)

    def _return(self) -> tuple[str, ...]:
        self._take("word", "oneflow.return")
        values: list[str] = []
        while self._next.kind == "value":
            values.append(self._used(self._take("value", "a value")))
            self._accept(",")
        if values:
            self._expect(":")
            if self._types_of(values) != self._bare_types():
                raise self._error("the returned values have other types than their operations say")
        return tuple(values)

    def _operation(self) -> Operation:
        head = self._head()
        attributes = self._attributes() if self._next.text == "{" else {}
        name = attributes.get("op_name", "")
        self._about = f", op '{str(name)[:200]}' ({head.kind})"
        if not name or not isinstance(name, str):
            raise self._error("the attribute 'op_name' is missing or no string")
        self._expect(":")
        given = self._type_list()
        if given != self._types_of(head.operands):
            raise self._error("the types of the operands are not those of the operations that make them")
        self._expect("->")
        made = self._type_list()
        if len(made) != len(head.results):
            raise self._error(f"there are {len(head.results)} results but {len(made)} types of them")
        for result, type_ in zip(head.results, made, strict=True):
            self._define(result, type_)
        self._about = ""
        return Operation(
            head.kind, name, self._file, head.line, tuple(head.operands), given, tuple(head.results), made,
            attributes
        )  # fmt: skip

    def _head(self) -> _Head:
        line = self._next.line
        results: list[str] = []
        while self._next.kind == "value":
            results += self._numbered(self._take("value", "a result").text)
            if not self._accept(","):
                self._expect("=")
                break
        kind = self._string(self._take("string", "an operation's name in quotes"))
        dialect, _, short = kind.partition(".")
        if dialect != "oneflow" or not short:
            raise self._error(f"the operation '{kind[:100]}' is not one of OneFlow's")
        self._about = f" ({short[:100]})"
        head = _Head(results, short, line)
        self._expect("(")
        while not self._accept(")"):
            if head.operands:
                self._expect(",")
            head.operands.append(self._used(self._take("value", "an operand")))
        return head

    def _numbered(self, name: str) -> list[str]:
        """``%2:3`` is the three results ``%2#0``, ``%2#1``, ``%2#2``."""
        base, colon, count = name.partition(":")
        if not colon:
            return [name]
        if len(count) > 4:
            raise self._error(f"{name} is more results than any operation has")
        return [base] if int(count) == 1 else [f"{base}#{index}" for index in range(int(count))]

    def _attributes(self) -> dict[str, Attribute]:
        found: dict[str, Attribute] = {}
        self._expect("{")
        while not self._accept("}"):
            if found:
                self._expect(",")
            token = self._take_any("word", "string", expected="an attribute's name")
            key = token.text if token.kind == "word" else self._string(token)
            if key in found:
                raise self._error(f"the attribute '{key[:100]}' is given twice")
            found[key] = self._attribute(0) if self._accept("=") else True
            if key == "op_name":
                self._about = f"{self._about}, op '{str(found[key])[:200]}'"
        return found

    def _attribute(self, depth: int) -> Attribute:
        if depth > MAX_DEPTH:
            raise self._error(f"arrays are nested more than {MAX_DEPTH} deep")
        token = self._advance()
        if token.kind == "string":
            return self._string(token)
        if token.kind == "number":
            return self._number(token)
        if token.text == "[":
            return self._array(depth)
        if token.text in ("true", "false"):
            return token.text == "true"
        if token.text == "dense":
            self._expect("<")
            value: Attribute = () if self._next.text == ">" else self._attribute(depth + 1)
            self._expect(">")
            self._expect(":")
            self._take("type", "the type of the numbers")
            return value
        if token.kind == "word" and token.text.startswith("#"):
            return self._opaque(token)
        raise self._unexpected("a value", token)

    def _array(self, depth: int) -> tuple[Attribute, ...]:
        items: list[Attribute] = []
        while not self._accept("]"):
            if items:
                self._expect(",")
            items.append(self._attribute(depth + 1))
        return tuple(items)

    def _opaque(self, start: Token) -> str:
        """An attribute of a dialect, ``#sbp.parallel<...>``; nothing here needs what it says."""
        if not self._accept("<"):
            return start.text
        depth = 1
        while depth:
            token = self._advance()
            depth += (token.text == "<") - (token.text == ">")
            if token.kind == "end":
                raise self._unexpected("'>'", token)
        return start.text

    def _number(self, token: Token) -> int | float:
        kind = ""
        if self._accept(":"):
            kind = self._take("word", "the type of the number").text
        text = token.text
        if len(text) > _MAX_DIGITS:
            raise self._error(f"the number {text[:_MAX_DIGITS]}... is too long")
        if "x" in text:
            return self._bits(text, kind)
        if kind in _FLOATS or any(mark in text for mark in ".eE"):
            return float(text)
        if not -(1 << 63) <= int(text) < 1 << 63:
            raise self._error(f"the number {text} takes more than 64 bits")
        return int(text)

    def _bits(self, text: str, kind: str) -> int | float:
        """A hexadecimal number: of a float, its bits."""
        number = int(text, 16)
        size = struct.calcsize(_FLOATS.get(kind, "<q"))
        if not 0 <= number < 1 << (8 * size):
            raise self._error(f"{text} has more bits than {kind or 'any number'}")
        value: int | float = struct.unpack(_FLOATS.get(kind, "<q"), number.to_bytes(size, "little"))[0]
        return value

    def _string(self, token: Token) -> str:
        def escaped(match: re.Match[str]) -> str:
            code = match.group(1)
            byte = _ESCAPES.get(code) or (bytes.fromhex(code) if len(code) == 2 else b"")
            if not byte:
                raise self._error(f"\\{code} is no escape that a string can have")
            return byte.decode("latin-1")

        body = token.text[1:-1]
        if "\\" not in body:
            return body
        try:
            return _ESCAPE.sub(escaped, body.encode().decode("latin-1")).encode("latin-1").decode()
        except UnicodeError as error:
            raise self._error("a string is not UTF-8") from error

    def _type_list(self) -> tuple[TensorType, ...]:
        if self._next.text != "(":
            return (self._type(),)
        found: list[TensorType] = []
        self._expect("(")
        while not self._accept(")"):
            if found:
                self._expect(",")
            found.append(self._type())
        return tuple(found)

    def _bare_types(self) -> tuple[TensorType, ...]:
        found = [self._type()]
        while self._accept(","):
            found.append(self._type())
        return tuple(found)

    def _type(self) -> TensorType:
        token = self._take("type", "a tensor's type")
        match = _TENSOR.fullmatch(token.text)
        element = _ELEMENTS.get(match.group(2)) if match is not None else None
        if match is None or element is None:
            known = ", ".join(f"tensor<...{name}>" for name in _ELEMENTS)
            raise self._error(f"the type {token.text[:60]} is none of those that can be served: {known}")
        shape = tuple(int(size) for size in match.group(1).split("x")[:-1])
        if len(shape) > MAX_RANK or prod(shape) * element.itemsize > MAX_BYTES:
            raise self._error(
                f"the type {token.text[:60]} has more than {MAX_RANK} dimensions or {MAX_BYTES} bytes"
            )
        return TensorType(element, shape)

    def _define(self, name: str, type_: TensorType) -> None:
        if name in self._types:
            raise self._error(f"the value {name[:60]} is made twice")
        self._types[name] = type_

    def _used(self, token: Token) -> str:
        if token.text not in self._types:
            raise self._error(f"the value {token.text[:60]} is used before an operation made it", token.line)
        return token.text

    def _types_of(self, values: list[str]) -> tuple[TensorType, ...]:
        return tuple(self._types[value] for value in values)

    def _advance(self) -> Token:
        token, self._next = self._next, next(self._tokens)
        self._line = token.line
        return token

    def _accept(self, text: str) -> bool:
        if self._next.text != text or self._next.kind == "end":
            return False
        self._advance()
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._unexpected(f"'{text}'")

    def _expect_word(self, text: str) -> None:
        if self._next.kind != "word":
            raise self._unexpected(f"'{text}'")
        self._expect(text)

    def _take(self, kind: str, expected: str) -> Token:
        return self._take_any(kind, expected=expected)

    def _take_any(self, *kinds: str, expected: str) -> Token:
        if self._next.kind not in kinds:
            raise self._unexpected(expected)
        return self._advance()

    def _unexpected(self, expected: str, token: Token | None = None) -> TritiumError:
        token = token or self._next
        found = "the end of the file" if token.kind == "end" else repr(token.text[:60])
        return self._error(f"expected {expected}, found {found}", token.line)

    def _error(self, text: str, line: int | None = None) -> TritiumError:
        return ConfigError(
            f"{self._file}, line {line or self._line}{self._about}: {text}; the file must be as "
            "oneflow.save(graph, directory) of OneFlow 0.9.0 wrote it: save the graph again"
        )
