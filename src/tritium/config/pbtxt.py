"""config.pbtxt and JSON documents, read into ``ModelConfig``.

Nothing but ``ConfigError`` leaves this module, whatever the file holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import text_format

from tritium.config.advice import advise_field, advise_value
from tritium.config.messages import config_from_message, descriptor_of, message_from_document, new_message
from tritium.config.names import shown
from tritium.core.model_config import ModelConfig
from tritium.errors import ConfigError

# Far above any real one (labels and tensors live in files of their own); bounds the time of a load.
MAX_CONFIG_BYTES = 2 << 20

_NO_FIELD = re.compile(r'Message type "(?P<type>[\w.]+)" has no field named "(?P<name>[^"]*)"')
_NO_VALUE = re.compile(r'Enum type "(?P<type>[\w.]+)" has no value named (?P<name>.+)\.$', re.DOTALL)


def decode_config(raw: bytes, file_name: str) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: it is too large, binary, or not UTF-8.
    """
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(
            f"{file_name}: {len(raw)} bytes, but a model configuration has at most {MAX_CONFIG_BYTES}"
        )
    if b"\0" in raw:
        raise ConfigError(f"{file_name}: holds NUL bytes; expected protobuf text format, not a binary file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file_name}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from error


def read_config(text: str, file_name: str) -> ModelConfig:
    """A configuration in protobuf text format; an empty text is legal and gives the defaults.

    Args:
        file_name: what errors call the file; not opened.

    Raises:
        ConfigError: the text is wrong; says line, column and, where it can be guessed, what was meant.
    """
    message = new_message()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        place = f"{file_name}:{error.GetLine()}:{error.GetColumn()}" if error.GetLine() else file_name
        raise ConfigError(f"{place}: {_explain(str(error), text)}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{file_name}: {shown(str(error))}") from error
    return _named_after(file_name, message)


def config_from_json(text: str, source: str) -> ModelConfig:
    """A configuration as JSON text, as a load request brings it.

    Args:
        source: what errors call the text.

    Raises:
        ConfigError: the text is no JSON, too long, or does not fit.
    """
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(
            f"{source}: {len(text)} characters, but a model configuration has at most {MAX_CONFIG_BYTES}"
        )
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: expected a JSON object: {shown(str(error))}") from error
    return config_from_document(document, source)


def config_from_document(document: Mapping[str, Any], source: str = "model configuration") -> ModelConfig:
    """A configuration in the JSON form that ``/config`` shows (enums by name, maps as objects).

    Args:
        source: what errors call the document.

    Raises:
        ConfigError: the document does not fit.
    """
    return _named_after(source, message_from_document(document, source))


def _named_after(source: str, message: Any) -> ModelConfig:
    try:
        return config_from_message(message)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def _explain(error: str, text: str) -> str:
    """The parser's message in Triton's words, without position and quoted line, and with advice."""
    cause = re.sub(r"^\d+:\d+ : ", "", error)
    if unknown := _NO_FIELD.search(cause):
        fields = [f.name for f in getattr(descriptor_of(unknown["type"]), "fields", ())]
        return f"{shown(unknown[0])}. {advise_field(unknown['name'], fields)}"
    if wrong := _NO_VALUE.search(cause):
        values = [v.name for v in getattr(descriptor_of(wrong["type"]), "values", ())]
        name = shown(wrong["name"])
        quoted = name if name.startswith(('"', "'")) else f'"{name}"'
        return f"Unknown enumeration value of {quoted}. {advise_value(name, values)}"
    for line in text.split("\n"):  # the parser quotes the line, which may be long
        cause = cause.removeprefix(f"'{line}': ")
    cause = shown(cause.removesuffix(' for message type "inference.ModelConfig".'))
    if "Expected string but found" in cause:
        cause += ". Write the value in double quotes"
    return cause if cause.endswith(".") else f"{cause}."
