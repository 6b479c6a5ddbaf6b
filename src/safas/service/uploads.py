"""From a request's body to one file in a folder that is gone afterwards."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from safas.service.pool import Place, late
from safas.service.refusals import Refusal

FIELD = "file"


def too_large(max_bytes: int) -> Refusal:
    """The answer to a body beyond the limit."""
    limit = f"{max_bytes / 1e6:g} MB"
    return Refusal(413, f"larger than {limit}", where=FIELD, remedy="Send a shorter or smaller one.")


@asynccontextmanager
async def uploaded(request: Request, place: Place, max_bytes: int) -> AsyncIterator[BinaryIO]:
    """The bytes of the multipart field `file`, read before the deadline; gone at the end.

    Raises Refusal: 413 beyond `max_bytes` (by the header, before anything is read, or while reading), 422 without
    such a field, 400 for a body that is no form, 503 at the deadline.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise too_large(max_bytes)
    limited = Request(request.scope, _limited(request.receive, max_bytes))
    try:
        form = await asyncio.wait_for(limited.form(max_files=1, max_fields=8), place.left_s)
    except TimeoutError:
        raise late() from None
    except HTTPException as error:
        raise Refusal(400, error.detail, where="body", remedy=_remedy()) from error
    try:
        upload = form.get(FIELD)
        if not isinstance(upload, UploadFile):
            raise Refusal(422, "there is no file", where=FIELD, remedy=_remedy())
        yield upload.file
    finally:
        await limited.close()


def _remedy() -> str:
    return f"Send multipart/form-data with one file in the field {FIELD}."


def _limited(receive: Receive, max_bytes: int) -> Receive:
    """The same messages, until their bodies are too many bytes together."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > max_bytes:
            raise too_large(max_bytes)
        return message

    return counted


@contextmanager
def as_file(source: BinaryIO) -> Iterator[Path]:
    """A file with these bytes, for decoders that want a path; removed with its folder whatever happens."""
    with tempfile.TemporaryDirectory(prefix="safas-") as folder:
        path = Path(folder) / "upload"
        with path.open("wb") as target:
            source.seek(0)
            shutil.copyfileobj(source, target, 1 << 20)
        yield path
