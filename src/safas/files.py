"""The one way to write a file, fetched or our own: whole or not at all."""

import contextlib
import hashlib
import os
import urllib.request
import uuid
from http.client import HTTPException
from pathlib import Path

from safas.errors import InputError


def write_file(path: Path, data: bytes | str, *, durable: bool = False) -> None:
    """Write atomically: a killed writer or a full disk leaves the old file or none, never half of one.

    Folders are made as needed; text is UTF-8. `durable` waits until the disk has it, which thousands of small files
    would pay for dearly. Raises InputError when it cannot be written.
    """
    # A name of its own, since others may be writing the same; without the file's, which may be as long as is allowed.
    partial = path.with_name(f".{uuid.uuid4().hex[:16]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # none, or the path leads through a file
            partial.unlink()
        raise InputError(
            f"cannot be written ({error.strerror or error})",
            where=str(path),
            remedy="Make room or name another folder; the same command then goes on where it was.",
        ) from error


def sha256(data: bytes | memoryview) -> str:
    """64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def fetch(url: str, pinned: str, path: Path, *, what: str, remedy: str) -> None:
    """Download, check, then write. Raises InputError, naming `what` it is, and leaves nothing when a step fails."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            data: bytes = answer.read()
    except (OSError, HTTPException) as error:  # the second: cut off on the way
        raise InputError(f"{what} cannot be fetched", where=url, remedy=remedy) from error
    if sha256(data) != pinned:
        raise InputError(f"{what}: not the file that is pinned (SHA-256 differs)", where=url, remedy=remedy)
    write_file(path, data)
