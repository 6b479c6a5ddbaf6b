"""The error rates against hand-worked cases with and without ties, scikit-learn, scipy and brute force."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from scipy.stats import binom, norm
from sklearn.metrics import recall_score, roc_auc_score, roc_curve

from safas.errors import MetricError
from safas.metrics import (
    apcer,
    auc,
    bootstrap_interval,
    bpcer,
    bpcer_at_apcer,
    eer,
    hter,
    hter_at_eer,
    roc,
    tpr_at_fpr,
    tpr_at_nearest_fpr,
)


def case(live: list[float], spoof: list[float]) -> dict[str, np.ndarray]:
    return {"scores": np.array([*live, *spoof]), "live": np.repeat([True, False], [len(live), len(spoof)])}


PLAIN = case([0.9, 0.8, 0.4, 0.3], [0.7, 0.35, 0.2, 0.1])
TIED = case([0.8, 0.5, 0.5, 0.2], [0.5, 0.5, 0.3, 0.1])


def test_rates_without_ties():
    """Falling: L.9 L.8 S.7 L.4 S.35 L.3 S.2 S.1, so (FAR, FRR) runs through quarters
    (0,4) (0,3) (0,2) (1,2) (1,1) (2,1) (2,0) (3,0) (4,0). EER: the fifth, 1/4, between 0.4 and 0.35.
    AUC: the live beat 4, 4, 3 and 2 of the 4 attacks: 13/16. At FAR <= 0, 1/4, 1/2: 2, 3, 4 live pass.
    """
    rate, threshold = eer(**PLAIN)
    assert rate == 0.25
    assert threshold == pytest.approx((0.4 + 0.35) / 2)
    assert auc(**PLAIN) == 13 / 16
    assert hter_at_eer(**PLAIN) == 0.25
    assert [tpr_at_fpr(**PLAIN, fpr=fpr) for fpr in (0, 0.05, 0.25, 0.3, 0.5, 1)] == [
        0.5,
        0.5,
        0.75,
        0.75,
        1,
        1,
    ]
    assert [bpcer_at_apcer(**PLAIN, apcer=rate) for rate in (0.1, 0.25, 0.5)] == [0.5, 0.25, 0]


def test_the_nearest_false_positive_rate_may_lie_above():
    """FPRs are 0, 1/4, 1/2 ...: 0.2 is nearer to 1/4, 0.125 as near to 0, which is taken, and there nobody accepted."""
    assert [tpr_at_nearest_fpr(**PLAIN, fpr=fpr) for fpr in (0, 0.125, 0.2, 0.3, 0.4, 1)] == [
        0,
        0,
        0.5,
        0.5,
        0.75,
        1,
    ]
    assert [tpr_at_nearest_fpr(**TIED, fpr=fpr) for fpr in (0.2, 0.3)] == [
        0,
        0.75,
    ]  # no attack, or half of them


def test_rates_with_ties():
    """Falling: L.8, then L L S S at .5, S.3, L.2, S.1: quarters (0,4) (0,3) (2,1) (3,1) (3,0) (4,0).
    FAR = FRR between the second and third: 2w = 3 - 2w, w = 3/4, EER = 6/4 quarters = 3/8. The third point
    is nearer (gap 1 against 3): threshold (.5 + .3)/2, HTER (2 + 1)/2 quarters = 3/8.
    AUC: .8 beats 4; each .5 beats 2 and ties 2 = 3; .2 beats 1: 11/16. FAR <= 1/4 admits the second at most.
    """
    rate, threshold = eer(**TIED)
    assert rate == pytest.approx(3 / 8)
    assert threshold == pytest.approx(0.4)
    assert hter_at_eer(**TIED) == pytest.approx(3 / 8)
    assert auc(**TIED) == 11 / 16
    assert [tpr_at_fpr(**TIED, fpr=fpr) for fpr in (0, 0.25, 0.5, 0.75)] == [0.25, 0.25, 0.75, 1]
    assert roc(**TIED).far.tolist() == [0, 0, 0.5, 0.75, 0.75, 1]
    assert roc(**TIED).frr.tolist() == [1, 0.75, 0.25, 0.25, 0, 0]
    assert roc(**TIED).threshold[1:] == pytest.approx([0.65, 0.4, 0.25, 0.15, 0.1])


def test_a_score_at_the_threshold_is_accepted():
    """At 0.5: attacks at .5 .5 pass (2 of 4), the live at .2 is rejected (1 of 4): (1/2 + 1/4)/2."""
    assert hter(**TIED, threshold=0.5) == (2 / 4 + 1 / 4) / 2
    assert hter(**TIED, threshold=np.nextafter(0.5, 1)) == (0 + 3 / 4) / 2
    assert bpcer(scores=[0.5, 0.4], threshold=0.5) == 0.5
    assert apcer(scores=[0.5, 0.4], species=["print", "print"], threshold=0.5) == {"print": 0.5}


def test_all_scores_equal_is_a_coin_and_the_threshold_rejects_everybody():
    """Two points, (0, 1) and (1, 0), equally far from FAR = FRR: the stricter one is taken."""
    same = case([0.5, 0.5, 0.5], [0.5])
    rate, threshold = eer(**same)
    assert (rate, auc(**same), hter_at_eer(**same)) == (0.5, 0.5, 0.5)
    assert threshold > 0.5
    assert tpr_at_fpr(**same, fpr=0.99) == 0


def test_separated_scores_put_the_threshold_in_the_middle_of_the_gap():
    rate, threshold = eer(**case([0.9, 0.8], [0.3, 0.1]))
    assert rate == 0
    assert threshold == pytest.approx(0.55)


def test_reversed_scores_have_an_eer_of_one():
    assert eer(**case([0.1], [0.9])) == (1.0, 0.5)
    assert auc(**case([0.1, 0.2], [0.8, 0.9])) == 0


@pytest.mark.parametrize("spoof", [0.5, 0.0, 5e-324, 1e308, -1e308])
def test_no_number_between_two_scores_leaves_the_threshold_at_the_accepted_one(spoof):
    live = float(np.nextafter(spoof, np.inf))
    rate, threshold = eer(**case([live], [spoof]))
    assert (rate, threshold) == (0.0, live)
    assert hter_at_eer(**case([live], [spoof])) == 0


@pytest.mark.parametrize(("passing", "attacks"), [(1, 20), (3, 60), (7, 140), (5, 100)])
def test_a_far_of_exactly_five_percent_is_allowed_at_five_percent(passing, attacks):
    """`passing` of `attacks` score above the only live: FAR = 0.05 exactly when it is accepted."""
    data = case([0.5], [0.9] * passing + [0.1] * (attacks - passing))
    assert tpr_at_fpr(**data, fpr=0.05) == 1
    assert tpr_at_fpr(**data, fpr=0.0499) == 0


def test_species_are_counted_apart_and_sorted():
    """Accepted at 0.5: of print 1 of 2, of mask 2 of 3, of cut 0 of 1."""
    scores = [0.6, 0.4, 0.5, 0.7, 0.1, 0.2]
    species = ["print", "print", "mask", "mask", "mask", "cut"]
    result = apcer(scores=scores, species=species, threshold=0.5)
    assert list(result.items()) == [("cut", 0), ("mask", 2 / 3), ("print", 0.5)]


def drawn(seed: int, decimals: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    live = rng.permutation(np.arange(300) < rng.integers(5, 295))
    return {"scores": np.round(rng.beta(2 + 2 * live, 3), decimals), "live": live}


RANDOM = [drawn(seed, decimals) for seed in range(6) for decimals in (1, 2, 15)]


@pytest.mark.parametrize("data", RANDOM)
def test_against_scikit_learn(data):
    scores, live = data["scores"], data["live"]
    fpr, tpr, _ = roc_curve(live, scores, drop_intermediate=False)
    ours = roc(**data)
    np.testing.assert_allclose(ours.far, fpr, atol=1e-15)
    np.testing.assert_allclose(1 - ours.frr, tpr, atol=1e-15)
    assert auc(**data) == pytest.approx(roc_auc_score(live, scores), abs=1e-12)
    curve = interp1d(fpr, tpr)
    assert eer(**data)[0] == pytest.approx(brentq(lambda x: 1 - x - curve(x), 0, 1), abs=1e-9)
    for allowed in (0.0, 0.01, 0.05, 0.1, 0.5):
        assert tpr_at_fpr(**data, fpr=allowed) == pytest.approx(tpr[fpr <= allowed].max(), abs=1e-12)
        assert bpcer_at_apcer(**data, apcer=allowed) == pytest.approx(
            1 - tpr[fpr <= allowed].max(), abs=1e-12
        )


@pytest.mark.parametrize("data", RANDOM)
@pytest.mark.parametrize("fpr", [0.0, 0.01, 0.05, 0.31, 1.0])
def test_the_nearest_rate_is_that_of_scikit_learns_curve(data, fpr):
    """Its first point with the smallest distance, as the authors of SA-FAS read theirs."""
    fprs, tprs, _ = roc_curve(data["live"], data["scores"], drop_intermediate=False)
    assert tpr_at_nearest_fpr(**data, fpr=fpr) == pytest.approx(
        tprs[np.argmin(np.abs(fprs - fpr))], abs=1e-12
    )


def test_the_nearest_of_two_rates_that_only_decimals_hold_equally_near():
    """Of 50 attacks 2 and 3 are as near to 0.05; written in binary, 3 are nearer: a live face between them counts."""
    data = case([0.95, 0.5, 0.3], [0.99, 0.98, 0.90, *np.linspace(0.1, 0.2, 47)])
    assert abs(3 / 50 - 0.05) < abs(2 / 50 - 0.05)
    assert tpr_at_nearest_fpr(**data, fpr=0.05) == pytest.approx(1 / 3)


@pytest.mark.parametrize("data", RANDOM)
@pytest.mark.parametrize("threshold", [-np.inf, 0.0, 0.3, 0.5, 0.77, np.inf])
def test_hter_is_one_minus_scikit_learns_mean_recall(data, threshold):
    """HTER = (FAR + FRR)/2 = 1 - (recall of attacks + recall of live)/2."""
    recall = recall_score(data["live"], data["scores"] >= threshold, average="macro", zero_division=0)
    assert hter(**data, threshold=threshold) == pytest.approx(1 - recall, abs=1e-12)


TENTHS = st.lists(st.integers(0, 10), min_size=1, max_size=12)


@given(TENTHS, TENTHS)
def test_eer_threshold_is_the_best_by_brute_force(live, spoof):
    """No threshold brings FAR and FRR closer together, and the rate is as near to HTER as they are."""
    data = case([x / 10 for x in live], [x / 10 for x in spoof])
    rate, threshold = eer(**data)

    def gap(t: float) -> float:
        far = np.mean(data["scores"][~data["live"]] >= t)
        return abs(far - np.mean(data["scores"][data["live"]] < t))

    assert gap(threshold) <= min(gap(t) for t in np.linspace(-0.05, 1.05, 23)) + 1e-12
    assert abs(hter_at_eer(**data) - rate) <= gap(threshold) / 2 + 1e-12


@given(TENTHS, TENTHS)
def test_operating_points_are_what_their_thresholds_give(live, spoof):
    data = case([x / 10 for x in live], [x / 10 for x in spoof])
    points = roc(**data)
    assert (np.diff(points.threshold) < 0).all()
    for threshold, far, frr in zip(*points, strict=True):
        assert hter(**data, threshold=threshold) == pytest.approx((far + frr) / 2)


@given(TENTHS, TENTHS, st.randoms(use_true_random=False))
def test_rates_know_neither_order_nor_repetition_nor_scale(live, spoof, random):
    data = case(live, spoof)
    order = random.sample(range(len(data["live"])), len(data["live"]))
    shuffled = {name: np.repeat(values[order], 3) for name, values in data.items()}
    shuffled["scores"] = 2 * shuffled["scores"] - 7
    assert auc(**shuffled) == auc(**data)
    assert eer(**shuffled)[0] == pytest.approx(eer(**data)[0], abs=1e-12)
    assert eer(**shuffled)[1] == pytest.approx(2 * eer(**data)[1] - 7)


@given(TENTHS, TENTHS)
def test_swapping_the_classes_and_the_sign_keeps_auc_and_eer(live, spoof):
    data, mirrored = case(live, spoof), case([-x for x in spoof], [-x for x in live])
    assert auc(**mirrored) == pytest.approx(auc(**data))
    assert eer(**mirrored)[0] == pytest.approx(eer(**data)[0])


@pytest.mark.parametrize("function", [auc, eer, roc, hter_at_eer, partial(hter, threshold=0.5)])
@pytest.mark.parametrize(
    ("scores", "live", "words"),
    [
        ([0.1, 0.2], [1, 1], "no spoof"),
        ([0.1, 0.2], [False, False], "no live"),
        ([0.1, np.nan], [1, 0], "score 1 of 2 is nan"),
        ([np.inf, 0.1], [1, 0], "score 0 of 2 is inf"),
        ([0.1, 0.2, 0.3], [1, 0], "`live` has shape"),
        ([0.1, 0.2], [1, 2], "something else than true/false"),
        ([0.1, 0.2], [1, -1], "something else than true/false"),
        ([], [], "at least one"),
        ([[0.1, 0.2]], [[1, 0]], "row of numbers"),
    ],
)
def test_undefined_rates_are_refused_and_never_made_up(function, scores, live, words):
    with pytest.raises(MetricError, match=words):
        function(scores=scores, live=live)


@pytest.mark.parametrize(
    "call",
    [
        partial(hter, **PLAIN, threshold=np.nan),
        partial(bpcer, scores=[0.1], threshold=np.nan),
        partial(bpcer, scores=[], threshold=0.5),
        partial(apcer, scores=[], species=[], threshold=0.5),
        partial(apcer, scores=[0.1, 0.2], species=["print"], threshold=0.5),
        partial(tpr_at_fpr, **PLAIN, fpr=5),
        partial(tpr_at_fpr, **PLAIN, fpr=np.nan),
        partial(bpcer_at_apcer, **PLAIN, apcer=-0.1),
        partial(bootstrap_interval, auc, **PLAIN, groups=[1] * 8),
        partial(bootstrap_interval, auc, **PLAIN, groups=[1, 2]),
        partial(bootstrap_interval, auc, **PLAIN, groups=range(8), level=95),
    ],
)
def test_senseless_arguments_are_refused(call):
    with pytest.raises(MetricError):
        call()


def test_integers_stand_for_the_labels_too():
    assert auc(scores=PLAIN["scores"].tolist(), live=PLAIN["live"].astype(int).tolist()) == 13 / 16


def people(seed: int = 0, count: int = 30) -> dict[str, np.ndarray]:
    """Each person: 2 live and 3 attacks, all shifted by the same amount of that person's own."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(count), 5)
    live = np.tile([True, True, False, False, False], count)
    scores = live + rng.normal(size=count)[groups] + 0.2 * rng.normal(size=groups.size)
    return {"scores": scores, "live": live, "groups": groups}


def test_interval_repeats_by_seed_and_holds_the_value():
    data = people()
    first = bootstrap_interval(auc, **data)
    assert bootstrap_interval(auc, **data) == first
    assert bootstrap_interval(auc, **data, seed=1) != first
    assert first[0] < auc(scores=data["scores"], live=data["live"]) < first[1]
    wide = bootstrap_interval(auc, **data, level=0.99)
    assert wide[0] < first[0] < first[1] < wide[1]


def test_an_interval_is_of_one_number():
    rows = {"scores": [0.9, 0.4, 0.6, 0.1], "live": [1, 1, 0, 0], "groups": [0, 1, 0, 1]}
    with pytest.raises(MetricError, match=r"gives 2 numbers.*take the first"):
        bootstrap_interval(eer, **rows)
    low, high = bootstrap_interval(lambda **drawn: eer(**drawn)[0], **rows)
    assert 0 <= low <= high <= 1


def test_interval_of_a_share_is_the_binomials():
    """40 people with one live and one attack each; for 10 both are decided wrongly. HTER of a replicate is
    the share of wrong people drawn: Binomial(40, 1/4)/40. Its quantiles, within one step of 1/40.
    """
    wrong = np.arange(40) < 10
    scores = np.concatenate([np.where(wrong, 0.1, 0.9), np.where(wrong, 0.9, 0.1)])
    live, groups = np.repeat([True, False], 40), np.tile(np.arange(40), 2)
    statistic = partial(hter, threshold=0.5)
    low, high = bootstrap_interval(statistic, scores=scores, live=live, groups=groups, replicates=4000)
    assert low == pytest.approx(binom.ppf(0.025, 40, 0.25) / 40, abs=1.01 / 40)
    assert high == pytest.approx(binom.ppf(0.975, 40, 0.25) / 40, abs=1.01 / 40)


def test_people_are_drawn_not_rows():
    """More clips of the same people add no certainty; taken for new people they would seem to."""
    data = people()
    doubled = {name: np.repeat(values, 4) for name, values in data.items()}
    assert bootstrap_interval(auc, **doubled) == pytest.approx(bootstrap_interval(auc, **data))
    rows_for_people = {**doubled, "groups": np.arange(doubled["live"].size)}
    narrow, wide = bootstrap_interval(auc, **rows_for_people), bootstrap_interval(auc, **data)
    assert narrow[1] - narrow[0] < 0.7 * (wide[1] - wide[0])


@pytest.mark.parametrize("rare", [True, False])
def test_every_replicate_has_whole_people_and_both_classes(rare):
    """One person of the rare class among six: a plain draw lacks that person in (5/6)^6 = 33 % of all cases."""
    live = np.array([rare, rare, *[not rare] * 10])
    groups = np.array(["a", "a", *np.repeat(list("bcdef"), 2)])
    scores = np.arange(12) / 12
    seen = []

    def statistic(*, scores: np.ndarray, live: np.ndarray) -> float:
        seen.append(scores)
        assert live.any()
        assert not live.all()
        return float(live.mean())

    low, high = bootstrap_interval(statistic, scores=scores, live=live, groups=groups, replicates=200)
    assert len(seen) == 200
    for drawn_scores in seen:
        rows = np.rint(drawn_scores * 12).astype(int)
        assert len(rows) == 12
        counts = np.bincount(rows, minlength=12).reshape(6, 2)
        assert (counts[:, 0] == counts[:, 1]).all()
    assert 1 / 6 <= low <= high <= 5 / 6


def test_the_interval_of_a_row_order_is_the_interval():
    data = people()
    order = np.random.default_rng(1).permutation(data["live"].size)
    shuffled = {name: values[order] for name, values in data.items()}
    assert bootstrap_interval(hter_at_eer, **shuffled) == bootstrap_interval(hter_at_eer, **data)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Scores are N(1, 2) for live and N(0, 2) for attacks (variance 1 of the person, 1 of the clip): at 1/2
    the HTER is Phi(-0.5/sqrt 2) = 0.362. Of 200 intervals at 90 %, 180 +- 3 * sqrt(200 * .9 * .1) = 13 should
    hold it; the percentile bootstrap of 25 people falls short by some percent, hence the lower bound.
    """
    truth, held = norm.cdf(-0.5 / np.sqrt(2)), 0
    statistic = partial(hter, threshold=0.5)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        groups, live = np.repeat(np.arange(25), 4), np.tile([True, False], 50)
        scores = live + rng.normal(size=25)[groups] + rng.normal(size=100)
        data = {"scores": scores, "live": live, "groups": groups}
        low, high = bootstrap_interval(statistic, **data, level=0.9, replicates=200, seed=seed)
        held += low <= truth <= high
    assert 155 <= held <= 193


def test_names_may_not_be_empty():
    with pytest.raises(MetricError, match="`species` has an empty value"):
        apcer(scores=[0.1, 0.2], species=["print", None], threshold=0.5)
    for groups in (["a", "a", "b", None], [1.0, 2.0, float("nan"), 3.0]):
        with pytest.raises(MetricError, match="`groups` has an empty value"):
            bootstrap_interval(auc, scores=[0.1, 0.2, 0.8, 0.9], live=[0, 0, 1, 1], groups=groups)
    with pytest.raises(MetricError, match="at least one replicate"):
        bootstrap_interval(auc, scores=[0.1, 0.9], live=[0, 1], groups=["a", "b"], replicates=0)
