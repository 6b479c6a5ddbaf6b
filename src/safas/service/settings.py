"""What the operator of a service decides."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from safas.errors import InputError

SHORTEST_KEY = 16  # characters: below that a key can be guessed


@dataclass(frozen=True)
class Settings:
    """Limits and habits of one service. A limit of 0 is none, where it says so."""

    keys: frozenset[bytes] = frozenset()
    """SHA-256 of the keys that are let in; none: everybody"""
    max_bytes: int = 50_000_000
    """of one request's body"""
    per_minute: int = 600
    """verdicts and streams that one key (or, without keys, one address) may begin in a minute; 0: any number"""
    workers: int = 1
    """presentations judged at once, each by one thread"""
    queue: int = 32
    """requests let in beyond those; the next are told to come back"""
    streams: int = 8
    """streams open at once"""
    timeout_s: float = 30.0
    """from the first byte of a request to its verdict; of a stream, the longest silence"""
    evidence: Path | None = None
    """folder that keeps every upload with its verdict; None: nothing is ever kept"""


def read_keys(path: Path) -> frozenset[bytes]:
    """SHA-256 of the keys in a file, one a line; empty lines and those that begin with # are left out.

    Raises InputError for a file that cannot be read, holds no key, or one of fewer than 16 characters.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("the keys cannot be read", where=str(path), remedy="Name a text file.") from error
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise InputError("there is no key in it", where=str(path), remedy="Write one key a line.")
    if min(map(len, keys)) < SHORTEST_KEY:
        raise InputError(
            f"a key is shorter than {SHORTEST_KEY} characters",
            where=str(path),
            remedy='Make one: python -c "import secrets; print(secrets.token_urlsafe())"',
        )
    return frozenset(digest(key) for key in keys)


def digest(key: str) -> bytes:
    """SHA-256 of a key: of one length for all, so that comparing them tells nothing of theirs."""
    return hashlib.sha256(key.encode()).digest()
