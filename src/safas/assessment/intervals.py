"""What so many errors in so many presentations say of a rate: intervals, bounds, and how many would be needed.

All of this takes presentations as independent. Where one person gave several, the bootstrap over people
(`safas.assessment.resampling`) stands beside it.
"""

from typing import Any

from scipy.stats import beta, binom

from safas.errors import MetricError

LEVEL = 0.95
SMALL, WIDE = 30, 0.20  # a rate of fewer presentations, or with a wider interval, says too little

Cell = dict[str, Any]  # what docs/report.md calls a cell


def clopper_pearson(errors: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a rate, in [0, 1], from exact binomial tails (Clopper and Pearson 1934); n >= 1.

    Two-sided, the miss shared by both sides, unless no error was seen, or nothing but errors: then one side is
    certain and the whole miss lies on the other: [0, 1 - (1 - level)^(1/n)], the rule of three. It may miss a true
    rate just above that bound one and a half times as often as `level` has it: 7.5 of 100 instead of 5.
    Raises MetricError when the counts are impossible.
    """
    _check(errors, n)
    if errors == 0:
        return 0.0, upper_bound(0, n, level)
    if errors == n:
        return float((1 - level) ** (1 / n)), 1.0
    tail = (1 - level) / 2
    low, high = beta.ppf(tail, errors, n - errors + 1), beta.ppf(1 - tail, errors + 1, n - errors)
    return float(low), float(high)


def upper_bound(errors: int, n: int, confidence: float = LEVEL) -> float:
    """The rate lies below this with so much confidence: the one-sided Clopper-Pearson bound, in [0, 1]."""
    _check(errors, n)
    return 1.0 if errors == n else float(beta.ppf(confidence, errors + 1, n - errors))


def presentations_needed(rate: float, errors: int = 0, confidence: float = LEVEL) -> int:
    """The fewest presentations that support "the rate is at most `rate`" when so many errors are among them.

    With none it is the n of (1 - rate)^n <= 1 - confidence: 59 for 5 %, 299 for 1 %. Raises MetricError unless
    0 < rate < 1.
    """
    if not 0 < rate < 1:
        raise MetricError(
            f"no number of presentations supports a rate of {rate}; it must lie between 0 and 1"
        )
    low, high = errors, errors + 1
    while binom.cdf(errors, high, rate) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if binom.cdf(errors, middle, rate) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def allowed_errors(n: int, rate: float, confidence: float = LEVEL) -> int:
    """The most errors in n presentations that still support "at most `rate`"; -1 when even none would not."""
    k = int(binom.ppf(1 - confidence, n, rate))  # the fewest errors with a cumulated chance of at least that
    return k if binom.cdf(k, n, rate) <= 1 - confidence else k - 1


def cell(errors: int, n: int, *, subjects: int | None = None) -> Cell:
    """A rate with its uncertainty, as docs/report.md describes it; `rate` and `interval` are null without rows."""
    if n == 0:
        empty = {"rate": None, "interval": None, "interval_method": "none", "upper": None}
        return {"n": 0, "errors": 0, **empty, "bootstrap": None, "subjects": subjects, "warning": "none seen"}
    low, high = clopper_pearson(errors, n)
    return {
        "n": n,
        "errors": errors,
        "rate": errors / n,
        "interval": [low, high],
        "interval_method": _method(errors, n),
        "upper": upper_bound(errors, n),
        "bootstrap": None,
        "subjects": subjects,
        "warning": too_small(n, low, high),
    }


def too_small(n: int, low: float, high: float) -> str | None:
    """Why a rate of n presentations with this interval says too little, or None."""
    if n < SMALL:
        return f"n = {n} is below {SMALL}"
    if high - low > WIDE:
        return f"the interval is {100 * (high - low):.0f} points wide"
    return None


def _method(errors: int, n: int) -> str:
    if errors == 0:
        return "no error: one-sided"
    return "only errors: one-sided" if errors == n else "two-sided"


def _check(errors: int, n: int) -> None:
    if not 0 <= errors <= n or n < 1:
        raise MetricError(f"{errors} errors in {n} presentations are no rate")
