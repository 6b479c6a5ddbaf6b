"""Average ranks of several methods over several blocks, and what may be said of them.

J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006), section 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

_DIGITS = 9  # what differs behind them is the order in which a mean was added up


@dataclass(frozen=True)
class Ranking:
    """Rank 1 = lowest error; equal errors share the mean of their ranks."""

    average: Sequence[float]  # [M], over the blocks
    blocks: int
    p: (
        float | None
    )  # Friedman's test that all methods are alike, in Iman and Davenport's form; None below 3 methods
    critical: (
        float | None
    )  # Nemenyi: average ranks that differ by less are not told apart; None with one block


def ranking(errors: ArrayLike, *, level: float = 0.95) -> Ranking:
    """Rank M methods in each of N blocks; errors [N, M], lower = better.

    The tests take the blocks for independent, as data sets are. Protocols that share their training people are
    not quite, and the seeds of one protocol are not at all.
    """
    values = np.asarray(errors, dtype=np.float64).round(_DIGITS)
    blocks, methods = values.shape
    average = stats.rankdata(values, axis=1).mean(axis=0)
    tested = blocks > 1 and methods > 1
    return Ranking(
        average=[float(rank) for rank in average],
        blocks=blocks,
        p=_iman_davenport(values) if tested and methods > 2 else None,
        critical=critical_difference(methods, blocks, level=level) if tested else None,
    )


def critical_difference(methods: int, blocks: int, *, level: float = 0.95) -> float:
    """Nemenyi's: q sqrt(M (M + 1) / (6 N)), q the studentised range of M over infinite degrees, by sqrt(2)."""
    q = float(stats.studentized_range.ppf(level, methods, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * blocks)))


def _iman_davenport(values: np.ndarray) -> float:
    """p of F = (N - 1) chi2 / (N (M - 1) - chi2) with M - 1 and (M - 1)(N - 1) degrees of freedom."""
    blocks, methods = values.shape
    if (values == values[:, :1]).all():
        return 1.0
    chi2 = float(stats.friedmanchisquare(*values.T).statistic)
    left = blocks * (methods - 1) - chi2
    if left <= 1e-9:  # every block ranks them alike
        return 0.0
    return float(stats.f.sf((blocks - 1) * chi2 / left, methods - 1, (methods - 1) * (blocks - 1)))
