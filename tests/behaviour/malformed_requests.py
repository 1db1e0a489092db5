"""Byte sequences that are not HTTP/1.1 requests, or look like two different ones to two readers.

Each is followed by a request of its own on the wire (``SMUGGLED``), which nobody may answer.
"""

from __future__ import annotations

from collections.abc import Iterator

SMUGGLED = b"GET /v2 HTTP/1.1\r\nHost: smuggled\r\n\r\n"
CHUNK = b"5\r\nabcde\r\n0\r\n\r\n"
_POST = b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\n"


def get(line: bytes) -> bytes:
    """A request without a body that begins with ``line``."""
    return line + b"\r\nHost: x\r\n\r\n"


def header(field: bytes) -> bytes:
    """A GET with one more header line."""
    return b"GET /v2 HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n\r\n"


def framed(fields: bytes, body: bytes = b"abcde") -> bytes:
    """A POST with header lines that say how long ``body`` is."""
    return _POST + fields + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    """A POST with this chunked body."""
    return framed(b"Transfer-Encoding: chunked", body)


REQUEST_LINES = {
    "version 0.9": b"GET /v2 HTTP/0.9",
    "version 1.2": b"GET /v2 HTTP/1.2",
    "version 2.0": b"GET /v2 HTTP/2.0",
    "version 3.0": b"GET /v2 HTTP/3.0",
    "version 1.10": b"GET /v2 HTTP/1.10",
    "version 1": b"GET /v2 HTTP/1",
    "version 01.1": b"GET /v2 HTTP/01.1",
    "version 1.01": b"GET /v2 HTTP/1.01",
    "version in lower case": b"GET /v2 http/1.1",
    "space in the version": b"GET /v2 HTTP/ 1.1",
    "space before the slash of the version": b"GET /v2 HTTP /1.1",
    "space after the version": b"GET /v2 HTTP/1.1 ",
    "version of another protocol": b"GET /v2 HTTPS/1.1",
    "negative version": b"GET /v2 HTTP/-1.1",
    "version with a comma": b"GET /v2 HTTP/1,1",
    "version of letters": b"GET /v2 HTTP/a.b",
    "version with a sign": b"GET /v2 HTTP/+1.1",
    "version without a dot": b"GET /v2 HTTP/11",
    "ICY": b"GET /v2 ICY/1.1",
    "RTSP": b"DESCRIBE rtsp://x/v2 RTSP/1.0",
    "ICE": b"SOURCE /v2 ICE/1.0",
    "no version": b"GET /v2",
    "method only": b"GET",
    "no target": b"GET HTTP/1.1",
    "empty target": b"GET  HTTP/1.1",
    "no method": b"/v2 HTTP/1.1",
    "tab after the method": b"GET\t/v2 HTTP/1.1",
    "tab before the version": b"GET /v2\tHTTP/1.1",
    "space before the method": b" GET /v2 HTTP/1.1",
    "tab before the method": b"\tGET /v2 HTTP/1.1",
    "space in the target": b"GET /v 2 HTTP/1.1",
    "NUL in the method": b"G\0T /v2 HTTP/1.1",
    "NUL in the target": b"GET /v2\0 HTTP/1.1",
    "DEL in the target": b"GET /v2\x7f HTTP/1.1",
    "escape in the target": b"GET /v2\x1b[31m HTTP/1.1",
    "CR in the target": b"GET /v2\rHTTP/1.1",
    "LF in the target": b"GET /v2\n HTTP/1.1",
    "method in lower case": b"get /v2 HTTP/1.1",
    "method in mixed case": b"Get /v2 HTTP/1.1",
    "unknown method": b"GETT /v2 HTTP/1.1",
    "shorter method": b"GE /v2 HTTP/1.1",
    "method with a colon": b"GET: /v2 HTTP/1.1",
    "method with brackets": b"<GET> /v2 HTTP/1.1",
    "target without a slash": b"GET v2 HTTP/1.1",
    "target with a backslash": b"GET \\v2 HTTP/1.1",
    "target *": b"GET * HTTP/1.1",
    "OPTIONS *": b"OPTIONS * HTTP/1.1",
    "ftp target": b"GET ftp://x/v2 HTTP/1.1",
    "file target": b"GET file:///etc/passwd HTTP/1.1",
    "javascript target": b"GET javascript:alert(1) HTTP/1.1",
    "http target without a host": b"GET http: HTTP/1.1",
    "CONNECT": b"CONNECT x:80 HTTP/1.1",
    "CONNECT with a path": b"CONNECT /v2 HTTP/1.1",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM",
}

HEADERS = {
    "space before the colon": b"X-Name : a",
    "tab before the colon": b"X-Name\t: a",
    "space in a name": b"X Name: a",
    "space before a name": b" X-Name: a",
    "folded with a space": b"X-Name: a\r\n b",
    "folded with a tab": b"X-Name: a\r\n\tb",
    "folded before its value": b"X-Name:\r\n a",
    "no colon": b"X-Name",
    "empty name": b": a",
    "NUL in a name": b"X\0Name: a",
    "NUL in a value": b"X-Name: a\0b",
    "CR in a value": b"X-Name: a\rb",
    "CR before the colon": b"X-Name\r: a",
    "LF in a value": b"X-Name: a\nb",
    "LF ends a line": b"X-Name: a\nY-Name: b",
    "LF LF ends the head": b"X-Name: a\n\nGET /v2 HTTP/1.1\r\nHost: y",
    "CR CR LF": b"X-Name: a\r\r\nY: b",
    "parentheses in a name": b"X(Name): a",
    "comma in a name": b"X,Name: a",
    "brackets in a name": b"X[Name]: a",
    "braces in a name": b"X{Name}: a",
    "quotes in a name": b'X"Name": a',
    "slash in a name": b"X/Name: a",
    "at in a name": b"X@Name: a",
    "semicolon in a name": b"X;Name: a",
    "question mark in a name": b"X?Name: a",
    "backslash in a name": b"X\\Name: a",
    "equals for a colon": b"X-Name=a",
    "control character in a name": b"X\x01Name: a",
    "DEL in a name": b"X\x7fName: a",
    "byte above 127 in a name": b"X\xffName: a",
    "UTF-8 in a name": "Ünicode: a".encode(),
    "control character in a value": b"X-Name: \x01",
    "vertical tab in a value": b"X-Name: a\x0bb",
    "form feed in a value": b"X-Name: a\x0cb",
    "escape in a value": b"X-Name: \x1b[31m",
    "DEL in a value": b"X-Name: a\x7fb",
    "two hosts": b"Host: y",
    "the same host twice": b"Host: x",
    "header length twice": b"Inference-Header-Content-Length: 1\r\nInference-Header-Content-Length: 2",
    "content coding twice": b"Content-Encoding: gzip\r\nContent-Encoding: identity",
}

LENGTHS = {
    "+5": b"+5",
    "-1": b"-1",
    "-0": b"-0",
    "0x5": b"0x5",
    "5,5": b"5,5",
    "5, 5": b"5, 5",
    "5 5": b"5 5",
    "5;": b"5;",
    "5.0": b"5.0",
    "1e1": b"1e1",
    "5_0": b"5_0",
    "empty": b"",
    "abc": b"abc",
    "5abc": b"5abc",
    "quoted": b'"5"',
    "full-width digit": "\uff15".encode(),
    "superscript": "⁵".encode(),
    "with NUL": b"5\0",
    "with vertical tab": b"\x0b5",
    "2^64": b"18446744073709551616",
    "2^64-1": b"18446744073709551615",
    "30 digits": b"9" * 30,
    "10 TB": b"10000000000000",
    "folded": b"5\r\n 5",
    "twice the same": b"5\r\nContent-Length: 5",
    "twice, differing": b"5\r\nContent-Length: 6",
    "three times": b"5\r\nContent-Length: 0\r\nContent-Length: 5",
    "twice in other cases": b"5\r\ncontent-LENGTH: 6",
}

CODINGS = {
    "xchunked": b"xchunked",
    "chunkedx": b"chunkedx",
    "chunked, identity": b"chunked, identity",
    "chunked, gzip": b"chunked, gzip",
    "gzip": b"gzip",
    "gzip, chunked": b"gzip, chunked",
    "identity": b"identity",
    "chunked, chunked": b"chunked, chunked",
    "chunked chunked": b"chunked chunked",
    "quoted": b'"chunked"',
    "with NUL": b"chunked\0",
    "after a vertical tab": b"\x0bchunked",
    "with a parameter": b"chunked;q=1",
    "empty": b"",
    "comma": b",",
    "comma chunked": b",chunked",
    "chunked comma": b"chunked,",
    "folded": b"\r\n chunked",
    "then identity": b"chunked\r\nTransfer-Encoding: identity",
    "after identity": b"identity\r\nTransfer-Encoding: chunked",
    "twice": b"chunked\r\nTransfer-Encoding: chunked",
    "then gzip": b"chunked\r\nTransfer-Encoding: gzip",
    "with a length after it": b"chunked\r\nContent-Length: 5",
    "with a zero length": b"chunked\r\nContent-Length: 0",
    "with a long length": b"chunked\r\nContent-Length: 60",
    "after a length": b"chunked",  # see requests()
    "name with a space": b"chunked",
}

CHUNKS = {
    "size of letters": b"g\r\nabcde\r\n0\r\n\r\n",
    "negative size": b"-5\r\nabcde\r\n0\r\n\r\n",
    "size with a plus": b"+5\r\nabcde\r\n0\r\n\r\n",
    "size with 0x": b"0x5\r\nabcde\r\n0\r\n\r\n",
    "space before the size": b" 5\r\nabcde\r\n0\r\n\r\n",
    "size with a comma": b"5,5\r\nabcde\r\n0\r\n\r\n",
    "size with an underscore": b"0_5\r\nabcde\r\n0\r\n\r\n",
    "size with a dot": b"5.\r\nabcde\r\n0\r\n\r\n",
    "empty size": b"\r\nabcde\r\n0\r\n\r\n",
    "size 2^64": b"10000000000000000\r\nabcde\r\n0\r\n\r\n",
    "size 2^64+5": b"10000000000000005\r\nabcde\r\n0\r\n\r\n",
    "size of 40 digits": b"f" * 40 + b"\r\nabcde\r\n0\r\n\r\n",
    "size ends with LF": b"5\nabcde\r\n0\r\n\r\n",
    "size ends with CR": b"5\rabcde\r\n0\r\n\r\n",
    "size with NUL": b"5\0\r\nabcde\r\n0\r\n\r\n",
    "full-width size": "\uff15\r\nabcde\r\n0\r\n\r\n".encode(),
    "data longer than its size": b"5\r\nabcdef\r\n0\r\n\r\n",
    "data shorter than its size": b"5\r\nabcd\r\n0\r\n\r\n",
    "no CRLF after data": b"5\r\nabcde0\r\n\r\n",
    "LF after data": b"5\r\nabcde\n0\r\n\r\n",
    "CR after data": b"5\r\nabcde\r0\r\n\r\n",
    "extension with NUL": b"5;a=\0\r\nabcde\r\n0\r\n\r\n",
    "extension with LF": b"5;a=\n\r\nabcde\r\n0\r\n\r\n",
    "extension with CR": b"5;a\rb\r\nabcde\r\n0\r\n\r\n",
    "trailer without a colon": b"5\r\nabcde\r\n0\r\nBad\r\n\r\n",
    "trailer with a space in its name": b"5\r\nabcde\r\n0\r\nBad Name: a\r\n\r\n",
    "trailer with NUL": b"5\r\nabcde\r\n0\r\nBad: a\0b\r\n\r\n",
    "trailer ends with LF": b"5\r\nabcde\r\n0\r\nBad: a\n\r\n",
    "LF after the last chunk": b"5\r\nabcde\r\n0\n\n",
}

OTHER_PROTOCOLS = {
    "TLS hello": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n",
    "SSLv2 hello": b"\x80\x2e\x01\0\x02\0\x15\0\0\0\x10" + b"\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n\r\n",
    "memcached": b"stats\r\n\r\n",
    "SMTP": b"EHLO x\r\n\r\n",
    "PROXY": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "PROXY v2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\0" * 12 + b"\r\n\r\n",
    "SOCKS": b"\x05\x01\0\r\n\r\n",
    "NUL": b"\0" * 100 + b"\r\n\r\n",
    "noise": bytes((i * 97 + 13) % 256 for i in range(500)) + b"\r\n\r\n",
    "a response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "JSON": b'{"inputs":[]}\r\n\r\n',
    "UTF-16": "GET /v2 HTTP/1.1\r\n\r\n".encode("utf-16") + b"\r\n\r\n",
    "byte order mark": b"\xef\xbb\xbfGET /v2 HTTP/1.1\r\nHost: x\r\n\r\n",
}


def requests() -> Iterator[tuple[str, bytes]]:
    """All of them: (name, bytes)."""
    for name, line in REQUEST_LINES.items():
        yield f"line: {name}", get(line)
    for name, field in HEADERS.items():
        yield f"header: {name}", header(field)
    yield "header: CR alone ends the head", b"GET /v2 HTTP/1.1\rHost: x\r\r\r\n\r\n"
    yield "header: folded before the first", b"GET /v2 HTTP/1.1\r\n Host: x\r\n\r\n"
    yield "line: LF ends it", b"GET /v2 HTTP/1.1\nHost: x\r\n\r\n"
    yield "line: LF everywhere", b"GET /v2 HTTP/1.1\nHost: x\n\n\r\n\r\n"
    for name, value in LENGTHS.items():
        yield f"length: {name}", framed(b"Content-Length: " + value)
    yield "length: with an unknown expectation", framed(b"Content-Length: 5\r\nExpect: 200-ok")
    yield "length: space before the colon", framed(b"Content-Length : 5")
    yield "length: LF before it", framed(b"X: a\nContent-Length: 5")
    for name, value in CODINGS.items():
        fields = b"Transfer-Encoding: " + value
        if name == "after a length":
            fields = b"Content-Length: 5\r\n" + fields
        elif name == "name with a space":
            fields = b"Transfer-Encoding : " + value
        yield f"coding: {name}", framed(fields, CHUNK)
    yield "coding: HTTP/1.0", chunked(CHUNK).replace(b"HTTP/1.1", b"HTTP/1.0")
    for name, body in CHUNKS.items():
        yield f"chunk: {name}", chunked(body)
    for name, data in OTHER_PROTOCOLS.items():
        yield f"protocol: {name}", data


ALL = dict(requests())
