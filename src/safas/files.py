"""The one way to write a file: whole or not at all."""

import os
from pathlib import Path

from safas.errors import InputError


def write_file(path: Path, data: bytes | str, *, durable: bool = False) -> None:
    """Write atomically: a killed writer or a full disk leaves the old file or none, never half of one.

    Folders are made as needed; text is UTF-8. `durable` waits until the disk has it, which thousands of small files
    would pay for dearly. Raises InputError when it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")  # others may be writing the same
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(
            f"cannot be written ({error.strerror or error})",
            where=str(path),
            remedy="Make room or name another folder; the same command then goes on where it was.",
        ) from error
