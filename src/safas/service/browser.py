"""Judging in the browser: onnxruntime-web, fetched once, and the routes that hand it out.

It is npm's package onnxruntime-web (MIT licence, copyright Microsoft Corporation), too large to be kept with this code.
"""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from safas.errors import InputError
from safas.service.refusals import Refusal

VERSION = "1.30.0"
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # npm's
)
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
TYPES = {
    "ort.wasm.min.mjs": "text/javascript",
    "ort-wasm-simd-threaded.mjs": "text/javascript",
    "ort-wasm-simd-threaded.wasm": "application/wasm",
}


def runtime_folder() -> Path:
    """Where the runtime is kept, whether it is there or not."""
    return Path.home() / ".cache" / "safas" / f"onnxruntime-web-{VERSION}"


def complete(folder: Path) -> bool:
    """Whether it holds all files of the runtime."""
    return all((folder / name).is_file() for name in TYPES)


def fetch_runtime(folder: Path) -> None:
    """Unpack the runtime into `folder`, from the archive beside it or else from `npm pack`, unless it is there.

    Raises InputError when there is neither an archive nor npm, or when the archive is another one.
    """
    if complete(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder.parent) as place:
        own = folder.parent / ARCHIVE
        archive = own if own.is_file() else _packed(Path(place), own)
        _check(archive)
        unpacked = Path(place) / "files"
        unpacked.mkdir()
        with tarfile.open(archive) as package:
            for name in TYPES:
                member = package.extractfile(f"package/dist/{name}")
                if member is not None:
                    (unpacked / name).write_bytes(member.read())
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)


def _packed(place: Path, own: Path) -> Path:
    remedy = f"Install Node.js, or put {ARCHIVE} (`npm pack onnxruntime-web@{VERSION}` anywhere) at {own}."
    npm = shutil.which("npm")
    if npm is None:
        raise InputError("npm is not here, which fetches the runtime for browsers", remedy=remedy)
    command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--silent", "--pack-destination", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, check=False)
    if done.returncode or not (place / ARCHIVE).is_file():
        lines = done.stderr.strip().splitlines() or ["no archive came"]
        raise InputError(
            f"npm cannot fetch the runtime for browsers ({lines[-1]})", where=ARCHIVE, remedy=remedy
        )
    return place / ARCHIVE


def _check(archive: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        raise InputError(
            "not the archive that was expected (its SHA-512 is another)",
            where=str(archive),
            remedy=f"Remove it and get it again: `npm pack onnxruntime-web@{VERSION}`.",
        )


def browser_routes(folder: Path) -> APIRouter:
    """Whether the runtime is in `folder`, and its files. They are public, so nobody is asked for a key."""
    router = APIRouter()

    @router.get("/v1/browser", summary="Whether a browser can judge by itself")
    def browser() -> dict[str, Any]:
        """`available`, and otherwise what to do about it."""
        there = complete(folder)
        remedy = "" if there else "To judge in the browser, start the server with --in-browser."
        return {"available": there, "version": VERSION, "remedy": remedy}

    @router.get("/ort/{name}", summary="A file of onnxruntime-web", response_class=FileResponse)
    def file(name: str) -> FileResponse:
        """One of the runtime's files."""
        if name not in TYPES or not (folder / name).is_file():
            raise Refusal(404, "not a file of the runtime", where=name, remedy="See /v1/browser.")
        return FileResponse(folder / name, media_type=TYPES[name], headers={"Cache-Control": "no-cache"})

    return router
