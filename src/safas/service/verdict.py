"""POST /v1/verdict: one presentation, one verdict."""

import dataclasses
from dataclasses import dataclass
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from safas.errors import MediaError, SafasError
from safas.predictor import Predictor
from safas.service.evidence import keep
from safas.service.guard import HEADER, Guard, too_many
from safas.service.pool import Pool, full
from safas.service.refusals import Refusal, unreadable
from safas.service.settings import Settings
from safas.service.telemetry import LABEL, Metrics
from safas.service.uploads import FIELD, as_file, too_large, uploaded
from safas.verdict import Verdict


@dataclass(frozen=True)
class Thresholds:
    """Where the bundle's decisions lie."""

    pass_at: float
    """live from this score on"""
    deny_below: float
    """spoof below this score"""
    distance_limit: float
    """unfamiliar beyond this distance"""


def thresholds_of(predictor: Predictor) -> Thresholds:
    """Those of the bundle's model in use."""
    model = predictor.model
    return Thresholds(model.band.pass_at, model.band.deny_below, model.distance_limit)


@dataclass(frozen=True)
class Answer(Verdict):
    """A verdict with what it was decided by."""

    thresholds: Thresholds | None = None
    id: str = ""
    """of the request, as in the log and in the header X-Request-ID"""


def answer(verdict: Verdict, predictor: Predictor, request_id: str) -> dict[str, Any]:
    """The verdict for JSON."""
    more = {"thresholds": dataclasses.asdict(thresholds_of(predictor)), "id": request_id}
    return {**verdict.to_dict(), **more}


def verdict_routes(
    predictor: Predictor, settings: Settings, guard: Guard, pool: Pool, metrics: Metrics
) -> APIRouter:
    """The route, over one predictor."""
    router = APIRouter()

    @router.post("/v1/verdict", summary="Judge an image or a video", openapi_extra=_BODY, responses=_ANSWERS)
    async def verdict(request: Request) -> JSONResponse:
        """Live, spoof, unsure or no face, and why. Only "live" is an acceptance."""
        key = request.headers.get(HEADER)
        guard.count(request, key)
        guard.check(key)
        request_id = request.state.id
        with pool.place(settings.timeout) as place:
            async with uploaded(request, place, settings.max_bytes) as upload:
                job = _Job(predictor, upload, request_id, settings)
                seen, body = await place.run(job)
        metrics.saw(seen)
        request.scope[LABEL] = seen.label
        return JSONResponse(body)

    return router


@dataclass(frozen=True)
class _Job:
    """What a thread does for one request."""

    predictor: Predictor
    upload: BinaryIO
    request_id: str
    settings: Settings

    def __call__(self) -> tuple[Verdict, dict[str, Any]]:
        try:
            with as_file(self.upload) as path:
                seen = self.predictor(path)
        except SafasError as error:
            raise unreadable(error, FIELD, _REMEDY) from error
        body = answer(seen, self.predictor, self.request_id)
        if self.settings.keep_evidence is not None:
            keep(self.settings.keep_evidence, self.request_id, self.upload, body)
        return seen, body


_REMEDY = "Send a whole image (JPEG, PNG, WebP) or video (MP4, MOV, WebM, AVI), as the camera wrote it."
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {"type": "string", "format": "binary", "description": "image or video"}
                    },
                }
            }
        },
    }
}
_EXAMPLE = {
    "label": "live",
    "threshold": 0.61,
    "score": 0.912,
    "probability": 0.954,
    "box": {"x": 212.0, "y": 96.5, "w": 180.2, "h": 221.7},
    "nearest_domain": "office",
    "distance": 0.98,
    "reasons": [{"code": "above_pass", "text": "score 0.912; live from 0.740 on"}],
    "frames": 4,
    "frames_used": 4,
    "frame_scores": [0.93, 0.90, 0.91, 0.91],
    "boxes": [{"x": 212.0, "y": 96.5, "w": 180.2, "h": 221.7}] * 4,
    "rotation": 0,
    "timings": {"decode": 0.021, "detect": 0.034, "crop": 0.002, "score": 0.016},
    "thresholds": {"pass_at": 0.74, "deny_below": 0.41, "distance_limit": 1.6},
    "id": "3f0c1f6f6c3b4c0f9a51d3b7e2a4c8d1",
}
_REFUSED = {
    400: ("no form", Refusal(400, "Missing boundary in multipart.", where="body", remedy="Send a form.")),
    401: ("no key, or an unknown one", Refusal(401, "a key is needed", where=HEADER, remedy="Send it.")),
    413: ("too large", too_large(Settings().max_bytes)),
    422: (
        "cannot be read",
        unreadable(MediaError("the image is damaged or cut off"), FIELD, _REMEDY),
    ),
    429: ("too often; see Retry-After", too_many(1)),
    503: ("busy, or took too long; see Retry-After", full()),
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": Answer, "content": {"application/json": {"example": _EXAMPLE}}},
    **{
        status: {"description": text, "content": {"application/json": {"example": refusal.to_dict()}}}
        for status, (text, refusal) in _REFUSED.items()
    },
}
