"""Average ranks of several methods over several blocks, and what may be said of them.

J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006), section 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

_PERMUTATIONS = 9999
_DIGITS = 9  # what differs behind them is the order in which a mean was added up


@dataclass(frozen=True)
class Ranking:
    """Rank 1 = lowest error; equal errors share the mean of their ranks."""

    average: Sequence[float]  # [M], over the blocks
    blocks: int
    p: float | None  # Friedman's test that all methods are alike; None below 3 methods or 2 blocks
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
        p=_friedman(values) if tested and methods > 2 else None,
        critical=critical_difference(methods, blocks, level=level) if tested else None,
    )


def critical_difference(methods: int, blocks: int, *, level: float = 0.95) -> float:
    """Nemenyi's: q sqrt(M (M + 1) / (6 N)), q the studentised range of M over infinite degrees, by sqrt(2)."""
    q = float(stats.studentized_range.ppf(level, methods, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * blocks)))


def _friedman(values: NDArray[np.float64]) -> float:
    """The share of permutations within the blocks whose average ranks lie at least as far apart as the seen ones.

    All of them if there are few, else as many drawn ones, the seen one added. The approximations by chi2 or F are for
    more blocks than benchmarks have: three methods in one order in two blocks have p = 1/6, where F says 0.
    """
    ranks = stats.rankdata(values, axis=1)
    told = stats.permutation_test(
        tuple(ranks.T), _spread, permutation_type="samples", vectorized=True, n_resamples=_PERMUTATIONS,
        alternative="greater", rng=0,
    )  # fmt: skip
    return float(told.pvalue)


def _spread(*ranks: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Grows with Friedman's chi2: the sum of squares of the methods' rank sums."""
    return np.asarray(sum(of.sum(axis=axis) ** 2 for of in ranks))
