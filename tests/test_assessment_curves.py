"""Points to draw: every one an operating point, the marked ones among them, whatever is thinned away."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_curve

import reports
from safas import metrics
from safas.assessment.curves import BINS, MAX_POINTS, curves, histograms
from safas.assessment.scored import Scored, scored


def data(seed: int, size: int, decimals: int = 12) -> Scored:
    rng = np.random.default_rng(seed)
    draw = {
        name: np.sort(np.round(rng.normal(level, 1, size), decimals))
        for name, level in (("l", 1.5), ("a", 0), ("b", 1))
    }
    return Scored(draw["l"], {"a": draw["a"], "b": draw["b"]})


@pytest.mark.parametrize("decimals", [1, 12])
def test_a_small_curve_is_the_roc_of_scikit_learn(decimals: int) -> None:
    some = data(0, 100, decimals)
    made = curves(some, {})
    assert made is not None
    scores, live = some.both
    fpr, tpr, thresholds = roc_curve(live, scores, drop_intermediate=False)
    assert made["apcer"]["pooled"] == pytest.approx(fpr.tolist())
    assert made["bpcer"] == pytest.approx((1 - tpr).tolist())
    assert made["operating_points"] == len(thresholds) == len(made["threshold"])
    assert made["threshold"] == pytest.approx(metrics.roc(scores=scores, live=live).threshold.tolist())


def test_a_long_curve_is_thinned_to_operating_points_and_keeps_the_marked_ones() -> None:
    some = data(1, 20_000)
    marked = {"in use": 0.61234, "low": -0.4, "high": 2.5}
    made = curves(some, marked)
    assert made is not None
    assert 1000 < len(made["threshold"]) <= MAX_POINTS
    scores, live = some.both
    full = metrics.roc(scores=scores, live=live)
    points = {(far, frr) for far, frr in zip(full.far.tolist(), full.frr.tolist(), strict=True)}
    kept = list(zip(made["apcer"]["pooled"], made["bpcer"], strict=True))
    assert points >= set(kept)
    assert (kept[0], kept[-1]) == ((0, 1), (1, 0))
    for point in made["points"]:
        assert (point["apcer_pooled"], point["bpcer"]) in kept
        assert point["apcer"] == max(
            np.mean(species >= point["threshold"]) for species in some.species.values()
        )
    steps = np.abs(np.diff(kept, axis=0)).sum(axis=1)
    assert steps.max() < 0.005


def test_the_rates_at_each_kept_threshold_are_those_of_counting() -> None:
    some = data(2, 3000)
    made = curves(some, {})
    assert made is not None
    for i in range(0, len(made["threshold"]), 97):
        threshold = made["threshold"][i]
        assert made["bpcer"][i] == np.mean(some.live < threshold)
        assert made["apcer"]["b"][i] == np.mean(some.species["b"] >= threshold)


def test_no_curve_without_both_classes() -> None:
    assert curves(Scored(np.array([0.5]), {}), {}) is None


def test_histograms_count_every_answered_row_once() -> None:
    rows = reports.table(0, 20)
    made = histograms(rows)
    assert (made["edges"][0], made["edges"][-1], len(made["edges"])) == (0, 1, BINS + 1)
    assert list(made["species"]) == ["live", "mask", "print", "replay"]
    answered = rows.drop_nulls("score")
    assert {name: sum(bins) for name, bins in made["species"].items()} == {
        ("live" if name == "none" else name): n for name, n in answered["attack"].value_counts().rows()
    }
    by_domain = [sum(bins) for domain in made["domains"].values() for bins in domain.values()]
    assert sum(by_domain) == len(answered)


def test_histograms_of_other_scales_span_their_scores() -> None:
    rows = reports.table(0, 5).with_columns(pl.col("score") * 100 - 20)
    made = histograms(rows)
    assert (made["edges"][0], made["edges"][-1]) == (rows["score"].min(), rows["score"].max())
    assert sum(sum(bins) for bins in made["species"].values()) == rows["score"].count()
    same = histograms(rows.with_columns(pl.lit(7.0).alias("score")))
    assert sum(same["species"]["live"]) == len(rows.filter(label="live"))


def test_curves_of_presentations_without_a_score_leave_them_out() -> None:
    rows = reports.table(0, 10)
    assert curves(scored(rows), {}) == curves(scored(rows.drop_nulls("score")), {})
