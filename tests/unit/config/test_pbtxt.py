from __future__ import annotations

import time
from typing import Any

import pytest

from tritium.config.pbtxt import MAX_CONFIG_BYTES, config_from_document, decode_config, read_config
from tritium.core.model_config import (
    DynamicBatching,
    LatestVersions,
    ModelConfig,
    ModelInput,
    ModelInstanceGroup,
    ModelParameter,
    QueuePolicy,
    RateLimiter,
    RateLimiterResource,
    TensorReshape,
    VersionPolicy,
    WarmupInput,
)
from tritium.errors import ConfigError

FULL = """
# a comment
name: "m", backend: 'python';
max_batch_size: 8
version_policy: { latest { num_versions: 2 } }
input [ { name: "x" data_type: TYPE_FP32 dims: [ -1, 3 ] reshape { shape: [] } optional: true } ]
input { name: "y" data_type: TYPE_STRING dims: 1 format: FORMAT_NHWC }
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  priority_queue_policy { key: 2 value { timeout_action: DELAY max_queue_size: 7 } }
}
instance_group [ { count: 2 kind: KIND_CPU
  rate_limiter { resources [ { name: "r" global: true count: 3 } ] } } ]
parameters: { key: "k" value: { string_value: "v" } }
model_warmup { name: "w" inputs { key: "x" value { data_type: TYPE_FP32 dims: 3 zero_data: true } } }
"""


def test_reads_every_kind_of_field() -> None:
    config = read_config(FULL, "config.pbtxt")
    assert (config.name, config.backend, config.max_batch_size) == ("m", "python", 8)
    assert config.version_policy == VersionPolicy(latest=LatestVersions(2))
    assert config.input == (
        ModelInput("x", "TYPE_FP32", dims=(-1, 3), reshape=TensorReshape(), optional=True),
        ModelInput("y", "TYPE_STRING", "FORMAT_NHWC", dims=(1,)),
    )
    assert config.dynamic_batching == DynamicBatching(
        preferred_batch_size=(4, 8), priority_queue_policy={2: QueuePolicy("DELAY", max_queue_size=7)}
    )
    limiter = RateLimiter(resources=(RateLimiterResource("r", True, 3),))
    assert config.instance_group == (ModelInstanceGroup(kind="KIND_CPU", count=2, rate_limiter=limiter),)
    assert config.parameters == {"k": ModelParameter("v")}
    assert config.model_warmup[0].inputs == {"x": WarmupInput("TYPE_FP32", (3,), zero_data=True)}


def test_an_empty_text_is_a_configuration() -> None:
    assert read_config("", "config.pbtxt") == ModelConfig()
    assert read_config("# only a comment\n", "config.pbtxt") == ModelConfig()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            'name: "m"\n\n\n  foo: 1',
            'config.pbtxt:4:3: Message type "inference.ModelConfig" has no field named "foo". Remove it.',
        ),
        (
            "max_batchsize: 4",
            (
                'config.pbtxt:1:1: Message type "inference.ModelConfig" has no field named "max_batchsize". '
                "Did you mean 'max_batch_size'?"
            ),
        ),
        (
            "input { shape: 4 }",
            (
                'config.pbtxt:1:9: Message type "inference.ModelInput" has no field named "shape". '
                "Did you mean 'dims'?"
            ),
        ),
        (
            "optimization { graph { lvl_of_it: 1 } }",
            (
                'config.pbtxt:1:24: Message type "inference.ModelOptimizationPolicy.Graph" has no field '
                "named "
                '"lvl_of_it". Its fields are: level.'
            ),
        ),
        (
            "instance_group { kind: GPU }",
            (
                'config.pbtxt:1:24: Unknown enumeration value of "GPU". Did you mean KIND_GPU? The values '
                "are: KIND_AUTO, KIND_GPU, KIND_CPU, KIND_MODEL."
            ),
        ),
        (
            'instance_group { kind: "KIND_GPU" }',
            (
                'config.pbtxt:1:24: Unknown enumeration value of "KIND_GPU". Write it without quotes: '
                "KIND_GPU. The values are: KIND_AUTO, KIND_GPU, KIND_CPU, KIND_MODEL."
            ),
        ),
        (
            "dynamic_batching { }\nsequence_batching { }",
            (
                'config.pbtxt:2:1: Field "sequence_batching" is specified along with field '
                '"dynamic_batching", '
                'another member of oneof "scheduling_choice".'
            ),
        ),
        (
            "backend: python",
            "config.pbtxt:1:10: Expected string but found: 'python'. Write the value in double quotes.",
        ),
        ("max_batch_size: 99999999999", "config.pbtxt:1:17: Value out of range: 99999999999."),
        ("input [ {", 'config.pbtxt:1:9: Expected "}".'),
        ("max_batch_size: nan", "config.pbtxt:1:17: Couldn't parse integer: nan."),
        ("input { data_type: 77 }", "77 is no value of this enumeration"),
    ],
)
def test_says_where_and_what_was_meant(text: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(text, "config.pbtxt")
    assert error in str(caught.value)


@pytest.mark.parametrize("word", ["TYPE_FLOAT32", "FP32", "float32", "TYPE_FP_32"])
def test_guesses_the_datatype(word: str) -> None:
    with pytest.raises(ConfigError, match=r"Did you mean TYPE_FP32\? The values are: TYPE_BOOL, "):
        read_config(f"input {{ data_type: {word} }}", "config.pbtxt")


@pytest.mark.parametrize(
    "text",
    ["\0\1\2\3", 'name: "\\xff"', 'name: "\ud800"', '"', "[a.b/c.d] { }", "{" * 5000, "input {" * 5000],
)
def test_text_that_is_no_configuration_is_refused_in_one_printable_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(text, "config.pbtxt")
    assert str(caught.value).encode().decode().isprintable()
    assert len(str(caught.value)) < 400


def test_a_mebibyte_is_read_in_seconds() -> None:
    line = 'parameters { key: "%06d" value { string_value: "%0900d" } }\n'
    text = "".join(line % (i, i) for i in range(1100))
    started = time.perf_counter()
    assert len(text) > 1 << 20
    assert len(read_config(text, "config.pbtxt").parameters) == 1100
    assert time.perf_counter() - started < 50


def test_decodes_utf8_with_and_without_its_mark() -> None:
    assert decode_config("name: 'é'".encode(), "c") == "name: 'é'"
    assert decode_config(b"\xef\xbb\xbfbackend: 'x'", "c") == "backend: 'x'"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b'name: "a"\n# \xe9t\xe9\n', "c.pbtxt:2: byte 0xe9 is not UTF-8"),
        (b"\x7fELF\0\0", "c.pbtxt: holds NUL bytes"),
        (b"#" * (MAX_CONFIG_BYTES + 1), f"at most {MAX_CONFIG_BYTES}"),
    ],
)
def test_refuses_bytes_that_are_no_text(raw: bytes, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        decode_config(raw, "c.pbtxt")


def test_reads_a_document_as_config_shows_it() -> None:
    config = config_from_document(
        {
            "name": "m",
            "max_batch_size": 2,
            "input": [{"name": "x", "data_type": "TYPE_INT64", "dims": [-1]}],
            "dynamic_batching": {"priority_queue_policy": {"1": {"max_queue_size": 5}}},
        }
    )
    assert config.input == (ModelInput("x", "TYPE_INT64", dims=(-1,)),)
    assert config.dynamic_batching == DynamicBatching(
        priority_queue_policy={1: QueuePolicy(max_queue_size=5)}
    )


@pytest.mark.parametrize(
    "document",
    [
        {"foo": 1},
        {"input": [{"data_type": "TYPE_FOO"}]},
        {"input": [{"data_type": 99}]},
        {"input": {}},
        {"input": [None]},
        {"max_batch_size": 1.5},
        {"max_batch_size": "many"},
        {"name": 3},
        {"name": "\ud800"},
        {"dynamic_batching": {}, "sequence_batching": {}},
        {3: 4},
        [],
        "name",
    ],
)
def test_refuses_a_document_that_does_not_fit(document: Any) -> None:
    with pytest.raises(ConfigError, match=r"^override: ") as caught:
        config_from_document(document, "override")
    assert str(caught.value).encode().decode().isprintable()
