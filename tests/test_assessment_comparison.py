"""Two systems side by side: McNemar by enumeration, paired intervals against unpaired ones, joins by name."""

from dataclasses import replace
from math import comb

import numpy as np
import polars as pl
import pytest

import reports
from safas import metrics
from safas.assessment.comparison import System, compare, mcnemar
from safas.assessment.operating import parse
from safas.errors import InputError

FIXED = parse("threshold=0.5")


def system(rows: pl.DataFrame, file: str, threshold: float = 0.5) -> System:
    return System(reports.presentations(rows, file), None, threshold, "stated", oracle=False)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (3, 9), (10, 10), (40, 21), (0, 6)])
def test_mcnemar_by_enumeration(only_a: int, only_b: int) -> None:
    """Twice the chance that a fair coin falls so often on the rarer side or less, at most 1."""
    n, rarer = only_a + only_b, min(only_a, only_b)
    chance = sum(comb(n, k) for k in range(rarer + 1)) / 2**n
    assert mcnemar(only_a, only_b) == pytest.approx(min(2 * chance, 1))


def test_mcnemar_by_hand() -> None:
    """Six against none: 2 / 2^6."""
    assert mcnemar(0, 6) == pytest.approx(1 / 32)


ROWS = reports.table(0, 30).drop_nulls("score")
NOISY = ROWS.with_columns(
    (pl.col("score") + np.random.default_rng(1).normal(0, 0.05, len(ROWS))).alias("score")
)


def test_the_counts_and_differences_by_counting() -> None:
    made = compare(system(ROWS, "a"), system(NOISY, "b"), FIXED, 200, 0)
    attacks = (ROWS["label"] == "spoof").to_numpy()
    a, b = ROWS["score"].to_numpy() >= 0.5, NOISY["score"].to_numpy() >= 0.5
    of_attacks = next(one for one in made["mcnemar"] if one["what"] == "attacks")
    assert of_attacks["only_a_right"] == np.sum(~a & b & attacks)
    assert of_attacks["only_b_right"] == np.sum(a & ~b & attacks)
    assert of_attacks["both_right"] + of_attacks["both_wrong"] == np.sum((a == b) & attacks)
    pooled = next(row for row in made["rows"] if row["name"] == "APCER, pooled")
    assert pooled["difference"] == pytest.approx(a[attacks].mean() - b[attacks].mean())
    assert [one["what"] for one in made["mcnemar"]] == ["bona fide", "attacks", "mask", "print", "replay"]


@pytest.mark.parametrize("known", [True, False])
def test_pairing_narrows_the_interval(known: bool) -> None:
    """b is a with a little noise: their errors are nearly the same, and so are those of each draw of people.

    Where it is not known whose presentations they are, of each draw of presentations.
    """
    rows, noisy = (
        table if known else table.with_columns(pl.lit(None, pl.String).alias("person"))
        for table in (ROWS, NOISY)
    )
    paired = compare(system(rows, "a"), system(noisy, "b"), FIXED, 300, 0)
    apart = compare(system(ROWS, "a"), system(reports.table(7, 30).drop_nulls("score").join(
        ROWS.select("video"), on="video"), "b"), FIXED, 300, 0)  # fmt: skip

    def width(made: dict) -> float:
        low, high = next(row for row in made["rows"] if row["name"] == "AUC")["interval"]
        return float(high - low)

    assert width(paired) < width(apart) / 3


def test_a_better_system_is_called_better_and_a_copy_undecided() -> None:
    live = pl.col("label") == "live"
    better = ROWS.with_columns((pl.col("score") + pl.when(live).then(0.3).otherwise(-0.3)).alias("score"))
    made = compare(system(ROWS, "a"), system(better, "b"), FIXED, 200, 0)
    assert {row["name"]: row["better"] for row in made["rows"]}.items() >= {"HTER": "b", "AUC": "b"}.items()
    turned = compare(system(better, "a"), system(ROWS, "b"), FIXED, 200, 0)
    assert {row["name"]: row["better"] for row in turned["rows"]}.items() >= {"HTER": "a", "AUC": "a"}.items()
    same = compare(system(ROWS, "a"), system(ROWS, "b"), FIXED, 200, 0)
    assert {row["better"] for row in same["rows"]} == {"undecided"}
    assert {one["p"] for one in same["mcnemar"]} == {1}


def test_presentations_without_people_are_drawn_as_people_with_one_each() -> None:
    """The same draws and so the same intervals, where a threshold of dev is chosen anew too."""
    dev = reports.table(9, 20).drop_nulls("score")
    unknown = pl.lit(None, pl.String)
    single = pl.col("row").cast(pl.String).str.zfill(6)
    made = []
    for of_test, of_dev in ((unknown, unknown), (single, pl.col("video"))):
        chose = reports.presentations(dev.with_columns(of_dev.alias("person")), "dev")
        a, b = (
            replace(system(rows.with_columns(of_test.alias("person")), name), dev=chose)
            for rows, name in ((ROWS, "a"), (NOISY, "b"))
        )
        made.append(compare(a, b, parse("eer"), 100, 0))
    assert made[0] == made[1]
    assert made[0]["clusters"] == len(ROWS)
    assert sum(row["interval"] is not None for row in made[0]["rows"]) >= len(made[0]["rows"]) - 1


def test_each_threshold_is_derived_anew_on_drawn_people_of_its_dev() -> None:
    """The interval of HTER, draw by draw: people of test from stream 0, those of dev from stream 1."""
    dev = reports.table(9, 20).drop_nulls("score")
    other = dev.with_columns(pl.col("score") ** 2)
    pair = [
        replace(system(rows, name), dev=reports.presentations(chosen_by, "dev"))
        for rows, chosen_by, name in ((ROWS, dev, "a"), (NOISY, other, "b"))
    ]
    made = compare(*pair, parse("eer"), 50, 0)
    differences = []
    for of_test, of_dev in zip(_draws(ROWS, 0), _draws(dev, 1), strict=True):
        values = []
        for rows, chosen_by in ((ROWS, dev), (NOISY, other)):
            threshold = metrics.eer(**_both(chosen_by[of_dev]))[1]
            values.append(metrics.hter(**_both(rows[of_test]), threshold=threshold))
        differences.append(values[0] - values[1])
    (row,) = (row for row in made["rows"] if row["name"] == "HTER")
    assert row["interval"] == pytest.approx(np.quantile(differences, [0.025, 0.975]))


def _draws(rows: pl.DataFrame, stream: int) -> list[np.ndarray]:
    """The rows of the people of each of 50 draws."""
    people = rows["person"].rank("dense").to_numpy().astype(int) - 1
    number = int(people.max()) + 1
    drawn = np.random.default_rng((0, stream)).integers(0, number, (50, number))
    return [np.repeat(np.arange(len(rows)), np.bincount(one, minlength=number)[people]) for one in drawn]


def _both(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    return {"scores": rows["score"].to_numpy(), "live": (rows["label"] == "live").to_numpy()}


def test_a_difference_that_no_draw_changes_is_decided_by_mcnemar() -> None:
    """b accepts every mask, a none: the same in every draw.

    Of 40 masks p is 2 / 2^40, of one it is 1; of six 0.031, and twice that where both labels were tested.
    """
    for people, better, in_all in ((40, "a", "a"), (6, "a", "undecided"), (1, "undecided", "undecided")):
        rows = pl.concat(
            [
                reports.table(0, 60)
                .filter(label="live")
                .drop_nulls("score")
                .with_columns(pl.lit(0.9).alias("score")),
                reports.table(0, 60)
                .filter(attack="mask")
                .head(people)
                .with_columns(pl.lit(0.1).alias("score")),
            ]
        )
        mask = pl.when(pl.col("attack") == "mask").then(0.8).otherwise(pl.col("score"))
        made = compare(system(rows, "a"), system(rows.with_columns(mask.alias("score")), "b"), FIXED, 100, 0)
        row = next(row for row in made["rows"] if row["name"] == "APCER, mask")
        assert (row["difference"], row["interval"], row["better"]) == (-1, None, better)
        row = next(row for row in made["rows"] if row["name"] == "HTER")  # of bona fide p is 1
        assert (row["difference"], row["interval"], row["better"]) == (-0.5, None, in_all)


def test_the_chance_of_calling_equal_systems_different_is_small() -> None:
    """Two systems with independent noise on the same people: at 95 % about 1 in 20 is called different, not more."""
    rng, called = np.random.default_rng(3), 0
    for seed in range(60):
        rows = reports.table(seed, 25).drop_nulls("score")
        noise = [pl.Series(rng.normal(0, 0.3, len(rows))) for _ in range(2)]
        a, b = (
            system(rows.with_columns(rows["score"] + one), name)
            for one, name in zip(noise, "ab", strict=True)
        )
        made = compare(a, b, FIXED, 200, 0)
        called += next(row for row in made["rows"] if row["name"] == "HTER")["better"] != "undecided"
    assert called <= 8  # P(Binomial(60, 0.05) > 8) = 0.2 %


def test_what_does_not_match_is_counted() -> None:
    made = compare(system(ROWS, "a"), system(NOISY.sort("score").tail(len(ROWS) - 7), "b"), FIXED, 20, 0)
    assert (made["matched"], made["unmatched_a"], made["unmatched_b"]) == (len(ROWS) - 7, 7, 0)


def test_what_cannot_be_compared() -> None:
    a = system(ROWS, "a")
    with pytest.raises(InputError, match="share no live or no spoof"):
        compare(a, system(ROWS.with_columns(pl.col("video") + "x"), "b"), FIXED, 20, 0)
    turned = pl.when(pl.col("label") == "live").then(pl.lit("spoof")).otherwise(pl.lit("live"))
    with pytest.raises(InputError, match="another label"):
        compare(a, system(ROWS.with_columns(turned.alias("label")), "b"), FIXED, 20, 0)
    unnamed = reports.presentations(ROWS.with_columns(pl.lit(None, pl.String).alias("video")), "c")
    with pytest.raises(InputError, match=r"c: .*by the name"):
        compare(a, replace(a, test=unnamed), FIXED, 20, 0)
