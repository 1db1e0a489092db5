"""Whatever a configuration file holds, nothing but ConfigError comes out (CVE-2025-23335)."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

import pytest

from tritium.config.autocomplete import can_batch, merge
from tritium.config.defaults import normalize, with_name
from tritium.config.document import document_of
from tritium.config.pbtxt import config_from_document, decode_config, read_config
from tritium.config.platforms import complete_backend
from tritium.config.validate import check
from tritium.core.model_config import ModelConfig
from tritium.core.model_description import TensorSpec
from tritium.errors import ConfigError

BATCHED = """
name: "m"
backend: "onnxruntime"
max_batch_size: 8
version_policy { specific { versions: [ 1, 3 ] } }
input [ { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, -1, 224 ]
          reshape { shape: [ 3, -1, 224 ] } } ]
output [ { name: "y" data_type: TYPE_INT64 dims: [ 10 ] label_filename: "labels.txt" } ]
batch_input [ { kind: BATCH_ELEMENT_COUNT target_name: "n" data_type: TYPE_INT32 source_input: "x" } ]
optimization { graph { level: 1 } execution_accelerators { cpu_execution_accelerator [ { name: "a" } ] } }
dynamic_batching {
  preferred_batch_size: [ 2, 4 ] max_queue_delay_microseconds: 100
  priority_levels: 2 default_priority_level: 1
  priority_queue_policy { key: 2 value { timeout_action: DELAY
    default_timeout_microseconds: 18446744073709551615 } }
}
instance_group [ { count: 2 kind: KIND_CPU
  rate_limiter { resources [ { name: "r" count: 1 } ] priority: 2 } } ]
parameters { key: "k" value { string_value: "v" } }
model_warmup [ { name: "w" batch_size: 1
  inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 3 ] zero_data: true } } } ]
response_cache { enable: true }
"""
SEQUENCED = """
backend: "python"
max_batch_size: 4
input { name: "x" data_type: TYPE_STRING dims: -1 }
sequence_batching {
  direct { minimum_slot_utilization: 0.5 }
  control_input [ { name: "S" control [ { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } ] } ]
  state [ { input_name: "i" output_name: "o" data_type: TYPE_FP32 dims: [ 1 ]
            initial_state { name: "z" data_type: TYPE_FP32 dims: [ 1 ] zero_data: true } } ]
}
model_transaction_policy { decoupled: true }
"""
ENSEMBLE = """
platform: "ensemble"
input [ { name: "IN" data_type: TYPE_FP32 dims: [ 1 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ 1 ] } ]
ensemble_scheduling { step [
  { model_name: "a" model_version: -1 input_map { key: "x" value: "IN" } output_map { key: "y" value: "T" } },
  { model_name: "b" model_version: -1 input_map { key: "x" value: "T" } output_map { key: "y" value: "OUT" } }
] }
"""
SOURCES = (BATCHED, SEQUENCED, ENSEMBLE)
TOKENS = (
    *(
        "-1",
        "0",
        "2147483647",
        "-2147483648",
        "9223372036854775807",
        "-9223372036854775808",
        "1e400",
        "nan",
        "-inf",
    ),
    *(
        '""',
        '"\\000"',
        '"\\xff"',
        '"../../etc"',
        '"/etc/passwd"',
        "'",
        "{",
        "}",
        "[",
        "]",
        ":",
        "<",
        ">",
        "#",
        ";",
    ),
    *(
        "TYPE_INVALID",
        "TYPE_STRING",
        "KIND_GPU",
        "true",
        "reshape { }",
        "dims: []",
        "name",
        "\0",
        "\u2028",
        "é",
    ),
)


NUMBERS = ("-2", "-1", "0", "1", "7", "2147483647", "-2147483648", "9223372036854775807")
STRINGS = ('""', '"x"', '"T"', '"../x"', '"/x"', '"\\000"', '"ensemble"', '"' + "n" * 300 + '"', '"\u2028"')
ENUMS = (
    *(
        "TYPE_INVALID",
        "TYPE_STRING",
        "TYPE_BF16",
        "KIND_AUTO",
        "KIND_GPU",
        "KIND_MODEL",
        "FORMAT_NHWC",
        "DELAY",
    ),
    *("CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_CORRID", "BATCH_ITEM_SHAPE", "PRIORITY_MAX"),
)


def replace_token(text: str, dice: random.Random) -> str:
    words = list(re.finditer(r'"[^"]*"|[\w.-]+|[^\s]', text))
    word = dice.choice(words)
    return text[: word.start()] + dice.choice(TOKENS) + text[word.end() :]


def replace_alike(text: str, dice: random.Random) -> str:
    """Another value of the same kind, which the parser takes."""
    values = list(re.finditer(r'"[^"]*"|-?\b\d+\b|\b[A-Z]{4,}_[A-Z_0-9]+\b|\btrue\b', text))
    value = dice.choice(values)
    if value[0].startswith('"'):
        new = dice.choice(STRINGS)
    elif value[0] == "true":
        new = "false"
    elif value[0].lstrip("-").isdigit():
        new = dice.choice(NUMBERS)
    else:
        prefix = value[0].split("_")[0]
        new = dice.choice([name for name in ENUMS if name.startswith(prefix)] or ENUMS)
    return text[: value.start()] + new + text[value.end() :]


def delete_field(text: str, dice: random.Random) -> str:
    fields = list(re.finditer(r'\b[a-z_]+: ("[^"]*"|[\w.-]+|\[[^\[\]{}]*\])|\b[a-z_]+ \{[^{}]*\}', text))
    field = dice.choice(fields)
    return text[: field.start()] + text[field.end() :]


def delete_span(text: str, dice: random.Random) -> str:
    start = dice.randrange(len(text))
    return text[:start] + text[start + dice.randrange(1, 40) :]


def repeat_line(text: str, dice: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    index = dice.randrange(len(lines))
    return "".join([*lines[:index], lines[index] * dice.choice((2, 3, 50)), *lines[index:]])


def splice(text: str, dice: random.Random) -> str:
    other = dice.choice(SOURCES)
    return text[: dice.randrange(len(text))] + other[dice.randrange(len(other)) :]


Mutation = Callable[[str, random.Random], str]
GRAMMATICAL: tuple[Mutation, ...] = (replace_alike, delete_field)
MUTATIONS: tuple[Mutation, ...] = (*GRAMMATICAL, replace_token, delete_span, repeat_line, splice)


def serve(text: str) -> ModelConfig:
    """The way of a configuration from file to document."""
    config = with_name(read_config(text, "config.pbtxt"), "m")
    config = complete_backend(config, {"model.onnx"})
    if not config.is_ensemble:
        tensors = [TensorSpec("x", "TYPE_FP32", (-1, 3, -1, 224))]
        config = merge(config, tensors, tensors, can_batch(tensors), default_max_batch_size=4).config
    config = normalize(config)
    check(config)
    return config


@pytest.mark.parametrize("text", SOURCES)
def test_the_sources_of_the_mutations_are_served(text: str) -> None:
    serve(text)


@pytest.mark.parametrize("mutations", [GRAMMATICAL, MUTATIONS])
@pytest.mark.parametrize("seed", range(10))
def test_a_mutated_text_is_served_or_refused(seed: int, mutations: tuple[Mutation, ...]) -> None:
    dice = random.Random(seed)
    for _ in range(50):
        text = dice.choice(SOURCES)
        for _ in range(dice.randrange(1, 4)):
            text = dice.choice(mutations)(text, dice)
        try:
            config = serve(text)
        except ConfigError as error:
            assert str(error).isprintable(), text
            continue
        document = json.loads(json.dumps(document_of(config), allow_nan=False))
        assert config_from_document(document) == config, text


def test_mutated_bytes_are_served_or_refused() -> None:
    dice = random.Random(7)
    for _ in range(200):
        raw = bytearray(dice.choice(SOURCES).encode())
        for _ in range(dice.randrange(1, 5)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        try:
            serve(decode_config(bytes(raw), "config.pbtxt"))
        except ConfigError as error:
            assert str(error).isprintable()
