"""Tests for ``tritium.cli.triton_values``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritium.cli import triton_values as v

PAIR = (
    "Cannot parse pair option due to incorrect number of inputs.--<pair option> argument requires format "
    "<first>:<second>. Found: "
)
RESOURCE = (
    "--rate-limit-resource option format is '<resource_name>:<count>:<device>' or "
    "'<resource_name>:<count>'. Got "
)


@pytest.mark.parametrize("text", ["true", "True", "ON", "on", "1"])
def test_words_for_true(text: str) -> None:
    assert v.boolean(text) is True


@pytest.mark.parametrize("text", ["false", "FALSE", "Off", "0"])
def test_words_for_false(text: str) -> None:
    assert v.boolean(text) is False


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (v.boolean, "maybe", "invalid value for bool option: maybe"),
        (v.boolean, "2", "invalid value for bool option: 2"),
        (v.integer(), "abc", "Invalid option value. Got abc"),
        (v.integer(), "1x", "Invalid option value. Got 1x"),
        (v.integer(), "", "Invalid option value. Got "),
        (
            v.port,
            "99999999999",
            "Provided option value is out of bound. Got 99999999999 (expected 0 to 65535)",
        ),
        (v.port, "-1", "Provided option value is out of bound. Got -1 (expected 0 to 65535)"),
        (v.log_level, "abc", "Invalid option value. Got abc"),
        (v.number, "x", "Invalid option value. Got x"),
        (v.path, "", "Invalid option value. Got "),
        (v.one_of("--rate-limit", "off"), "foo", "invalid argument for --rate-limit"),
        (v.trace_level, "foo", "invalid value for trace level option: foo"),
        (
            v.pair(":", v.integer(), v.integer()),
            "5",
            PAIR + "5",
        ),
        (v.pair(":", v.integer(), v.integer()), "a:1", "Invalid option value. Got a"),
        (
            v.cache_config,
            "foo",
            "No cache specified. --cache-config option format is <cache name>,<setting>=<value>. Got foo",
        ),
        (v.host_policy, "5", "--host-policy option format is '<policy name>,<setting>=<value>'. Got 5"),
        (v.metrics_config, "foo", "--metrics-config option format is <setting>=<value>. Got foo"),
        (
            v.rate_limit_resource,
            "x",
            RESOURCE + "x",
        ),
        (
            v.restricted("--http-restricted-api"),
            "foo",
            "--http-restricted-api option format is '<config name>:<setting>=<value>'. Got foo",
        ),
        (
            v.backend_config,
            "a,b",
            "--backend-config option format is '<backend name>,<setting>=<value>'. Got a,b",
        ),
    ],
)
def test_a_value_that_is_none_is_refused_in_tritons_words(
    parse: v.TritonParse, text: str, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (v.integer(), " 1", 1),
        (v.integer(), "-3", -3),
        (v.thread_count, "0", 1),
        (v.thread_count, "8", 8),
        (v.number, "7.5", 7.5),
        (v.log_level, "0", "info"),
        (v.log_level, "-1", "info"),
        (v.log_level, "2", "verbose"),
        (v.log_level, "true", "verbose"),
        (v.log_level, "false", "info"),
        (v.path, "a/b", Path("a/b")),
        (v.text, "", ""),
        (v.trace_level, "OFF", "OFF"),
        (v.pair("-", v.port, v.port), "1-2", (1, 2)),
        (v.cache_config, "local,size=1", ("local", "size", "1")),
        (v.rate_limit_resource, "R:1:0", ("r", 1)),
    ],
)
def test_values_are_read(parse: v.TritonParse, text: str, value: object) -> None:
    assert parse(text) == value
