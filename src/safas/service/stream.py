"""WS /v1/stream: JPEG frames in, a running verdict out after each.

The client sends one frame a binary message, and gets one JSON text for each, in order: `frame`, what that frame alone
shows; `verdict`, over the last k frames (k is the bundle's); `complete`, whether there are k; `number` of the frame.
The text "reset" begins anew. Where a key is needed and the client cannot send headers (a page cannot), its first
message is the text {"key": "..."}. What is wrong with one frame is answered in the shape of every error, and the
stream goes on; what is wrong with the caller ends it.
"""

import asyncio
import json
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from safas.errors import SafasError
from safas.predictor import Predictor
from safas.service.guard import HEADER, Guard
from safas.service.pool import Pool
from safas.service.refusals import Refusal, unreadable
from safas.service.settings import Settings
from safas.service.telemetry import LABEL, Metrics
from safas.service.verdict import answer
from safas.service.window import Look, Window, look

GOING_AWAY, REFUSED, TRY_LATER = 1001, 1008, 1013  # RFC 6455, 7.4.1; 1013 from IANA's list of close codes
_FRAME = ("label", "score", "box", "nearest_domain", "distance", "rotation")


class Streams:
    """The streams of one service."""

    def __init__(
        self, predictor: Predictor, settings: Settings, guard: Guard, pool: Pool, metrics: Metrics
    ) -> None:
        self._predictor, self._settings, self._guard = predictor, settings, guard
        self._pool, self._metrics = pool, metrics
        self._open = 0

    async def serve(self, socket: WebSocket) -> None:
        """One stream, until its client leaves, is silent for too long, or is not let in."""
        await socket.accept()
        try:
            await self._let_in(socket)
            await self._answer_all(socket)
        except WebSocketDisconnect:
            return
        except Refusal as refusal:
            await socket.send_json(refusal.to_dict())
            await socket.close(TRY_LATER if refusal.status in (429, 503) else REFUSED, refusal.what)
        except TimeoutError:
            await socket.close(GOING_AWAY, "silent for too long")

    async def _let_in(self, socket: WebSocket) -> None:
        _check_origin(socket)
        key = socket.headers.get(HEADER)
        if key is None and self._guard.needs_key:
            key = _key_in(await self._next(socket))
        self._guard.count(socket, key)
        self._guard.check(key)

    async def _answer_all(self, socket: WebSocket) -> None:
        if self._open >= self._settings.streams:
            raise Refusal(503, "too many streams", where="stream", remedy="Come back later.")
        window = Window(self._predictor)
        self._open += 1
        try:
            with self._metrics.streams.track_inprogress():
                while True:
                    message = await self._next(socket)
                    await socket.send_json(await self._answer(socket, window, message))
        finally:
            self._open -= 1

    async def _next(self, socket: WebSocket) -> str | bytes:
        message = await asyncio.wait_for(socket.receive(), self._settings.timeout)
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        content: str | bytes = message.get("bytes") or message.get("text") or b""
        return content

    async def _answer(self, socket: WebSocket, window: Window, message: str | bytes) -> dict[str, Any]:
        if message == "reset":
            window.clear()
            return {"reset": True}
        try:
            if isinstance(message, str):
                raise Refusal(422, "an unknown message", where="stream", remedy='Send frames, or "reset".')
            with self._pool.place(self._settings.timeout) as place:
                seen = await place.run(partial(look, self._predictor, message))
        except Refusal as refusal:
            return refusal.to_dict()
        except SafasError as error:
            return unreadable(error, "frame", "Send a whole image file, such as a JPEG.").to_dict()
        return self._told(socket, window, seen)

    def _told(self, socket: WebSocket, window: Window, seen: Look) -> dict[str, Any]:
        """The frame's answer; every k frames, what the window shows is counted as one presentation."""
        verdict, own = window.add(seen.seen), seen.verdict.to_dict()
        self._metrics.frames.inc()
        if window.number % window.k == 0:
            self._metrics.saw(verdict)
            socket.scope[LABEL] = verdict.label
        return {
            "number": window.number,
            "complete": window.number >= window.k,
            "frame": {name: own[name] for name in _FRAME} | {"timings": seen.timings},
            "verdict": answer(verdict, self._predictor, socket.state.id),
        }


def stream_routes(streams: Streams) -> APIRouter:
    """The route."""
    router = APIRouter()

    @router.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await streams.serve(socket)

    return router


def _check_origin(socket: WebSocket) -> None:
    """Raises Refusal (403) for a page of another site: browsers let any page open a socket to anywhere."""
    origin = socket.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != socket.headers.get("host"):
        remedy = "Use the service's own page; a proxy must hand on its Host."
        raise Refusal(403, "a page of another site", where="Origin", remedy=remedy)


def _key_in(message: str | bytes) -> str | None:
    """The key of a first message {"key": "..."}."""
    try:
        told = json.loads(message)
    except (ValueError, RecursionError):
        return None
    key = told.get("key") if isinstance(told, dict) else None
    return key if isinstance(key, str) else None
