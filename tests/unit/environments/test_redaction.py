from __future__ import annotations

import pytest

from tritium.environments.redaction import without_directories, without_secrets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Looking in indexes: https://me:pw@host/simple", "Looking in indexes: https://***@host/simple"),
        ("https://token@host:8080/x and http://a:b@c", "https://***@host:8080/x and http://***@c"),
        ("GET https://host/file.whl?token=abc#frag", "GET https://host/file.whl?***#frag"),
        ("git+ssh://git@host/x.git", "git+ssh://***@host/x.git"),
        ("user@example.org is no URL", "user@example.org is no URL"),
    ],
)
def test_credentials_in_urls_are_hidden(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open '/srv/models/m/requirements.txt' failed", "open 'requirements.txt' failed"),
        ('File "/opt/env/lib/python3.8/site.py", line 1', 'File "site.py", line 1'),
        ("from https://host/simple/numpy/ (3 kB)", "from https://host/simple/numpy/ (3 kB)"),
        ("Location 'file:///opt/wheels/x/' is ignored", "Location 'file:' is ignored"),
        ("1/2 of a/b", "1/2 of a/b"),
    ],
)
def test_paths_of_the_server_are_cut_down_to_names(text: str, expected: str) -> None:
    assert without_directories(text) == expected
