"""The web application's routes: the page, the styles, and paintings on their way.

    cd examples && python -m fast_neural_style.web.server --tritium localhost:8000

    GET    /                            the page; its parts are below /page/
    GET    /api/status                  whether the painter is ready, and the limits
    GET    /api/example.jpg             the cat
    GET    /api/styles/<style>.jpg      the cat in a style
    POST   /api/paintings?style=<style> a picture as the body: 202 and the painting's id
    GET    /api/paintings/<id>          how far it is; DELETE throws it away
    GET    /api/paintings/<id>/<which>.jpg   which: before, after

Errors are JSON: ``{"error": {"kind": ..., "text": ...}}``, the text for the person who looks at the page.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from fast_neural_style.web import pictures
from fast_neural_style.web.infer import DEFAULT_STYLE, NUM_STYLES, PainterError, is_ready
from fast_neural_style.web.pictures import PictureError
from fast_neural_style.web.studio import KEPT_S, BusyError, Painting, Studio
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = Path(__file__).resolve().parent / "page"
CAT = Path(__file__).resolve().parents[1] / "cat.jpg"
UPLOAD_S = 60.0  # a phone on a slow line sends 20 MB in less
STATUS = {
    "empty": 400,
    "too_small": 400,
    "too_large": 413,
    "not_a_picture": 415,
    "painter_away": 503,
    "painter_busy": 503,
    "painter_failed": 502,
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class SafeHeaders:
    """Puts ``HEADERS`` on every response, and forbids keeping what comes from /api/."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault(
                    "Cache-Control", "no-store" if scope["path"].startswith("/api/") else "no-cache"
                )
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)


async def index(request: Request) -> Response:
    """The page itself."""
    return FileResponse(PAGE / "index.html")


async def status(request: Request) -> Response:
    """What the page must know before anything is sent."""
    return JSONResponse(
        {
            "ready": await asyncio.to_thread(is_ready, request.state.url),
            "styles": NUM_STYLES,
            "default_style": DEFAULT_STYLE,
            "max_bytes": pictures.MAX_BYTES,
            "types": pictures.TYPES,
            "kept_minutes": round(KEPT_S / 60),
        }
    )


async def example(request: Request) -> Response:
    """The cat."""
    return FileResponse(CAT, headers={"Cache-Control": "max-age=3600"})


async def style(request: Request) -> Response:
    """The cat in a style."""
    path = await _studio(request).thumbnail(_style(request.path_params["style"]))
    return FileResponse(path, headers={"Cache-Control": "max-age=600"})


async def paint(request: Request) -> Response:
    """Take a picture in."""
    chosen = _style(request.query_params.get("style", str(DEFAULT_STYLE)))
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared not in pictures.TYPES:
        raise PictureError("not_a_picture", "Only JPEG, PNG and WebP pictures can be painted.")
    painting = await _studio(request).accept(lambda: _body(request), chosen)
    return JSONResponse(_describe(_studio(request), painting), status_code=202)


async def painting(request: Request) -> Response:
    """How far a painting is."""
    return JSONResponse(_describe(_studio(request), _find(request)))


async def remove(request: Request) -> Response:
    """Throw a painting away."""
    _studio(request).remove(_find(request))
    return Response(status_code=204)


async def picture(request: Request) -> Response:
    """The photo as it was painted, or what became of it."""
    found, which = _find(request), request.path_params["which"]
    if which == "before":
        return FileResponse(found.photo)
    if which == "after" and found.state == "done":
        return FileResponse(found.result)
    raise HTTPException(404)


def application(url: str) -> ASGIApp:
    """The application, whose files are gone when it has shut down.

    Args:
        url: host:port of the inference server.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        with tempfile.TemporaryDirectory(prefix="paintings-", ignore_cleanup_errors=True) as folder:
            studio = Studio(Path(folder), url, CAT)
            async with asyncio.TaskGroup() as tasks:
                work = tasks.create_task(studio.run(), name="studio")
                yield {"studio": studio, "url": url}
                work.cancel()

    routes = [
        Route("/", index),
        Route("/api/status", status),
        Route("/api/example.jpg", example),
        Route("/api/styles/{style}.jpg", style),
        Route("/api/paintings", paint, methods=["POST"]),
        Route("/api/paintings/{id}", painting, methods=["GET"]),
        Route("/api/paintings/{id}", remove, methods=["DELETE"]),
        Route("/api/paintings/{id}/{which}.jpg", picture),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]
    handlers: dict[Any, Any] = {
        PictureError: _known_error,
        PainterError: _known_error,
        BusyError: _busy,
        HTTPException: _http_error,
        ClientDisconnect: _client_gone,
        Exception: _unexpected,
    }
    return SafeHeaders(Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers))


def _studio(request: Request) -> Studio:
    studio: Studio = request.state.studio
    return studio


def _find(request: Request) -> Painting:
    found = _studio(request).find(request.path_params["id"])
    if found is None or found.unwanted:
        raise HTTPException(404, "This painting is no longer here. Paint the picture again.")
    return found


def _describe(studio: Studio, found: Painting) -> dict[str, Any]:
    elapsed, expected = studio.seconds(found)
    description: dict[str, Any] = {
        "id": found.id,
        "style": found.style,
        "state": found.state,
        "ahead": studio.ahead(found) if found.state == "waiting" else 0,
        "seconds": round(elapsed, 2),
        "expected_seconds": None if expected is None else round(expected, 2),
    }
    if found.state == "failed":
        description["error"] = {"kind": found.kind, "text": found.error}
    return description


def _style(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) < NUM_STYLES):
        raise HTTPException(404, f"There is no such style; they are 0 to {NUM_STYLES - 1}.")
    return int(text)


async def _body(request: Request) -> bytes:
    """The body, which is refused as soon as it is known to be too large."""
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > pictures.MAX_BYTES:
        raise PictureError("too_large", pictures.too_many_bytes())
    body = bytearray()
    try:
        async with asyncio.timeout(UPLOAD_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > pictures.MAX_BYTES:
                    raise PictureError("too_large", pictures.too_many_bytes())
    except TimeoutError:
        raise HTTPException(408, f"The picture did not arrive within {UPLOAD_S:.0f} seconds.") from None
    return bytes(body)


def _error(status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"kind": kind, "text": text}}, status_code=status, headers=headers)


async def _known_error(request: Request, error: PictureError | PainterError) -> Response:
    return _error(STATUS[error.kind], error.kind, str(error))


async def _busy(request: Request, error: BusyError) -> Response:
    text = "Many pictures are being painted right now. Try again in a few seconds."
    return _error(503, "busy", text, {"Retry-After": "5"})


async def _http_error(request: Request, error: HTTPException) -> Response:
    return _error(error.status_code, "http", error.detail, dict(error.headers or {}))


async def _client_gone(request: Request, error: ClientDisconnect) -> Response:
    return _error(400, "gone", "The client went away.")


async def _unexpected(request: Request, error: Exception) -> Response:
    return _error(500, "unexpected", "Something went wrong here. Try again.")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="The page that paints pictures with the model multi_style.")
    parser.add_argument("--tritium", default="localhost:8000", help="host:port of the inference server")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for phones")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on")
    arguments = parser.parse_args()
    uvicorn.run(
        application(arguments.tritium),
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
        limit_concurrency=200,
    )


if __name__ == "__main__":
    main()
