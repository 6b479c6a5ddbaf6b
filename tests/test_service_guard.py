"""Rates by a clock that the test moves, and keys."""

from pathlib import Path

from safas.service.guard import Rates, known
from safas.service.settings import digest, read_keys


def test_a_bucket_empties_and_fills() -> None:
    """Six a minute are one in ten seconds: six at once, the seventh after ten seconds, half of it after five."""
    now = [0.0]
    rates = Rates(6, now=lambda: now[0])
    assert [rates.take("a") for _ in range(6)] == [0] * 6
    assert rates.take("a") == 10
    assert rates.take("b") == 0  # everybody has a bucket of his own
    now[0] = 5
    assert rates.take("a") == 5
    now[0] = 10
    assert rates.take("a") == 0
    now[0] = 10_000
    assert [rates.take("a") > 0 for _ in range(7)] == [False] * 6 + [True]  # it never holds more than six


def test_no_limit_is_none() -> None:
    rates = Rates(0)
    assert not any(rates.take("a") for _ in range(1000))


def test_callers_are_forgotten_in_the_end() -> None:
    """Memory is bounded: of 20,000 addresses the first is as good as new, the last is not."""
    rates = Rates(1, now=lambda: 0.0)
    for number in range(20_000):
        rates.take(number)
    assert rates.take(19_999) > 0
    assert rates.take(0) == 0


def test_a_file_of_keys_may_begin_with_a_mark_of_its_bytes_order(tmp_path: Path) -> None:
    """As editors on Windows write it."""
    (tmp_path / "keys").write_bytes(b"\xef\xbb\xbfa-key-of-sixteen-or-more\r\n")
    assert read_keys(tmp_path / "keys") == {digest("a-key-of-sixteen-or-more")}


def test_keys() -> None:
    keys = frozenset({digest("one"), digest("two")})
    assert known("one", keys)
    assert known("two", keys)
    assert not known("three", keys)
    assert not known("", keys)
    assert not known(None, keys)
    assert known(None, frozenset())
