"""What a service tells of itself: metrics, one JSON line a request, and headers. Nothing that identifies anybody.

A line holds time, route, status, milliseconds and the verdict's label: no address, no key, no file name, no score.
"""

import json
import logging
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safas.service.pool import Pool
from safas.service.refusals import Refusal
from safas.verdict import Verdict

LOG = logging.getLogger("safas.service")
LABEL = "safas.label"  # in a request's scope: what was said of it
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TENTHS = tuple(step / 10 for step in range(1, 11))
_DISTANCES = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'wasm-unsafe-eval'",  # the page can run the network itself
            "worker-src 'self' blob:",
            "img-src 'self' blob: data:",
            "media-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",  # with the next: threads for WebAssembly
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Metrics:
    """The figures of one service, in a registry of its own."""

    def __init__(self, pool: Pool) -> None:
        own = self.registry = CollectorRegistry()
        self.requests = Counter(
            "safas_requests", "Answers by route and status.", ("route", "status"), registry=own
        )
        self.seconds = Histogram(
            "safas_request_seconds", "From request to answer.", ("route",), buckets=_SECONDS, registry=own
        )
        self.stages = Histogram(
            "safas_stage_seconds", "Of one verdict.", ("stage",), buckets=_SECONDS, registry=own
        )
        self.verdicts = Counter("safas_verdicts", "Presentations by verdict.", ("label",), registry=own)
        self.scores = Histogram("safas_score", "P(live) of presentations.", buckets=_TENTHS, registry=own)
        self.distances = Histogram(
            "safas_domain_distance",
            "To the nearest training domain, in standard deviations.",
            ("domain",), buckets=_DISTANCES, registry=own,
        )  # fmt: skip
        self.frames = Counter("safas_stream_frames", "Frames judged in streams.", registry=own)
        self.streams = Gauge("safas_streams", "Streams open now.", registry=own)
        taken = Gauge("safas_requests_in_flight", "Requests let in and not yet done.", registry=own)
        taken.set_function(lambda: pool.taken)
        depth = Gauge("safas_queue_depth", "Requests let in that no thread works on yet.", registry=own)
        depth.set_function(lambda: pool.waiting)

    def saw(self, verdict: Verdict) -> None:
        """Count one presentation."""
        self.verdicts.labels(verdict.label).inc()
        for stage, seconds in verdict.timings.items():
            self.stages.labels(stage).observe(seconds)
        if verdict.score is not None and verdict.distance is not None:
            self.scores.observe(verdict.score)
            self.distances.labels(verdict.nearest_domain).observe(verdict.distance)


_GONE = 499  # in metrics and log only: who asked has left, and nobody can be answered
_FAULT = Refusal(
    500,
    "a fault of the service",
    where="service",
    remedy="Tell its operator the X-Request-ID of this answer.",
)


class Observed:
    """ASGI middleware, outermost: an id, headers, a log line and metrics for every answer; 500 for a bug."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and watch."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope["state"] = {**scope.get("state", {}), "id": uuid.uuid4().hex}
        start, status = time.perf_counter(), 101 if scope["type"] == "websocket" else 500
        is_begun = False

        async def answered(message: Message) -> None:
            nonlocal status, is_begun
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status, is_begun = message["status"], True
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, "X-Request-ID": scope["state"]["id"]})
                if scope["path"].startswith("/v1/") and "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        try:
            await self._app(scope, receive, answered)
        except ClientDisconnect:
            status = _GONE
        except Exception:
            if scope["type"] != "http" or is_begun:
                raise
            LOG.exception("fault", extra={"told": {"id": scope["state"]["id"]}})
            await _FAULT.response()(scope, receive, answered)
        finally:
            self._tell(scope, status, time.perf_counter() - start)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        self._metrics.requests.labels(route, str(status)).inc()
        if scope["type"] == "http":
            self._metrics.seconds.labels(route).observe(seconds)
        told = {"route": route, "status": status, "ms": round(1000 * seconds, 1), "id": scope["state"]["id"]}
        label = scope.get(LABEL)
        LOG.info("request", extra={"told": told | ({"verdict": label} if label else {})})


def route_of(scope: Scope) -> str:
    """The route's pattern, never the path that was asked for: that can say anything, and there are endlessly many."""
    return str(getattr(scope.get("route"), "path", None) or "page")


class JsonLines(logging.Formatter):
    """A record as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time in UTC, level, event, and what else was told."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
