import itertools
import tracemalloc
from functools import partial

import numpy as np
import polars as pl
import pytest

import tiny
from safas.benchmark.comparison import (
    Comparison,
    Errors,
    Trial,
    compare,
    draw_people,
    errors,
    holm,
    hter_replicates,
    interval,
    trial,
)
from safas.errors import MetricError, ProtocolError
from safas.evaluation import evaluate
from safas.metrics import bootstrap_interval, eer, hter
from safas.protocols import source_threshold
from safas.table import is_live


def tiny_trial(shift: float = 0.0, seed: int = 0) -> Trial:
    scores = tiny.run_scores(shift, seed=seed).with_columns(pl.lit(seed).cast(pl.Int64).alias("seed"))
    return trial(scores, evaluate(scores, replicates=2)["chosen"])


def presentations(live: dict[str, list[float]], spoof: dict[str, list[float]]) -> pl.DataFrame:
    """Scores by person, all of one domain."""
    rows = [
        ("set", f"{person}-{label}-{i}", person, "d", label, score)
        for label, people in (("live", live), ("spoof", spoof))
        for person, values in people.items()
        for i, score in enumerate(values)
    ]
    columns = ["dataset", "video", "subject", "domain", "label", "score"]
    return pl.DataFrame(rows, schema=columns, orient="row").sort("dataset", "domain", "video")


def copied(rows: pl.DataFrame, weights: np.ndarray) -> pl.DataFrame:
    """The drawn people's rows, written out as often as each is drawn."""
    people = sorted(set(rows.select("dataset", "domain", "subject").rows()))
    times = {who: int(weight) for who, weight in zip(people, weights, strict=True)}
    repeats = [times[who] for who in rows.select("dataset", "domain", "subject").rows()]
    return rows[np.repeat(np.arange(len(rows)), repeats)]


@pytest.mark.parametrize("decimals", [1, 6])  # with many ties, and with none
def test_a_replicate_is_what_copying_the_rows_gives(decimals: int) -> None:
    """The plain way: rows written out, `source_threshold` and `hter` of the public functions."""
    rng = np.random.default_rng(2)
    tables = (
        table.with_columns(pl.col("score").round(decimals))
        for table in (world(rng, 0, "subject"), world(rng, 1, "subject"))
    )
    one = Trial(0, 0.0, *tables)
    dev, target = draw_people(one.dev, 60, 5), draw_people(one.target, 60, 5)
    expected = []
    for of_dev, of_target in zip(dev, target, strict=True):
        drawn = copied(one.target, of_target)
        threshold = source_threshold(copied(one.dev, of_dev)).value
        expected.append(hter(scores=drawn["score"].to_numpy(), live=is_live(drawn), threshold=threshold))
    assert np.allclose(hter_replicates(one, 60, 5), expected, atol=1e-12)
    assert np.unique(expected).size > 5


def test_no_table_of_people_by_scores_is_made() -> None:
    """4,000 people with one score each: 16,000,000 pairs, 128 MB a class, for 8,000 scores of two replicates."""
    live = {f"l{i}": [0.3 + i / 4000] for i in range(2000)}
    rows = presentations(live, {f"s{i}": [i / 4000] for i in range(2000)})
    tracemalloc.start()
    hter_replicates(Trial(0, 0.5, rows, rows), 2, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_thresholds_look_past_people_who_were_not_drawn() -> None:
    """Perfectly separable: the EER threshold is the middle of the gap between the drawn spoof and the drawn live.

    Spoof a 0.1, b 0.2; live a 0.8, b 0.6. Only a: (0.1 + 0.8) / 2 = 0.45. Only b: 0.4. Both: (0.2 + 0.6) / 2 = 0.4.
    A target whose live scores are 0.42 and spoof 0 then errs in half of the live side (0.5) with a alone, else 0.
    """
    dev = presentations({"a": [0.8], "b": [0.6]}, {"a": [0.1], "b": [0.2]})
    target = presentations({"x": [0.42], "y": [0.42]}, {"x": [0.0], "y": [0.0]})
    only_a = draw_people(dev, 40, 0)[:, 1] == 0
    assert 0 < only_a.sum() < 40
    assert hter_replicates(Trial(0, 0.4, dev, target), 40, 0).tolist() == np.where(only_a, 0.5, 0.0).tolist()


def test_a_score_at_the_threshold_is_accepted() -> None:
    """Threshold (0.25 + 0.75) / 2 = 0.5 in every draw; the target's live scores are just that, its spoof below."""
    dev = presentations({"a": [0.75], "b": [0.75]}, {"a": [0.25], "b": [0.25]})
    target = presentations({"x": [0.5], "y": [0.5]}, {"x": [0.49], "y": [0.49]})
    assert not hter_replicates(Trial(0, 0.5, dev, target), 10, 0).any()


def test_nothing_fits_between_neighbours() -> None:
    """No number lies between 0.5 and the next one: the threshold is the live score, and 0.5 is rejected."""
    live = float(np.nextafter(0.5, 1))
    rows = presentations({"a": [live], "b": [live]}, {"a": [0.5], "b": [0.5]})
    assert not hter_replicates(Trial(0, live, rows, rows), 10, 0).any()


def test_one_score_for_all_accepts_nobody() -> None:
    """As `safas.metrics.eer` has it: the stricter of two points equally far from FAR = FRR. FRR = 1, FAR = 0."""
    rows = presentations({"a": [0.5], "b": [0.5]}, {"a": [0.5], "b": [0.5]})
    assert hter_replicates(Trial(0, 1.0, rows, rows), 10, 0).tolist() == [0.5] * 10
    target = presentations({"a": [0.6], "b": [0.6]}, {"a": [0.5], "b": [0.5]})
    assert not hter_replicates(Trial(0, 1.0, rows, target), 10, 0).any()


def test_people_are_drawn_domain_by_domain_with_all_their_rows() -> None:
    dev = tiny_trial().dev  # six people in north and six in south
    weights = draw_people(dev, 500, 1)
    assert weights.shape == (500, 12)
    assert set(weights[:, :6].sum(axis=1)) == set(weights[:, 6:].sum(axis=1)) == {6}
    assert np.allclose(weights.mean(axis=0), 1, atol=0.15)


def test_a_domain_has_the_same_draws_wherever_it_serves() -> None:
    dev = tiny_trial().dev
    north = dev.filter(pl.col("domain") == "north")
    assert (draw_people(dev, 50, 3)[:, :6] == draw_people(north, 50, 3)).all()
    assert (draw_people(dev, 50, 3) != draw_people(dev, 50, 4)).any()
    assert (draw_people(dev, 50, 3)[:, :6] != draw_people(dev, 50, 3)[:, 6:]).any()  # each domain by itself


def test_no_draw_lacks_a_label() -> None:
    """Two live people and one with attacks: plainly drawn, (2/3)^3 + (1/3)^3 = 1/3 of all draws would lack one."""
    rows = presentations({"a": [0.9], "b": [0.8]}, {"c": [0.1]})
    weights = draw_people(rows, 300, 0)
    assert (weights[:, 2] > 0).all()
    assert (weights[:, :2].sum(axis=1) > 0).all()
    assert set(weights.sum(axis=1)) == {3}


def test_the_value_keeps_the_threshold_in_use() -> None:
    scores = tiny.run_scores(1.0)
    chosen = evaluate(scores, replicates=2)["chosen"]
    assert errors([trial(scores, chosen)], replicates=5).value == pytest.approx(chosen["hter"])


def made(
    values: list[list[float]], seeds: tuple[int, ...] = (0,), measured: list[float] | None = None
) -> Errors:
    """Errors with the given replicates [R, S]."""
    drawn = np.array(values)
    return Errors(seeds, np.array(measured if measured is not None else drawn.mean(axis=0)), drawn, "same")


def test_comparison_by_hand() -> None:
    """One seed, so that no seed is drawn. Differences -0.2, -0.1, 0, 0.1: their mean is -0.05. Better: two and half
    a tie of 4 = 0.625. At or below zero 3, at or above 2: p = 2 (2 + 1) / (4 + 1) = 1.2, at most 1."""
    a, b = made([[0.1], [0.2], [0.3], [0.4]]), made([[0.3], [0.3], [0.3], [0.3]])
    result = compare([a], [b])
    assert result.difference == pytest.approx(-0.05)
    assert result.better == 0.625
    assert result.p == 1.0
    assert result.interval == pytest.approx(tuple(np.quantile([-0.2, -0.1, 0, 0.1], [0.025, 0.975])))


def test_a_clear_difference_has_the_smallest_p_there_is() -> None:
    """99 replicates, all below zero: p = 2 (0 + 1) / (99 + 1) = 0.02."""
    result = compare([made([[0.1]] * 99)], [made([[0.3]] * 99)])
    assert result.p == pytest.approx(0.02)
    assert result.better == 1.0


def test_over_protocols_the_differences_are_averaged_in_each_replicate() -> None:
    """Differences 0.1, -0.3 and 0.2, 0.1: means 0.15 and -0.1, although no protocol has such an interval."""
    a = [made([[0.4], [0.0]]), made([[0.5], [0.4]])]
    b = [made([[0.3], [0.3]]), made([[0.3], [0.3]])]
    assert compare(a, b, level=1.0).interval == pytest.approx((-0.1, 0.15))
    assert interval(a, level=1.0) == pytest.approx((0.2, 0.45))


def test_a_method_against_itself_is_nothing() -> None:
    of = [errors([tiny_trial(1.0, seed) for seed in (0, 1, 2)], replicates=200)]
    assert compare(of, of) == Comparison(0.0, (0.0, 0.0), 0.5, 1.0)


def test_swapping_mirrors() -> None:
    a = [errors([tiny_trial(1.0, seed) for seed in (0, 1, 2)], replicates=200)]
    b = [
        errors([tiny_trial(3.0, seed) for seed in (0, 1)], replicates=200)
    ]  # other seeds are drawn by themselves
    one, other = compare(a, b), compare(b, a)
    assert one.difference == -other.difference != 0
    assert one.interval == pytest.approx(tuple(-x for x in reversed(other.interval or ())))
    assert (one.better or 0) + (other.better or 0) == pytest.approx(1)
    assert one.p == other.p


def test_seeds_widen_a_comparison() -> None:
    """People who never matter: the width comes of the seeds alone, whose differences are -0.2 and 0.2."""
    a, b = made([[0.1, 0.5]] * 400, (0, 1)), made([[0.3, 0.3]] * 400, (0, 1))
    assert compare([a], [b]).interval == pytest.approx((-0.2, 0.2))
    assert interval([a]) == pytest.approx((0.3, 0.3))


def test_the_same_seeds_are_drawn_together() -> None:
    """Both methods are 0.2 worse with seed 1: drawn together that cancels."""
    a, b = made([[0.1, 0.3]] * 400, (0, 1)), made([[0.2, 0.4]] * 400, (0, 1))
    assert compare([a], [b]).interval == pytest.approx((-0.1, -0.1))


def test_one_person_gives_no_interval() -> None:
    rows = presentations({"a": [0.9]}, {"a": [0.1]})
    of = [errors([Trial(0, 0.5, tiny_trial().dev, rows)])]
    assert interval(of) is None
    assert compare(of, of) == Comparison(0.0, None, None, None)


def test_only_the_same_videos_are_compared() -> None:
    one = tiny_trial()
    fewer = Trial(1, one.threshold, one.dev, one.target[1:])
    with pytest.raises(ProtocolError, match="seeds of a method"):
        errors([one, fewer], replicates=5)
    with pytest.raises(ProtocolError, match="to be compared"):
        compare([errors([one], replicates=5)], [errors([fewer], replicates=5)])
    with pytest.raises(MetricError, match="no run"):
        errors([])


def test_holm_by_hand() -> None:
    """0.01 x 3 = 0.03; 0.02 x 2 = 0.04; 0.03 x 1 = 0.03, but not below the one before: 0.04."""
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_holm_is_closed_testing_with_bonferroni() -> None:
    """Holm 1979: adjusted p of i = the largest, over all sets of hypotheses with i, of size x smallest p in it."""
    p = np.random.default_rng(0).uniform(0, 0.3, 6)
    sets = [s for size in range(1, 7) for s in itertools.combinations(range(6), size)]
    expected = [max(min(1, len(s) * min(p[list(s)])) for s in sets if i in s) for i in range(6)]
    assert holm(p) == pytest.approx(expected)


PEOPLE, VIDEOS = 20, 4  # videos of each person and label
WORLD = presentations(*({f"p{i:02}": [0.0] * VIDEOS for i in range(PEOPLE)} for _ in ("live", "spoof")))


def world(rng: np.random.Generator, shift: float, unit: str) -> pl.DataFrame:
    """Normal scores around +-1 + shift: variance 1 between people (live and spoof by themselves), 0.25 within."""
    centre = np.where(is_live(WORLD), 1, -1) + shift
    who = WORLD.select(pl.struct("subject", "label").rank("dense") - 1).to_series().to_numpy()
    score = centre + rng.normal(0, 1, 2 * PEOPLE)[who] + rng.normal(0, 0.5, len(WORLD))
    return WORLD.with_columns(score=pl.Series(score), subject=pl.col(unit))


@pytest.mark.parametrize(("unit", "low", "high"), [("subject", 0.88, 0.99), ("video", 0.7, 0.87)])
def test_intervals_cover_the_truth_if_people_are_drawn_and_not_if_videos_are(
    unit: str, low: float, high: float
) -> None:
    """100 made-up worlds with other people at validation and test; at the target all scores lie 1 higher.

    The truth: validation is even about 0, the threshold. At the target live are N(2, 1.25), spoof N(0, 1.25):
    FRR = Phi(-2 / sqrt 1.25) = Phi(-1.789) = 0.0368, FAR = 1/2, HTER = 0.2684.
    """
    rng, covered = np.random.default_rng(7), 0
    for number in range(100):
        dev, target = world(rng, 0.0, unit), world(rng, 1.0, unit)
        ends = interval([errors([Trial(0, 0.0, dev, target)], replicates=200, seed=number)])
        assert ends is not None
        covered += ends[0] <= 0.2684 <= ends[1]
    assert low <= covered / 100 <= high


def test_a_fixed_threshold_would_promise_too_much() -> None:
    """The same worlds: intervals that draw target people alone are narrower, as if validation were no sample."""
    rng, widths = np.random.default_rng(7), []
    for number in range(20):
        dev, target = world(rng, 0.0, "subject"), world(rng, 1.0, "subject")
        threshold = eer(scores=dev["score"].to_numpy(), live=is_live(dev))[1]
        both = interval([errors([Trial(0, threshold, dev, target)], replicates=200, seed=number)])
        fixed = bootstrap_interval(
            partial(hter, threshold=threshold),
            scores=target["score"], live=is_live(target), groups=target["subject"], replicates=200,
        )  # fmt: skip
        assert both is not None
        widths.append((fixed[1] - fixed[0], both[1] - both[0]))
    assert np.sum(widths, axis=0)[0] < 0.9 * np.sum(widths, axis=0)[1]
