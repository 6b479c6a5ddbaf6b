"""Every rate against hand-counted cases and against scikit-learn on random scores with ties."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

import reports
from safas.assessment import rates
from safas.assessment.presentations import COLUMNS
from safas.assessment.scored import scored


def table(rows: list[tuple[str, float | None]], people: bool = True) -> pl.DataFrame:
    """Presentations of ("live" or a species, score); each is of one of three people."""
    made = [
        {
            "row": i + 1,
            "video": str(i),
            "label": "live" if kind == "live" else "spoof",
            "attack": "none" if kind == "live" else kind,
            "subject": f"p{i % 3}",
            "person": f"\np{i % 3}" if people else None,
            "score": score,
        }
        for i, (kind, score) in enumerate(rows)
    ]
    return pl.DataFrame(made, schema={name: COLUMNS[name] for name in made[0]})


HAND = table(
    [
        ("live", 0.9), ("live", 0.5), ("live", 0.4), ("live", None), ("live", 0.8),
        ("print", 0.1), ("print", 0.5), ("print", None), ("print", 0.2), ("print", 0.45),
        ("mask", 0.7), ("mask", None), ("mask", 0.3),
    ]
)  # fmt: skip


def test_counted_by_hand() -> None:
    """At 0.5, a score at the threshold accepted: of the answered prints .5 of four passes, of the masks .7 of two;
    of four answered live .4 is lost. Without a response: 1 of 5 prints, 1 of 3 masks, 1 of 5 live; turned away are
    .4 and the one without: 2 of 5.
    """
    species = rates.attack_cells(HAND, 0.5)
    assert list(species) == ["mask", "print"]
    assert [(one["errors"], one["n"], one["apcer"]) for one in species.values()] == [
        (1, 2, 0.5),
        (1, 4, 0.25),
    ]
    assert [(one["nonresponses"], one["presented"]) for one in species.values()] == [(1, 3), (1, 5)]
    assert species["print"]["apnrr"]["rate"] == 1 / 5
    assert rates.worst(species) == "mask"
    lives = HAND.filter(label="live")
    assert (rates.rejected_cell(lives, 0.5)["errors"], rates.rejected_cell(lives, 0.5)["n"]) == (1, 4)
    missing = rates.nonresponse(HAND, 0.5)
    assert (missing["attacks"]["errors"], missing["attacks"]["n"]) == (2, 8)
    assert (missing["bona_fide"]["errors"], missing["bona_fide"]["n"]) == (1, 5)
    assert (missing["turned_away"]["errors"], missing["turned_away"]["n"]) == (2, 5)


def test_of_two_equal_species_the_one_seen_less_is_the_worst() -> None:
    cells = {"a": {"n": 10, "rate": 0.5}, "b": {"n": 4, "rate": 0.5}, "c": {"n": 0, "rate": None}}
    assert rates.worst(cells) == "b"
    assert rates.worst({}) is None


def test_reasons_are_counted() -> None:
    reasons = pl.Series(["no face", None, "no face"], dtype=pl.String)
    rows = HAND.filter(pl.col("score").is_null()).with_columns(reasons.alias("reason"))
    assert rates.nonresponse(rows, 0.5)["reasons"] == {"no face": 2, "not said": 1}


def test_bpcer_at_apcer_by_hand() -> None:
    """Rising: m.2 l.3 p.4 p.5 l.6 m.7 l.8 l.9. At 10 % no attack may pass: above .7, half of the live are lost. One
    print and one mask of two each are 50 %.
    """
    rows = table([("live", s) for s in (0.3, 0.6, 0.8, 0.9)] + [("print", 0.4), ("print", 0.5)])
    rows = pl.concat([rows, table([("mask", 0.2), ("mask", 0.7)])])
    assert rates.bpcer_at_apcer(scored(rows)) == {"0.1": 0.5, "0.05": 0.5, "0.01": 0.5}


def random_rows(seed: int, decimals: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["live", "print", "mask", "replay"], 400, p=[0.4, 0.3, 0.1, 0.2])
    scores = np.round(rng.normal(2.0 * (kinds == "live"), 1.5), decimals)
    return table(
        [
            (str(kind), None if rng.random() < 0.05 else float(s))
            for kind, s in zip(kinds, scores, strict=True)
        ]
    )


@pytest.mark.parametrize("decimals", [0, 1, 12])
@pytest.mark.parametrize("seed", range(4))
def test_against_scikit_learn(seed: int, decimals: int) -> None:
    rows = random_rows(seed, decimals)
    answered = rows.drop_nulls("score")
    scores, live = answered["score"].to_numpy(), (answered["label"] == "live").to_numpy()
    threshold = float(np.quantile(scores, 0.6))
    tn, fp, fn, tp = confusion_matrix(live, scores >= threshold).ravel()
    attacks, lives = rows.filter(label="spoof"), rows.filter(label="live")
    assert rates.accepted_cell(attacks, threshold)["rate"] == fp / (tn + fp)
    assert rates.rejected_cell(lives, threshold)["rate"] == fn / (fn + tp)
    species = rates.attack_cells(rows, threshold)
    rates.add_auc(species, scored(rows))
    for name, one in species.items():
        of = answered.filter((pl.col("attack") == name) | (pl.col("label") == "live"))
        y, s = (of["label"] == "live").to_numpy(), of["score"].to_numpy()
        tn, fp, _, _ = confusion_matrix(y, s >= threshold).ravel()
        assert (one["errors"], one["n"]) == (fp, tn + fp)
        assert one["auc"] == pytest.approx(roc_auc_score(y, s), abs=1e-12)


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_bpcer_at_apcer_against_scikit_learns_curves(decimals: int) -> None:
    """The worst species decides at each threshold: the largest of the BPCERs that each species alone would ask for."""
    rows = random_rows(9, decimals).drop_nulls("score")
    lives = rows.filter(label="live")
    for rate, ours in rates.bpcer_at_apcer(scored(rows)).items():
        asked = []
        for name in ("print", "mask", "replay"):
            of = pl.concat([lives, rows.filter(attack=name)])
            fpr, tpr, _ = roc_curve(
                (of["label"] == "live").to_numpy(), of["score"].to_numpy(), drop_intermediate=False
            )
            asked.append(1 - tpr[fpr <= float(rate)].max())
        assert ours == pytest.approx(max(asked), abs=1e-12)


def test_a_million_rows_are_counted_right() -> None:
    rng = np.random.default_rng(0)
    n = 1_000_000
    code = rng.integers(0, 4, n)
    kinds = np.array(["none", "print", "mask", "replay"])[code]
    score = np.round(rng.random(n) + 0.2 * (code == 0), 4)
    rows = pl.DataFrame({"attack": kinds, "score": score, "person": rng.integers(0, 500, n).astype(str)})
    rows = rows.with_columns(
        pl.when(pl.col("attack") == "none").then(pl.lit("live")).otherwise(pl.lit("spoof")).alias("label")
    )
    cells = rates.attack_cells(rows, 0.9)
    rates.add_auc(cells, scored(rows))
    for i, name in enumerate(("print", "mask", "replay"), start=1):
        assert (cells[name]["errors"], cells[name]["n"]) == (
            np.sum(score[code == i] >= 0.9),
            np.sum(code == i),
        )
    assert cells["mask"]["auc"] == pytest.approx(
        roc_auc_score(code[code % 2 == 0] == 0, score[code % 2 == 0]), abs=1e-9
    )


def test_one_class_alone() -> None:
    live_only: dict[str, Any] = rates.attack_cells(HAND.filter(label="live"), 0.5)
    assert live_only == {}
    species = rates.attack_cells(HAND.filter(label="spoof"), 0.5)
    assert species["mask"]["auc"] is None
    assert rates.bpcer_at_apcer(scored(HAND.filter(label="live"))) == {
        "0.1": None,
        "0.05": None,
        "0.01": None,
    }


def test_a_species_without_any_response_has_no_rate() -> None:
    rows = HAND.with_columns(
        pl.when(pl.col("attack") == "mask").then(None).otherwise(pl.col("score")).alias("score")
    )
    species = rates.attack_cells(rows, 0.5)
    assert (species["mask"]["n"], species["mask"]["apcer"], species["mask"]["apnrr"]["rate"]) == (0, None, 1)
    assert rates.worst(species) == "print"


def test_people_are_counted_where_they_are_known() -> None:
    assert rates.subjects(HAND) == 3
    assert rates.subjects(table([("live", 0.5)], people=False)) is None
    assert rates.subjects(reports.table(0, 4)) == 4
