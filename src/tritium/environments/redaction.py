"""What programs print, without what their readers must not see."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]*://)[^/\s@]+@")
_QUERY = re.compile(r"(?P<url>[a-zA-Z][a-zA-Z0-9+.\-]*://[^\s?#]+)\?[^\s#]+")
_DIRECTORIES = re.compile(r"(?<![\w:/.*])/(?:[^\s/:;,\"'()\[\]]+/)+")
_FILE_URL = re.compile(r"file://[^\s'\"]*/")


def without_secrets(text: str) -> str:
    """``text`` without user names, passwords and query strings of its URLs."""
    return _QUERY.sub(r"\g<url>?***", _CREDENTIALS.sub(r"\g<scheme>***@", text))


def without_directories(text: str) -> str:
    """``text`` with absolute paths cut down to their last part; URLs of the network stay."""
    return _DIRECTORIES.sub("", _FILE_URL.sub("file:", text))
