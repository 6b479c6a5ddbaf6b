"""Uploads with their verdicts, kept only where the operator said so."""

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from safas.errors import InputError


def evidence_folder(folder: Path) -> Path:
    """The folder, made if need be, for its owner's eyes only. Raises InputError when nothing can be written there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}"
        probe.touch(0o600)
        probe.unlink()
    except OSError as error:
        what = f"evidence cannot be kept ({error.strerror})"
        raise InputError(what, where=str(folder), remedy="Name a folder that can be written.") from error
    return folder


def keep(folder: Path, request_id: str, upload: BinaryIO, verdict: Mapping[str, Any]) -> None:
    """Write <time>-<id>.upload, the bytes as they came, and <time>-<id>.json."""
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{request_id}"
    upload.seek(0)
    with _private(folder / f"{stem}.upload") as file:
        shutil.copyfileobj(upload, file, 1 << 20)
    with _private(folder / f"{stem}.json") as file:
        file.write(json.dumps(dict(verdict), indent=1).encode())


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
