"""The bootstrap of all replicates at once against one replicate after the other, and its coverage by simulation."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

import reports
from safas import metrics
from safas.assessment import rates, resampling
from safas.assessment.breakdown import breakdown
from safas.assessment.operating import parse, threshold_of
from safas.assessment.resampling import counted
from safas.assessment.scored import scored
from safas.assessment.uncertainty import Bootstrap, interval, replicated_thresholds, replicates

REPLICATES = 60  # more than one chunk
KINDS = (("live", "none"), ("spoof", "print"))


def repeated(rows: pl.DataFrame, weights: np.ndarray) -> pl.DataFrame:
    """The rows of the drawn people, as often as they were drawn."""
    people = rows["person"].rank("dense").to_numpy().astype(int) - 1
    return rows[np.repeat(np.arange(len(rows)), weights[people])]


def draws(rows: pl.DataFrame, seed: tuple[int, int]) -> np.ndarray:
    """How often each person is drawn [R, G]: the generator is asked in chunks of 50."""
    rng, people = np.random.default_rng(seed), rows["person"].n_unique()
    chunks = [rng.integers(0, people, (size, people)) for size in (50, REPLICATES - 50)]
    return np.stack([np.bincount(draw, minlength=people) for draw in np.concatenate(chunks)])


@pytest.mark.parametrize("decimals", [1, 12])
@pytest.mark.parametrize("point", ["eer", "apcer=0.1", "apcer=0.3", "bpcer=0.1", "threshold=0.4"])
def test_each_replicate_is_what_the_metrics_say_of_the_drawn_people(point: str, decimals: int) -> None:
    test, dev = (
        reports.table(seed, people).drop_nulls("score").with_columns(pl.col("score").round(decimals))
        for seed, people in ((5, 9), (6, 12))
    )
    plan = Bootstrap(parse(point), 0.5, REPLICATES, seed=3)
    thresholds = replicated_thresholds(plan, counted(test), counted(dev))
    found = replicates(counted(test), thresholds, plan)
    for i, (w_test, w_dev) in enumerate(zip(draws(test, (3, 0)), draws(dev, (3, 1)), strict=True)):
        threshold = threshold_of(parse(point), scored(repeated(dev, w_dev)))
        assert thresholds[i] == pytest.approx(threshold, abs=1e-12)
        rows = repeated(test, w_test)
        both = {"scores": rows["score"].to_numpy(), "live": (rows["label"] == "live").to_numpy()}
        expected = {
            "hter": metrics.hter(**both, threshold=threshold),
            "auc": metrics.auc(**both),
            "eer": metrics.eer(**both)[0],
            "bpcer": metrics.bpcer(scores=both["scores"][both["live"]], threshold=threshold),
            **{f"bpcer_at_apcer/{rate}": value for rate, value in rates.bpcer_at_apcer(scored(rows)).items()},
        }
        species = rates.attack_cells(rows, threshold)
        expected |= {f"species/{name}": one["rate"] for name, one in species.items()}
        expected["apcer"] = max(one["rate"] for one in species.values())
        expected["acer"] = (expected["apcer"] + expected["bpcer"]) / 2
        assert {name: found[name][i] for name in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("point", ["apcer=0", "apcer=0.05", "eer"])
def test_a_draw_that_accepts_nobody_has_its_threshold_above_all_that_were_drawn(point: str) -> None:
    """An attack scores highest, but in a third of the draws of ten people not that of the tenth one."""
    scores = [(0.3 + 0.03 * i, 0.65 + 0.01 * i) for i in range(9)] + [(0.5, 0.95)]
    dev = pl.DataFrame(
        [(*kind, s, f"p{i}") for i, pair in enumerate(scores) for kind, s in zip(KINDS, pair, strict=True)],
        schema=["label", "attack", "score", "person"],
        orient="row",
    )
    found = replicated_thresholds(
        Bootstrap(parse(point), 0.5, REPLICATES, seed=3), counted(dev), counted(dev)
    )
    expected = [threshold_of(parse(point), scored(repeated(dev, draw))) for draw in draws(dev, (3, 1))]
    assert found == pytest.approx(expected, abs=1e-12)
    assert 0.2 < np.mean(np.array(expected) < 0.9) < 0.6 or point == "eer"


@pytest.mark.parametrize("point", ["eer", "threshold=0.4"])
def test_a_group_is_counted_on_the_draws_that_its_thresholds_are_of(point: str) -> None:
    """A threshold that the test itself chose belongs to the draw of all people of the test."""
    test = reports.table(5, 9).drop_nulls("score")
    plan = Bootstrap(parse(point), 0.5, REPLICATES, seed=3)
    thresholds = replicated_thresholds(plan, counted(test), None)
    bpcer, pooled, mask = [], [], []
    for draw in draws(test, (3, 0)):
        rows = repeated(test, draw)
        threshold, rows = threshold_of(parse(point), scored(rows)), rows.filter(device="phone")
        lives, attacks = rows.filter(label="live")["score"], rows.filter(label="spoof")["score"]
        masks = rows.filter(attack="mask")["score"]
        bpcer.append((lives < threshold).mean())
        pooled.append((attacks >= threshold).mean())
        mask.append((masks >= threshold).mean())
    made = breakdown(test, "device", plan, counted(test), thresholds)["groups"]
    (phone,) = (group for group in made if group["name"] == "phone")
    assert phone["bpcer"]["bootstrap"] == pytest.approx(interval(np.array(bpcer, float)))
    assert phone["pooled"]["bootstrap"] == pytest.approx(interval(np.array(pooled, float)))
    assert phone["species"]["mask"]["bootstrap"] == pytest.approx(interval(np.array(mask, float)))


def test_an_oracle_threshold_is_derived_on_the_drawn_test_itself() -> None:
    test = reports.table(5, 9).drop_nulls("score")
    plan = Bootstrap(parse("eer"), 0.5, REPLICATES, seed=3)
    thresholds = replicated_thresholds(plan, counted(test), None)
    found = replicates(counted(test), thresholds, plan)
    one = repeated(test, draws(test, (3, 0))[7])
    scores, live = scored(one).both
    assert found["hter"][7] == pytest.approx(metrics.hter_at_eer(scores=scores, live=live))


@pytest.mark.parametrize("shape", ["even", "rare"])
def test_bins_move_no_rate_by_more_than_they_may(shape: str) -> None:
    """20,000 distinct scores in 4,096 bins: AUC, EER and the rates at any threshold nearly as exactly computed, those
    at the threshold in use exactly. Also where bona fide are few and close together.
    """
    rng = np.random.default_rng(0)
    live = rng.random(20_000) < (0.5 if shape == "even" else 0.01)
    score = rng.normal(live.astype(float))
    if shape == "rare":
        score[live] = rng.uniform(0.5, 0.5005, live.sum())
    rows = reports.table(0, 1).clear().select("label", "attack", "score", "person")
    rows = pl.DataFrame(
        {
            "label": np.where(live, "live", "spoof"),
            "attack": np.where(live, "none", "print"),
            "score": score,
            "person": rng.integers(0, 100, live.size).astype(str),
        },
        schema=rows.schema,
    )
    data = counted(rows, 0.3)
    assert data.values.size <= resampling.MAX_BINS + 1
    bound = 1 / (resampling.MAX_BINS / 2 - 1)
    sums = data.counts.sum(axis=0).reshape(1, data.classes, -1)
    accepted = np.concatenate([np.cumsum(sums[..., ::-1], axis=2)[..., ::-1], np.zeros((1, 2, 1))], axis=2)
    whole = resampling.Draws(data.values, accepted[:, 0], accepted[:, 1:])
    scores = rows["score"].to_numpy()
    assert resampling.auc(whole)[0] == pytest.approx(metrics.auc(scores=scores, live=live), abs=bound)
    assert resampling.eer(whole)[0] == pytest.approx(metrics.eer(scores=scores, live=live)[0], abs=bound)
    at = resampling.at(whole.live, whole.values, np.array([0.3]))[0]
    assert at == np.sum(scores[live] >= 0.3)
    anywhere = np.concatenate([np.linspace(-2, 2, 400), np.linspace(0.499, 0.501, 400)])
    cuts = np.searchsorted(whole.values, anywhere)
    for accepted_bins, of in ((whole.live[0], live), (whole.pooled[0], ~live)):
        exact = (scores[of] >= anywhere[:, None]).mean(axis=1)
        assert np.abs(accepted_bins[cuts] / of.sum() - exact).max() < bound


def test_without_people_presentations_are_drawn() -> None:
    """The deviation of a rate of n presentations drawn one by one is sqrt(p (1 - p) / n)."""
    rows = pl.concat([reports.table(seed, 40) for seed in range(5)]).with_columns(
        pl.lit(None, pl.String).alias("person")
    )
    plan = Bootstrap(parse("threshold=0.5"), 0.5, 2000)
    found = replicates(counted(rows), np.full(2000, 0.5), plan)["bpcer"]
    cell = rates.rejected_cell(rows.filter(label="live"), 0.5)
    assert not counted(rows).clustered
    assert found.mean() == pytest.approx(cell["rate"], abs=0.003)
    assert found.std() == pytest.approx(np.sqrt(cell["rate"] * (1 - cell["rate"]) / cell["n"]), rel=0.1)


def test_a_draw_has_both_classes() -> None:
    """One of three people has the only attacks: draws without that person (8 of 27) are drawn again."""
    rows = (
        reports.table(0, 3)
        .drop_nulls("score")
        .filter((pl.col("label") == "live") | (pl.col("subject") == "p0"))
    )
    plan = Bootstrap(parse("threshold=0.5"), 0.5, 200)
    assert np.isfinite(replicates(counted(rows), np.full(200, 0.5), plan)["auc"]).all()


def test_a_rare_species_is_left_out_of_the_draws_that_lack_it() -> None:
    rows = (
        reports.table(0, 6)
        .drop_nulls("score")
        .filter((pl.col("attack") != "mask") | (pl.col("subject") == "p0"))
    )
    plan = Bootstrap(parse("threshold=0.5"), 0.5, 200)
    found = replicates(counted(rows), np.full(200, 0.5), plan)
    assert 0 < np.isnan(found["species/mask"]).sum() < 200
    assert np.isfinite(found["apcer"]).all()


def test_an_interval_without_width_is_none() -> None:
    assert interval(np.zeros(100)) is None
    assert interval(np.full(3, np.nan)) is None
    assert interval(np.arange(101.0)) == pytest.approx([2.5, 97.5])


# -- coverage -----------------------------------------------------------------------------------------------------

PEOPLE, EACH, OWN = 80, 4, 1.2  # presentations of either label a person; deviation of a person's own level
CAMPAIGNS, NAIVE = 400, 60


def campaign(rng: np.random.Generator) -> pl.DataFrame:
    """Scores N(+-1 + level of the person, 1): a person's presentations resemble each other."""
    person = np.repeat(np.arange(PEOPLE), 2 * EACH)
    live = np.tile(np.repeat([True, False], EACH), PEOPLE)
    level = rng.normal(0, OWN, PEOPLE)
    score = np.where(live, 1.0, -1.0) + level[person] + rng.normal(size=person.size)
    return pl.DataFrame(
        {
            "label": np.where(live, "live", "spoof"),
            "attack": np.where(live, "none", "print"),
            "score": score,
            "person": person.astype(str),
        }
    )


def covered(campaigns: int, *, naive: bool) -> dict[str, float]:
    """The share of campaigns whose intervals hold the true rates.

    The threshold comes from the EER of a dev set each; the true one is 0 by symmetry, where APCER and BPCER are
    Phi(-1 / sqrt(1 + OWN^2)) = 26.1 %, and the true AUC is Phi(2 / sqrt(2 (1 + OWN^2))) = 81.7 %.
    """
    spread = np.sqrt(1 + OWN**2)
    rate = norm.cdf(-1 / spread)
    truth = {"bpcer": rate, "apcer": rate, "hter": rate, "auc": norm.cdf(np.sqrt(2) / spread)}
    rng, plan = np.random.default_rng(7), Bootstrap(parse("eer"), 0.0, 200)
    hits = dict.fromkeys(truth, 0)
    for _ in range(campaigns):
        dev, test = campaign(rng), campaign(rng)
        if naive:
            dev, test = (rows.with_columns(pl.lit(None, pl.String).alias("person")) for rows in (dev, test))
        data = counted(test)
        found = replicates(data, replicated_thresholds(plan, data, counted(dev)), plan)
        for name, value in truth.items():
            low, high = interval(found[name]) or (0, 0)
            hits[name] += low <= value <= high
    return {name: count / campaigns for name, count in hits.items()}


def test_intervals_over_people_cover_what_they_promise() -> None:
    shares = covered(CAMPAIGNS, naive=False)
    assert all(0.92 <= share <= 0.98 for share in shares.values()), shares


def test_intervals_over_presentations_do_not_where_people_gave_several() -> None:
    shares = covered(NAIVE, naive=True)
    assert max(shares["bpcer"], shares["apcer"]) < 0.85, shares
