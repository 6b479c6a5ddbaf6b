"""Intervals of counts against scipy's root-finding and brute force, and the exact rule of three."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from safas.assessment.intervals import (
    allowed_errors,
    cell,
    clopper_pearson,
    presentations_needed,
    upper_bound,
)
from safas.errors import MetricError

COUNTS = [(errors, n) for n in (2, 7, 30, 411) for errors in {1, n // 3, n // 2, n - 1} if 0 < errors < n]


@pytest.mark.parametrize(("errors", "n"), COUNTS)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_two_sided_against_scipy(errors: int, n: int, level: float) -> None:
    ours = clopper_pearson(errors, n, level)
    theirs = binomtest(errors, n).proportion_ci(level, method="exact")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 10, 59, 299, 5000])
def test_no_error_gives_the_exact_rule_of_three(n: int) -> None:
    """(1 - p)^n = 0.05 at the bound, which tends to 3 / n: ln 20 = 2.996. All wrong is the mirror image."""
    low, high = clopper_pearson(0, n)
    assert (low, high) == (0, pytest.approx(1 - 0.05 ** (1 / n), abs=1e-12))
    assert (1 - high) ** n == pytest.approx(0.05)
    assert high < 3 / n
    assert clopper_pearson(n, n) == (pytest.approx(1 - high, abs=1e-12), 1)


@pytest.mark.parametrize(("errors", "n"), [(0, 17), (1, 17), (5, 17), (16, 17), (3, 400)])
def test_the_one_sided_bound_is_scipys(errors: int, n: int) -> None:
    theirs = binomtest(errors, n, alternative="less").proportion_ci(0.95, method="exact")
    assert upper_bound(errors, n) == pytest.approx(theirs.high, abs=1e-9)
    assert upper_bound(n, n) == 1


@pytest.mark.parametrize(("rate", "needed"), [(0.05, 59), (0.01, 299), (0.1, 29)])
def test_how_many_without_an_error(rate: float, needed: int) -> None:
    """ln 0.05 / ln(1 - rate): 58.4, 298.07, 28.4, rounded up."""
    assert presentations_needed(rate) == needed == int(np.ceil(np.log(0.05) / np.log(1 - rate)))


@pytest.mark.parametrize("rate", [0.3, 0.05, 0.013])
@pytest.mark.parametrize("errors", [0, 1, 2, 5])
def test_how_many_is_the_first_that_supports_the_rate(rate: float, errors: int) -> None:
    n = presentations_needed(rate, errors)
    assert upper_bound(errors, n) <= rate < upper_bound(errors, n - 1)


@pytest.mark.parametrize("n", [1, 5, 28, 29, 59, 93, 200])
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_allowed_errors_by_counting(n: int, rate: float) -> None:
    supported = [k for k in range(n) if binom.cdf(k, n, rate) <= 0.05]
    assert allowed_errors(n, rate, 0.95) == max(supported, default=-1)


def test_a_cell_by_hand() -> None:
    """One error in two: [0.0126, 0.9874], the roots of 1 - (1 - p)^2 = 0.025 and p^2 = 0.025 mirrored."""
    one = cell(1, 2, subjects=2)
    assert one["interval"] == pytest.approx([1 - 0.975**0.5, 0.975**0.5])
    assert one["upper"] == pytest.approx(0.95**0.5)
    assert (one["rate"], one["interval_method"], one["subjects"]) == (0.5, "two-sided", 2)
    assert one["warning"] == "n = 2 is below 30"
    assert cell(15, 31)["warning"] == "the interval is 37 points wide"
    assert cell(0, 30)["warning"] is None
    assert cell(0, 0)["rate"] is None


@pytest.mark.parametrize("rate", [0, 1, -0.1, float("nan")])
def test_what_no_number_supports(rate: float) -> None:
    with pytest.raises(MetricError, match="no number of presentations"):
        presentations_needed(rate)


@pytest.mark.parametrize("n", [10, 30, 80])
def test_coverage_of_independent_presentations(n: int) -> None:
    """The chance of a count whose interval holds the true rate, at 2,000 rates and on either side of each end.

    Two-sided for all counts it would be 95 % at least. A rate just above the bound of no error is missed by that with
    5 %, and by too many errors with 2.5 % at most.
    """
    spans = np.array([clopper_pearson(k, n) for k in range(n + 1)])
    ends = np.unique(spans[(spans > 0) & (spans < 1)])
    rates = np.concatenate([np.linspace(0.0005, 0.9995, 2000), ends - 1e-9, ends + 1e-9])[:, None]
    chance = binom.pmf(np.arange(n + 1), n, rates)
    covered = (chance * ((spans[:, 0] <= rates) & (rates <= spans[:, 1]))).sum(axis=1)
    assert 0.925 <= covered.min() < 0.95
    two_sided = 1 - 0.025 ** (1 / n)  # of no error
    away = (rates[:, 0] < spans[0, 1]) | ((two_sided < rates[:, 0]) & (rates[:, 0] < 0.5))
    assert covered[away].min() >= 0.95
