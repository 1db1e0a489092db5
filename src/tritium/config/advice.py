"""What to write instead: the second half of an error about a field or a value that does not exist."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType

# Words of other systems, and their places in a model configuration.
_FIELD_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "batch_size": "max_batch_size",
        "count": "instance_group",
        "data": "data_type",
        "datatype": "data_type",
        "decoupled": "model_transaction_policy",
        "dtype": "data_type",
        "gpus": "instance_group",
        "instances": "instance_group",
        "max_queue_delay": "max_queue_delay_microseconds",
        "model_name": "name",
        "shape": "dims",
        "type": "data_type",
        "versions": "version_policy",
        "warmup": "model_warmup",
    }
)
_VALUE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "BFLOAT16": "TYPE_BF16",
        "BYTES": "TYPE_STRING",
        "CPU": "KIND_CPU",
        "DOUBLE": "TYPE_FP64",
        "FLOAT": "TYPE_FP32",
        "FLOAT16": "TYPE_FP16",
        "FLOAT32": "TYPE_FP32",
        "FLOAT64": "TYPE_FP64",
        "GPU": "KIND_GPU",
        "HALF": "TYPE_FP16",
        "INT": "TYPE_INT32",
        "LONG": "TYPE_INT64",
        "STR": "TYPE_STRING",
    }
)
_MOST_NAMES = 12


def advise_field(wrong: str, fields: Sequence[str]) -> str:
    """A sentence that names the field that was meant, or the fields there are."""
    word = _FIELD_WORDS.get(wrong.lower())
    close = [word] if word in fields else get_close_matches(wrong.lower(), fields, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    if len(fields) <= _MOST_NAMES:
        return f"Its fields are: {', '.join(fields)}."
    return "Remove it."


def advise_value(wrong: str, values: Sequence[str]) -> str:
    """A sentence that names the value that was meant, and the values there are."""
    bare = wrong.strip("\"'")
    core = re.sub(r"^(TYPE|KIND|FORMAT)_", "", bare.upper())
    guess = [v for v in values if v == bare or v.endswith(f"_{core}")] or [
        v for v in values if v == _VALUE_WORDS.get(core)
    ]
    guess = guess or get_close_matches(bare.upper(), values, n=1)
    listed = f"The values are: {', '.join(v for v in values if v != 'TYPE_INVALID')}."
    if bare != wrong and guess:
        return f"Write it without quotes: {guess[0]}. {listed}"
    return f"Did you mean {guess[0]}? {listed}" if guess else listed
