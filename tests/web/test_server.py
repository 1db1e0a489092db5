"""The routes, from outside, in front of a real tritium."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from fast_neural_style.web.pictures import MAX_BYTES
from PIL import Image

from tests.harness.http import Connection, Reply, request, wait_until
from tests.web.conftest import serving

JPEG = {"Content-Type": "image/jpeg"}
PAINT_S = 60.0


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    with Connection(port, timeout_s=PAINT_S) as connection:
        connection.send(request(method, path, body, headers))
        reply = connection.reply(head=method == "DELETE")  # 204 has no body and says no length
        assert reply is not None
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert b"/tmp" not in reply.body
        assert b"Traceback" not in reply.body
        return reply


def upload(port: int, body: bytes, headers: Mapping[str, str] = JPEG, style: object = 5) -> Reply:
    return ask(port, "POST", f"/api/paintings?style={style}", body, headers)


def when_finished(port: int, name: str) -> Reply:
    replies: list[Reply] = []

    def done() -> bool:
        replies.append(ask(port, "GET", f"/api/paintings/{name}"))
        return replies[-1].json["state"] in ("done", "failed")

    wait_until(done, PAINT_S, "the painting is finished")
    return replies[-1]


def test_the_page_and_its_parts_are_served_with_a_policy_that_trusts_nobody_else(port: int) -> None:
    page = ask(port, "GET", "/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    for text in ("http://", "https://", "style=", "onclick", "<script>"):
        assert text not in page.body.decode()
    for part in ("app.js", "style.css", "icon.svg", "compare.js", "camera.js", "studio.js"):
        assert ask(port, "GET", f"/page/{part}").status == 200


def test_a_picture_is_painted_and_can_be_fetched_and_thrown_away(port: int, cat: Path) -> None:
    taken = upload(port, cat.read_bytes(), style=3)
    assert (taken.status, taken.json["style"]) == (202, 3)
    name = taken.json["id"]
    assert when_finished(port, name).json["state"] == "done"
    pictures = [ask(port, "GET", f"/api/paintings/{name}/{which}.jpg") for which in ("before", "after")]
    assert [Image.open(io.BytesIO(picture.body)).size for picture in pictures] == [(451, 300), (1024, 681)]
    assert pictures[0].body != pictures[1].body
    assert all(picture.headers["cache-control"] == "no-store" for picture in pictures)
    assert ask(port, "DELETE", f"/api/paintings/{name}").status == 204
    for path in ("", "/before.jpg", "/after.jpg"):
        assert ask(port, "GET", f"/api/paintings/{name}{path}").status == 404


def test_each_style_has_a_thumbnail(port: int) -> None:
    thumbnails = [ask(port, "GET", f"/api/styles/{style}.jpg") for style in range(26)]
    assert {thumbnail.status for thumbnail in thumbnails} == {200}
    assert len({thumbnail.body for thumbnail in thumbnails}) == 26
    assert Image.open(io.BytesIO(thumbnails[0].body)).size == (240, 240)


def test_the_status_tells_the_limits(port: int) -> None:
    status = ask(port, "GET", "/api/status").json
    assert (status["ready"], status["styles"], status["max_bytes"]) == (True, 26, MAX_BYTES)


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"", JPEG, 400, "empty"),
        (b"<svg onload=alert(1)>", {"Content-Type": "image/svg+xml"}, 415, "not_a_picture"),
        (b"<svg onload=alert(1)>", JPEG, 415, "not_a_picture"),
        (b"<script>alert(1)</script>", {"Content-Type": "text/html"}, 415, "not_a_picture"),
        (b"\xff\xd8\xff\xe0" + bytes(500), JPEG, 415, "not_a_picture"),
        (b"x", {}, 415, "not_a_picture"),
    ],
    ids=["empty", "svg", "svg as jpeg", "html", "cut off", "no type"],
)
def test_what_is_not_a_picture_is_refused(
    port: int, body: bytes, headers: Mapping[str, str], status: int, kind: str
) -> None:
    refused = upload(port, body, headers)
    assert refused.status == status
    assert refused.headers["content-type"] == "application/json"
    assert refused.json["error"]["kind"] == kind
    assert "<" not in refused.json["error"]["text"]


def test_forty_megapixels_are_refused(port: int) -> None:
    file = io.BytesIO()
    Image.new("1", (8000, 5000)).save(file, "PNG")
    refused = upload(port, file.getvalue(), {"Content-Type": "image/png"})
    assert (refused.status, refused.json["error"]["kind"]) == (413, "too_large")
    assert "40 megapixels" in refused.json["error"]["text"]


def test_too_many_bytes_are_refused_before_they_are_sent(port: int) -> None:
    with Connection(port) as connection:
        connection.send(request("POST", "/api/paintings", headers={**JPEG, "Content-Length": str(10**12)}))
        reply = connection.reply()
        assert reply is not None
        assert (reply.status, reply.json["error"]["kind"]) == (413, "too_large")


def test_too_many_bytes_are_refused_when_their_number_was_not_announced(port: int) -> None:
    with Connection(port) as connection:
        connection.send(request("POST", "/api/paintings", headers={**JPEG, "Transfer-Encoding": "chunked"}))
        piece = b"%x\r\n%s\r\n" % (1_000_000, bytes(1_000_000))
        for _ in range(MAX_BYTES // 1_000_000 + 1):
            connection.send(piece)
        reply = connection.reply()
        assert reply is not None
        assert reply.status == 413


@pytest.mark.parametrize("style", [26, -1, "x", "", "1e1", "٣", "005"])
def test_styles_that_do_not_exist_are_not_found(port: int, cat: Path, style: object) -> None:
    assert upload(port, cat.read_bytes(), style=quote(str(style))).status == 404
    assert ask(port, "GET", f"/api/styles/{quote(str(style))}.jpg").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/paintings/../../etc/passwd",
        "/api/paintings/..%2f..%2fserver.py/before.jpg",
        "/api/paintings/unknown",
        "/page/../server.py",
        "/page/..%2fserver.py",
        "/page/%2e%2e/server.py",
        "/page/",
        "/server.py",
    ],
)
def test_nothing_else_can_be_fetched(port: int, path: str) -> None:
    assert ask(port, "GET", path).status == 404


def test_fifty_at_once_are_painted_or_told_to_come_back(port: int) -> None:
    small = io.BytesIO()
    Image.new("RGB", (96, 64), "teal").save(small, "JPEG")
    with ThreadPoolExecutor(50) as people:
        replies = list(people.map(lambda style: upload(port, small.getvalue(), style=style % 26), range(50)))
    taken = [reply.json["id"] for reply in replies if reply.status == 202]
    refused = [reply for reply in replies if reply.status != 202]
    assert all(reply.status == 503 and reply.json["error"]["kind"] == "busy" for reply in refused)
    assert all(reply.headers["retry-after"] == "5" for reply in refused)
    assert len(taken) >= 16
    assert {when_finished(port, name).json["state"] for name in taken} == {"done"}
    assert upload(port, small.getvalue()).status == 202


def test_without_tritium_the_page_is_there_and_says_what_is_wrong(nobody: str, cat: Path) -> None:
    with serving(nobody) as port:
        assert ask(port, "GET", "/").status == 200
        assert ask(port, "GET", "/api/status").json["ready"] is False
        thumbnail = ask(port, "GET", "/api/styles/0.jpg")
        assert (thumbnail.status, thumbnail.json["error"]["kind"]) == (503, "painter_away")
        taken = upload(port, cat.read_bytes())
        failed = when_finished(port, taken.json["id"]).json
        assert (failed["state"], failed["error"]["kind"]) == ("failed", "painter_away")
        assert ask(port, "GET", f"/api/paintings/{taken.json['id']}/after.jpg").status == 404


def test_no_file_is_left_when_the_application_ends(
    painter_url: str, cat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with serving(painter_url) as port:
        when_finished(port, upload(port, cat.read_bytes()).json["id"])
        assert any(tmp_path.rglob("*.jpg"))
    assert list(tmp_path.iterdir()) == []
