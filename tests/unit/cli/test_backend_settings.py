"""Tests for ``tritium.cli.backend_settings``."""

from __future__ import annotations

import pytest

from tritium.cli.backend_settings import explain, merged, parse_backend_config


def test_a_setting_of_all_backends_has_no_backend() -> None:
    assert parse_backend_config("default-max-batch-size=8") == ("", "default-max-batch-size", "8")


def test_a_setting_of_one_backend_names_it() -> None:
    assert parse_backend_config("python,shm-default-byte-size=1") == ("python", "shm-default-byte-size", "1")


@pytest.mark.parametrize("text", ["foo", "a,b", "", ",a=b", "=b", "a,=b"])
def test_another_form_is_refused_in_tritons_words(text: str) -> None:
    expected = f"--backend-config option format is '<backend name>,<setting>=<value>'. Got {text}"
    with pytest.raises(ValueError) as caught:
        parse_backend_config(text)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("onnxruntime,threads=4", "backend 'onnxruntime' of tritium has no setting 'threads'"),
        (
            "nope=4",
            "tritium has no setting 'nope'; remove --backend-config=nope=4 .supported: default-max",
        ),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_backend_config(text)


@pytest.mark.parametrize("value", ["", "x", "-1", "2147483648"])
def test_the_batch_size_is_checked(value: str) -> None:
    with pytest.raises(ValueError, match="for default-max-batch-size, got"):
        parse_backend_config(f"default-max-batch-size={value}")


def test_the_last_value_of_a_key_counts() -> None:
    first = merged({}, "python", "a", "1")
    assert merged(merged(first, "python", "a", "2"), "", "b", "3") == {"python": {"a": "2"}, "": {"b": "3"}}
    assert first == {"python": {"a": "1"}}


def test_every_setting_is_explained() -> None:
    assert (
        "default-max-batch-size=<value>",
        "max_batch_size of models that batch and do not say how much",
    ) in explain()
    assert all(meaning for _, meaning in explain())


def test_pickles_are_allowed_by_one_word_only() -> None:
    allowed = ("oneflow_python", "allow-pickle", "true")
    assert parse_backend_config("oneflow_python,allow-pickle=true") == allowed
    with pytest.raises(ValueError, match="expected one of true, false for allow-pickle, got 'yes'"):
        parse_backend_config("oneflow_python,allow-pickle=yes")
