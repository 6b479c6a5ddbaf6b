"""Who is let in, and how often."""

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from safas.service.refusals import Refusal
from safas.service.settings import Settings, digest

HEADER = "X-API-Key"
_REMEMBERED = 10_000  # callers; whoever was silent longest is forgotten first


def known(key: str | None, keys: frozenset[bytes]) -> bool:
    """Whether the key is one of them, in a time that does not depend on which or on how much of it is right."""
    if not keys:
        return True
    given = digest(key or "")
    return (
        sum(hmac.compare_digest(given, one) for one in keys) > 0
    )  # all of them, whatever the first ones say


@dataclass
class _Bucket:
    tokens: float
    at: float


class Rates:
    """A bucket of tokens for each caller: `per_minute` at once, refilled at so many a minute; 0: no limit.

    `now`: a clock in seconds that never goes back.
    """

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._size, self._now = per_minute, now
        self._buckets: OrderedDict[object, _Bucket] = OrderedDict()

    def take(self, caller: object) -> float:
        """Seconds until the caller may ask; 0: now, and this was counted."""
        if not self._size:
            return 0.0
        now, each = self._now(), 60 / self._size
        bucket = self._buckets.pop(caller, None) or _Bucket(self._size, now)
        bucket.tokens = min(self._size, bucket.tokens + (now - bucket.at) / each)
        bucket.at = now
        self._buckets[caller] = bucket
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            return (1 - bucket.tokens) * each
        bucket.tokens -= 1
        return 0.0


class Guard:
    """Keys and rates of one service."""

    def __init__(self, settings: Settings) -> None:
        self._keys, self._rates = settings.keys(), Rates(settings.per_minute)

    @property
    def needs_key(self) -> bool:
        """Whether anybody is asked for one."""
        return bool(self._keys)

    def check(self, key: str | None) -> None:
        """Raises Refusal (401) unless the key is known."""
        if not known(key, self._keys):
            what = "the key is not known" if key else "a key is needed"
            raise Refusal(401, what, where=HEADER, remedy=f"Send the header {HEADER} with your key.")

    def count(self, connection: HTTPConnection, key: str | None) -> None:
        """Raises Refusal (429) when this caller begins too much: counted by key, without a known one by address."""
        address = connection.client.host if connection.client else ""
        by_key = self._keys and known(key, self._keys)
        wait = self._rates.take(digest(key or "") if by_key else address)
        if wait:
            raise too_many(wait)


def too_many(wait_s: float) -> Refusal:
    """The answer to a caller that begins too much."""
    return Refusal(
        429, "too many requests", where="rate limit", remedy="Come back later.", retry_after=wait_s
    )
