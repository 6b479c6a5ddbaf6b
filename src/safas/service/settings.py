"""What the operator of a service decides."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from safas.errors import InputError
from safas.service.evidence import evidence_folder

SHORTEST_KEY = 16  # characters: below that a key can be guessed
_NEW_KEY = 'Make one: python -c "import secrets; print(secrets.token_urlsafe())"'


@dataclass(frozen=True)
class Settings:
    """Limits and habits of one service: the options of `safas serve` that are not about its address or its bundle."""

    api_key_file: Path | None = None
    """file with one key a line: only requests with one of them in the header X-API-Key are answered"""
    max_mb: float = 50.0
    """largest upload, in millions of bytes"""
    per_minute: int = 600
    """verdicts and streams that a key, or without keys an address, may begin in a minute; 0: any number"""
    queue: int = 32
    """requests that may wait; the next are told to come back (503)"""
    streams: int = 8
    """streams open at once"""
    timeout: float = 30.0
    """seconds until a verdict is given up; of a stream, the longest silence"""
    workers: int | None = None
    """presentations judged at once; none: one a core"""
    keep_evidence: Path | None = None
    """folder that keeps every upload with its verdict: faces of people, so mind the law"""

    @property
    def max_bytes(self) -> int:
        """Of one request's body."""
        return round(self.max_mb * 1e6)

    def check(self) -> None:
        """Raises InputError for a limit that is too small, and for keys or evidence that cannot be read or kept."""
        for name, value, least in (
            ("--workers", self.workers, 1), ("--queue", self.queue, 0), ("--per-minute", self.per_minute, 0),
            ("--streams", self.streams, 0), ("--max-mb", self.max_mb, 1e-6), ("--timeout", self.timeout, 1e-3),
        ):  # fmt: skip
            if value is not None and not value >= least:
                raise InputError(f"{value} is too small", where=name, remedy=f"Give {least:g} or more.")
        self.keys()
        if self.keep_evidence is not None:
            evidence_folder(self.keep_evidence)

    def keys(self) -> frozenset[bytes]:
        """SHA-256 of the keys that are let in; none: everybody. Raises InputError as `read_keys` does."""
        return frozenset() if self.api_key_file is None else read_keys(self.api_key_file)


def read_keys(path: Path) -> frozenset[bytes]:
    """SHA-256 of the keys in a file, one a line; empty lines and those that begin with # are left out.

    Raises InputError for a file that cannot be read, holds no key, or one of fewer than 16 characters or with
    others than ASCII.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("the keys cannot be read", where=str(path), remedy="Name a text file.") from error
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise InputError("there is no key in it", where=str(path), remedy="Write one key a line.")
    if min(map(len, keys)) < SHORTEST_KEY:
        raise InputError(
            f"a key is shorter than {SHORTEST_KEY} characters",
            where=str(path),
            remedy=_NEW_KEY,
        )
    if not "".join(keys).isascii():
        raise InputError(
            "a key has other characters than ASCII, which a header cannot carry",
            where=str(path),
            remedy=_NEW_KEY,
        )
    return frozenset(digest(key) for key in keys)


def digest(key: str) -> bytes:
    """SHA-256 of a key: of one length for all, so that comparing them tells nothing of theirs."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
