"""What can be asked of a service besides verdicts: health, metrics, and the bundle that it judges by."""

from mimetypes import guess_type
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from safas import __version__
from safas.files import sha256
from safas.predictor import Predictor
from safas.service.guard import HEADER, Guard
from safas.service.refusals import Refusal
from safas.service.settings import Settings
from safas.service.telemetry import Metrics

_HIDDEN = {"origin": {"settings"}}  # how it was made is its owner's business


def info_routes(
    predictor: Predictor, folder: Path, settings: Settings, guard: Guard, metrics: Metrics
) -> APIRouter:
    """Health is open to everybody; the rest asks for a key where verdicts do."""
    router = APIRouter()
    files = {str(name): digest for name, digest in predictor.bundle.files.items()}

    @router.get("/healthz", summary="Whether the process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="Whether verdicts can be had")
    async def readyz(request: Request) -> dict[str, str]:
        if not request.app.state.ready:
            raise Refusal(503, "starting or stopping", where="service", remedy="Wait.", retry_after=1)
        return {"status": "ready"}

    @router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def figures(request: Request) -> Response:
        guard.check(request.headers.get(HEADER))
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/v1/bundle", summary="What the verdicts are made by")
    async def bundle(request: Request) -> dict[str, Any]:
        guard.check(request.headers.get(HEADER))
        contract = predictor.bundle.model_dump(mode="json", exclude=_HIDDEN)
        return {"bundle": contract, "service": _about(predictor, settings)}

    @router.get("/v1/bundle/files/{name}", summary="A file of the bundle", response_class=Response)
    async def file(request: Request, name: str) -> Response:
        """A file that the contract lists; the ETag is its SHA-256."""
        guard.check(request.headers.get(HEADER))
        if name not in files:
            raise Refusal(
                404, "not a file of the bundle", where=name, remedy=f"There is: {', '.join(files)}."
            )
        headers = {"Cache-Control": "no-cache", "ETag": f'"{files[name]}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        path = folder / name
        data = path.read_bytes() if path.is_file() else b""
        if sha256(data) != files[name]:  # exported anew, or deleted: it is not what the verdicts are made by
            raise Refusal(
                503, "the file was changed", where=name, remedy="Start the service again.", retry_after=60
            )
        return Response(data, headers=headers, media_type=guess_type(name)[0] or "application/octet-stream")

    return router


def _about(predictor: Predictor, settings: Settings) -> dict[str, Any]:
    return {
        "version": __version__,
        "precision": predictor.precision,
        "max_bytes": settings.max_bytes,
        "timeout_s": settings.timeout,
        "keeps_evidence": settings.keep_evidence is not None,
    }
