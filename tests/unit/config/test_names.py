from __future__ import annotations

import pytest

from tritium.config.names import check_file_name, check_model_name, shown
from tritium.errors import ConfigError


def test_an_error_shows_a_name_on_one_short_line() -> None:
    assert shown("é\n\0\ud800\u2028") == r"é\n\x00\ud800\u2028"
    assert shown("a" * 201) == "a" * 200 + "..."


@pytest.mark.parametrize("name", ["m", "m.python", "modèle", "a b", "..m", "1", "m" * 255])
def test_takes_a_directory_name(name: str) -> None:
    check_model_name(name)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "Model name cannot be empty. Please enter a valid name to deploy."),
        (".", "invalid model name '.', model name must not contain path traversal characters"),
        ("..", "invalid model name '..', model name must not contain path traversal characters"),
        ("a/b", "must not contain path traversal characters"),
        ("a\\b", "must not contain path traversal characters"),
        ("a\nb", r"invalid model name 'a\nb', it holds characters that cannot be printed"),
        ("a\0", "cannot be printed"),
        ("\ud800", "cannot be printed"),
        ("m" * 256, "longer than 255 bytes"),
    ],
)
def test_refuses_a_name_that_is_no_directory_name(name: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_model_name(name)
    assert error in str(caught.value)


@pytest.mark.parametrize(
    "value", ["", "labels.txt", "sub/labels.txt", "..labels", "a..b/c", "./x", "été.txt"]
)
def test_takes_a_file_below_the_model(value: str) -> None:
    check_file_name("label_filename", value, "m")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("/etc/passwd", "'label_filename' of m is the absolute path '/etc/passwd'"),
        ("C:\\labels.txt", "absolute path"),
        ("\\\\host\\share", "absolute path"),
        ("..", "leaves the model's directory"),
        ("../other/labels.txt", "leaves the model's directory by '..'"),
        ("a/../../b", "leaves the model's directory"),
        ("a\\..\\b", "leaves the model's directory"),
        ("a\0b", r"holds a NUL character: 'a\x00b'"),
    ],
)
def test_refuses_a_file_elsewhere(value: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_file_name("label_filename", value, "m")
    assert error in str(caught.value)
