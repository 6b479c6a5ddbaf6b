"""A service put together from its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from safas import __version__
from safas.parallel import cores
from safas.predictor import Predictor
from safas.service.browser import browser_routes, runtime_folder
from safas.service.guard import Guard
from safas.service.info import info_routes
from safas.service.pool import Pool
from safas.service.refusals import add_refusals
from safas.service.settings import Settings
from safas.service.stream import Streams, stream_routes
from safas.service.telemetry import Metrics, Observed
from safas.service.verdict import verdict_routes

STATIC = Path(__file__).parent / "static"


def service(predictor: Predictor, folder: Path, settings: Settings) -> FastAPI:
    """The application around a predictor of the bundle in `folder`. Nothing in it is loaded from elsewhere."""
    pool, guard = Pool(settings.workers or cores(), settings.queue), Guard(settings)
    metrics = Metrics(pool)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        app.state.ready = True
        yield
        app.state.ready = False
        pool.close()

    app = FastAPI(
        title="safas",
        version=__version__,
        summary="Tells a live face from a spoofed one.",
        docs_url=None,  # FastAPI's pages of documentation load their scripts from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    app.state.ready = False
    app.add_middleware(Observed, metrics=metrics)
    add_refusals(app)
    app.include_router(verdict_routes(predictor, settings, guard, pool, metrics))
    app.include_router(stream_routes(Streams(predictor, settings, guard, pool, metrics)))
    app.include_router(info_routes(predictor, folder, settings, guard, metrics))
    app.include_router(browser_routes(runtime_folder()))
    app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")
    return app
