"""Every answer that is no verdict: one JSON shape, {"error": {"what", "where", "remedy"}}."""

import http
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from safas.errors import SafasError


class Refusal(Exception):  # noqa: N818 - an answer; what it answers may be no error
    """An answer with a status of 4xx or 5xx; `retry_after`: seconds after which asking again makes sense."""

    def __init__(
        self, status: int, what: str, *, where: str = "", remedy: str = "", retry_after: float | None = None
    ) -> None:
        self.status, self.what, self.where, self.remedy = status, what, where, remedy
        self.retry_after = retry_after
        super().__init__(what)

    def to_dict(self) -> dict[str, Any]:
        """The shape; a stream sends the same."""
        return {"error": {"what": self.what, "where": self.where, "remedy": self.remedy}}

    def response(self) -> JSONResponse:
        """The same over HTTP."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == http.HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "X-API-Key"
        return JSONResponse(self.to_dict(), self.status, headers)


def unreadable(error: SafasError, where: str, remedy: str) -> Refusal:
    """422 for what cannot be judged; `where` instead of the temporary file, whose name means nothing outside.

    `remedy`: what to send, unless the error knows better.
    """
    return Refusal(422, error.what, where=where, remedy=error.remedy or remedy)


def add_refusals(app: FastAPI) -> None:
    """Make every error of the application answer in the one shape."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> JSONResponse:
        return error.response()

    @app.exception_handler(HTTPException)
    async def by_framework(request: Request, error: HTTPException) -> JSONResponse:
        refusal = Refusal(
            error.status_code, error.detail, where=request.url.path, remedy="See /openapi.json."
        )
        response = refusal.response()
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def by_types(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return Refusal(422, first["msg"], where=place, remedy="See /openapi.json.").response()
