from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats

from safas.benchmark.ranks import critical_difference, ranking

# Demsar 2006, table 5(a): critical values of the two-tailed Nemenyi test for 2 to 10 classifiers.
Q_05 = (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)
Q_10 = (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920)

# Demsar 2006, table 6: AUC of C4.5 and its variants m, cf, m + cf on 14 data sets. For "voting" it prints 0.975
# twice but ranks cf before m + cf.
AUC = np.array(
    [
        [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
    ]
)  # fmt: skip


@pytest.mark.parametrize(("level", "table"), [(0.95, Q_05), (0.9, Q_10)])
def test_critical_values_are_the_published_ones(level: float, table: tuple[float, ...]) -> None:
    """With 6 N = M (M + 1) blocks the root is 1 and the critical difference is q itself, to the printed digits."""
    for methods, q in enumerate(table, start=2):
        root = np.sqrt(methods * (methods + 1) / 6)
        assert critical_difference(methods, 1, level=level) / root == pytest.approx(q, abs=0.0011)


def by_the_papers_formulas(average: list[float], blocks: int) -> tuple[float, float]:
    """chi2 = 12 N / (M (M + 1)) (sum of squared ranks - M (M + 1)^2 / 4), F = (N - 1) chi2 / (N (M - 1) - chi2)."""
    m = len(average)
    chi2 = 12 * blocks / (m * (m + 1)) * (sum(rank**2 for rank in average) - m * (m + 1) ** 2 / 4)
    return chi2, (blocks - 1) * chi2 / (blocks * (m - 1) - chi2)


def test_the_published_example() -> None:
    """Demsar 2006, section 3.2.4: ranks 3.143, 2.000, 2.893, 1.964; chi2 9.28, F 3.69, CD at 0.10 1.12.

    His p of F is 0.020, or 0.012 with the correction for ties, of which this table has several; with 14 blocks
    permutations come near that.
    """
    told = ranking(1 - AUC, level=0.9)
    assert told.average == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=0.001)
    assert told.critical == pytest.approx(1.12, abs=0.006)
    assert by_the_papers_formulas(list(told.average), 14) == pytest.approx((9.28, 3.69), abs=0.01)
    chi2 = stats.friedmanchisquare(*AUC.T).statistic
    assert stats.f.sf(13 * chi2 / (14 * 3 - chi2), 3, 39) == pytest.approx(0.0116, abs=0.0001)
    # 10,000 draws have a deviation of 0.001; the rest is what F is off by
    assert told.p == pytest.approx(0.0116, abs=0.004)


def test_p_is_the_share_of_all_orders_that_lie_as_far_apart() -> None:
    """Written out, with scipy's chi2 and a tie among the ranks: (3!)^3 = 216 ways to permute three blocks."""
    errors = np.array([[0.1, 0.3, 0.2], [0.1, 0.2, 0.2], [0.2, 0.3, 0.1]])
    seen = stats.friedmanchisquare(*errors.T).statistic
    ways = product(*([block[list(order)] for order in permutations(range(3))] for block in errors))
    others = [stats.friedmanchisquare(*np.array(way).T).statistic for way in ways]
    assert ranking(errors).p == pytest.approx(np.mean([other >= seen - 1e-9 for other in others]))


def test_the_tables_of_friedman() -> None:
    """M. Friedman, JASA 32 (1937), table VI, three methods and four blocks: chi2 8.0, 0.0046; 6.5, 0.042."""
    swapped = [[0.1, 0.2, 0.3]] * 3 + [[0.2, 0.1, 0.3]]
    assert by_the_papers_formulas(list(ranking(swapped).average), 4)[0] == pytest.approx(6.5)
    assert ranking(swapped).p == pytest.approx(0.042, abs=0.0005)
    assert ranking([[0.1, 0.2, 0.3]] * 4).p == pytest.approx(0.0046, abs=0.00005)


def test_by_hand() -> None:
    """Ranks 1 2 3 and 1 3 2 and, with a tie, 1.5 1.5 3: means 3.5/3, 6.5/3, 8/3."""
    told = ranking([[0.1, 0.2, 0.3], [0.1, 0.3, 0.2], [0.2, 0.2, 0.4]])
    assert told.average == pytest.approx([3.5 / 3, 6.5 / 3, 8 / 3])
    assert told.blocks == 3


def test_the_order_in_which_a_mean_was_added_up_breaks_no_tie() -> None:
    one, other = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    assert one != other
    assert ranking([[one, other], [other, one]]).average == [1.5, 1.5]


def test_alike_and_always_in_one_order() -> None:
    """All blocks in one of the 3! orders: one way in 6 with two blocks, in 36 with three."""
    assert ranking([[0.1] * 3] * 4).p == 1.0
    assert ranking([[0.1, 0.2, 0.3]] * 2).p == pytest.approx(1 / 6)
    assert ranking([[0.1, 0.2, 0.3]] * 3).p == pytest.approx(1 / 36)


def test_what_cannot_be_tested_is_not() -> None:
    two = ranking([[0.1, 0.2], [0.2, 0.1]])
    assert two.p is None
    assert two.critical == pytest.approx(1.960 * np.sqrt(2 * 3 / 12), abs=0.001)
    one = ranking([[0.1, 0.2, 0.3]])
    assert one.p is None
    assert one.critical is None
