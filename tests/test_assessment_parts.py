"""Breakdowns, the full system with a matcher, failures as non-responses, and what the report warns of."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import reports
from safas.assessment import rates
from safas.assessment.assess import Settings, assess
from safas.assessment.breakdown import breakdown
from safas.assessment.failures import with_failures
from safas.assessment.intervals import cell
from safas.assessment.lines import breakdown_rows
from safas.assessment.operating import parse
from safas.assessment.presentations import UNNAMED, Inputs
from safas.assessment.resampling import counted
from safas.assessment.support import support
from safas.assessment.system import full_system
from safas.assessment.uncertainty import Bootstrap
from safas.errors import InputError, TableError

PLAN = Bootstrap(parse("threshold=0.5"), 0.5, 50)
THRESHOLDS = np.full(50, 0.5)


def test_groups_are_counted_apart_and_together_are_everything() -> None:
    rows = reports.table(0, 40)
    made = breakdown(rows, "device", PLAN, counted(rows), THRESHOLDS)
    groups = {group["name"]: group for group in made["groups"]}
    assert list(groups) == ["phone", "tablet"]
    whole = rates.attack_cells(rows, 0.5)
    for name, one in whole.items():
        assert one["errors"] == sum(group["species"][name]["errors"] for group in groups.values())
    phone = rows.filter(device="phone")
    assert (
        groups["phone"]["bpcer"]["errors"] == rates.rejected_cell(phone.filter(label="live"), 0.5)["errors"]
    )
    assert groups["phone"]["bpcer"]["bootstrap"] is not None
    assert groups["phone"]["subjects"] == 20


def test_a_group_too_small_says_so() -> None:
    """Three live are below thirty; 40 people have 120."""
    rows = reports.table(0, 40)
    made = breakdown(rows, "subject", PLAN, counted(rows), THRESHOLDS)
    assert all(group["too_small"] for group in made["groups"])
    assert "fewer than 30" in made["rule"]
    sure = rows.with_columns(
        (pl.col("label") == "live").cast(pl.Float64).alias("score"), pl.lit("x").alias("device")
    )
    assert not breakdown(sure, "device", PLAN, counted(sure), THRESHOLDS)["groups"][0]["too_small"]


def test_a_group_of_one_class_or_one_person_has_no_bootstrap() -> None:
    rows = reports.table(0, 10).with_columns(pl.col("label").alias("side"))
    for group in breakdown(rows, "side", PLAN, counted(rows), THRESHOLDS)["groups"]:
        assert group["bpcer"]["bootstrap"] is None
        assert group["auc"] is None
        words = breakdown_rows({"groups": [group]})[0]
        assert words[4 if group["name"] == "spoof" else 3] == "–"
    with_null = rows.with_columns(pl.when(pl.col("row") < 5).then(None).otherwise(pl.lit("a")).alias("side"))
    assert [group["name"] for group in breakdown(with_null, "side", PLAN, None, None)["groups"]] == [
        "a",
        "not said",
    ]


def test_an_unknown_column_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"lens: no such column .*device"):
        breakdown(reports.table(0, 2), "lens", PLAN, None, None)


def test_iapar_and_riapar_by_hand() -> None:
    """Both at least .5. Live: (.9, .9) in; (.9, .4) out; (.4, .9) out; (none, .9) out: FRR 3/4. Prints: (.6, .6) in,
    (.6, .2) out: IAPAR 1/2; masks: (.2, .9) out. RIAPAR = 1/2 + 3/4.
    """
    pairs = [
        ("none", 0.9, 0.9), ("none", 0.9, 0.4), ("none", 0.4, 0.9), ("none", None, 0.9),
        ("print", 0.6, 0.6), ("print", 0.6, 0.2), ("mask", 0.2, 0.9),
    ]  # fmt: skip
    rows = pl.DataFrame(pairs, schema=["attack", "score", "matcher_score"], orient="row").with_columns(
        pl.when(pl.col("attack") == "none").then(pl.lit("live")).otherwise(pl.lit("spoof")).alias("label"),
        pl.lit(None, pl.String).alias("person"),
    )
    made = full_system(rows, 0.5, 0.5)
    assert (made["frr"]["rate"], made["iapar"], made["worst_species"]) == (0.75, 0.5, "print")
    assert (made["riapar"], made["species"]["mask"]["riapar"]) == (1.25, 0.75)


def folder(tmp_path: Path, samples: bool) -> Path:
    """Failures of two test videos and one training video, as a prepared folder has them."""
    names = ["p0/x", "p1/y", "p2/z"]
    table = pl.DataFrame(
        {"dataset": "simulated", "video": names, "label": ["live", "spoof", "spoof"], "reason": "no face"}
    )
    table.write_parquet(tmp_path / "failures.parquet")
    if samples:
        more = table.drop("reason").with_columns(
            pl.Series("domain", ["north", "north", "elsewhere"]), pl.Series("attack", ["none", "mask", "mask"]),
            pl.Series("subject", ["p0", "p1", "p2"]), pl.lit("test").alias("split"),
        )  # fmt: skip
        more.write_parquet(tmp_path / "samples.parquet")
    return tmp_path / "failures.parquet"


def test_failures_become_presentations_without_a_response(tmp_path: Path) -> None:
    test = reports.presentations(reports.table(0, 4).drop("reason").drop_nulls("score"), "scores.csv")
    whole = with_failures(test, folder(tmp_path, samples=True))
    added = whole.table.filter(pl.col("score").is_null())
    assert added["video"].to_list() == ["p0/x", "p1/y"]  # the third is of a domain that is not tested
    assert added["attack"].to_list() == ["none", "mask"]
    assert added["person"].to_list() == ["simulated\np0", "simulated\np1"]
    missing = rates.nonresponse(whole.table, 0.5)
    assert (missing["attacks"]["errors"], missing["bona_fide"]["errors"]) == (1, 1)
    assert missing["reasons"] == {"no face": 2}
    assert with_failures(whole, folder(tmp_path, samples=True)).table.equals(
        whole.table
    )  # none is counted twice


def test_failures_without_their_samples_are_counted_and_said(tmp_path: Path) -> None:
    test = reports.presentations(reports.table(0, 4).drop_nulls("score"), "scores.csv")
    whole = with_failures(test, folder(tmp_path, samples=False))
    assert whole.table["score"].null_count() == 3
    assert whole.table.filter(pl.col("score").is_null() & (pl.col("label") == "spoof"))[
        "attack"
    ].unique().to_list() == [UNNAMED]
    assert any("samples.parquet" in note.text for note in whole.notes)


def test_a_failed_video_of_an_unknown_person_leaves_the_people_of_the_scores_known(tmp_path: Path) -> None:
    """Without samples.parquet nobody knows whose it was; the rates and their intervals are of the others."""
    test = reports.presentations(reports.table(0, 30).drop_nulls("score"), "scores.csv")
    whole = with_failures(test, folder(tmp_path, samples=False))
    settings = Settings(parse("threshold=0.5"), replicates=50, by=("device",))
    before, after = (assess(Inputs(one), settings) for one in (test, whole))
    assert after["intervals"]["unit"] == "subject"
    assert after["data"]["test"]["subjects"] == before["data"]["test"]["subjects"] == 30
    assert "no-subject" not in {note["code"] for note in after["notes"]}
    groups = [
        {one["name"]: one["bpcer"] for one in made["breakdowns"]["device"]["groups"]}
        for made in (before, after)
    ]
    assert groups[1].items() >= groups[0].items()


def test_failures_of_a_test_without_data_sets_are_of_its_people(tmp_path: Path) -> None:
    rows = reports.table(0, 4).drop("reason").drop_nulls("score")
    test = reports.presentations(
        rows.with_columns(
            pl.lit(None, pl.String).alias("dataset"),
            pl.concat_str(pl.lit(""), "subject", separator="\n").alias("person"),
        ),
        "scores.csv",
    )
    added = with_failures(test, folder(tmp_path, samples=True)).table.filter(pl.col("score").is_null())
    assert set(added["person"]) <= set(test.table["person"])


def test_a_further_column_may_have_another_type(tmp_path: Path) -> None:
    rows = reports.table(0, 4).drop("reason").drop_nulls("score")
    beside = folder(tmp_path, samples=True)
    samples = pl.read_parquet(tmp_path / "samples.parquet")
    samples.with_columns(pl.lit("first").alias("session")).write_parquet(tmp_path / "samples.parquet")
    test = reports.presentations(rows.with_columns(pl.lit(1).alias("session")), "scores.csv")
    assert set(with_failures(test, beside).table["session"]) == {"1", "first"}


def test_failures_that_are_no_failures(tmp_path: Path) -> None:
    reports.table(0, 1).drop("reason").write_parquet(tmp_path / "f.parquet")
    test = reports.presentations(reports.table(0, 4), "scores.csv")
    with pytest.raises(TableError, match=r"missing: reason. Needed: dataset, video, label, reason"):
        with_failures(test, tmp_path / "f.parquet")


def codes(
    rows: pl.DataFrame, dev: pl.DataFrame | None = None, point: str = "eer"
) -> dict[str, dict[str, Any]]:
    inputs = Inputs(
        reports.presentations(rows, "s.csv"), None if dev is None else reports.presentations(dev, "dev.csv")
    )
    report = assess(inputs, Settings(parse(point), replicates=20))
    return {note["code"]: note for note in report["notes"]}


def test_a_reversed_direction_is_an_alarm_and_nothing_is_turned() -> None:
    rows = reports.table(0, 30)
    turned = rows.with_columns((1 - pl.col("score")).alias("score"))
    assert codes(turned)["reversed"]["level"] == "alarm"
    assert "reversed" not in codes(rows)
    inputs = Inputs(reports.presentations(turned, "s.csv"))
    assert assess(inputs, Settings(replicates=20))["auc"] < 0.5


def test_scores_that_are_wholly_reversed_are_an_alarm_too() -> None:
    """AUC 0 in every draw; of 30 people in each class by chance once in 60! / (30! 30!)."""
    rows = reports.table(0, 30)
    score = pl.when(pl.col("label") == "live").then(0.1).otherwise(0.9).alias("score")
    found = codes(rows.with_columns(score))
    assert (found["reversed"]["level"], "AUC 0.00" in found["reversed"]["text"]) == ("alarm", True)
    few = rows.filter(pl.col("person").is_in(rows["person"].unique().sort().head(3).implode()))
    assert "reversed" not in codes(few.with_columns(score))  # however many presentations, of three people


def test_an_auc_that_no_draw_changes_is_told_as_it_is() -> None:
    """Of each person live .1 and .5, attacks .3 and .9: one pair of four is in order, whoever is drawn."""
    score = pl.Series([0.1, 0.5, 0.3, 0.9] * 30)
    rows = reports.table(0, 30)
    rows = pl.concat(
        [of.filter(label=label).head(2) for of in rows.partition_by("person") for label in ("live", "spoof")]
    ).with_columns(score.alias("score"))
    found = codes(rows)
    assert "AUC is 0.25" in found["below-chance"]["text"]
    assert "reversed" not in found


def test_claims_that_are_supported_by_hand() -> None:
    """0 of 59: 0.95^59 = 4.8 % <= 5 %. 1 of 59: 0.95^59 + 59 * 0.05 * 0.95^58 = 19.9 %, and for a tenth 1.5 %."""
    report = {"bpcer": cell(0, 59), "species": {"print": cell(1, 59), "mask": cell(0, 0)}}
    seen = {one["what"]: one["claims"] for one in support(report, parse("eer"), None)["seen"]}
    assert seen == {
        "bona fide": {"0.1": True, "0.05": True, "0.01": False},
        "print": {"0.1": True, "0.05": False, "0.01": False},
        "mask": {"0.1": False, "0.05": False, "0.01": False},
    }


def test_the_direction_is_judged_on_dev_where_there_is_one() -> None:
    rows, dev = reports.table(0, 30), reports.table(1, 30, first=50)
    assert "reversed" not in codes(rows.with_columns((1 - pl.col("score")).alias("score")), dev)
    assert codes(rows, dev.with_columns((1 - pl.col("score")).alias("score")))["reversed"]["text"].startswith(
        "dev.csv"
    )


def test_scores_by_chance_raise_no_alarm() -> None:
    rows = reports.table(0, 30)
    chance = rows.with_columns(pl.Series("score", np.random.default_rng(0).random(len(rows))))
    assert "reversed" not in codes(chance)


def test_three_against_three_turned_round_are_a_warning_for_no_more_can_be_told() -> None:
    whole = reports.table(0, 30)
    few = pl.concat([whole.filter(label=label).head(3) for label in ("live", "spoof")])
    rows = few.with_columns(pl.Series("score", [0.1, 0.2, 0.3, 0.9, 0.8, 0.85]))
    found = codes(rows)
    assert found["below-chance"]["level"] == "warning"
    assert "AUC is 0.00" in found["below-chance"]["text"]
    assert "reversed" not in found
    assert "below-chance" not in codes(rows.with_columns((1 - pl.col("score")).alias("score")))


def test_what_is_lost_without_species_subjects_and_domains() -> None:
    rows = reports.table(0, 30).with_columns(
        pl.when(pl.col("label") == "live").then(pl.lit("none")).otherwise(pl.lit(UNNAMED)).alias("attack"),
        pl.lit(None, pl.String).alias("person"),
        pl.lit(None, pl.String).alias("domain"),
    )
    assert {"no-species", "no-subject", "no-domain"} <= set(codes(rows))
    assert not {"no-species", "no-subject", "no-domain"} & set(codes(reports.table(0, 30)))


def test_dev_without_subjects_is_drawn_by_presentation_and_that_is_said() -> None:
    rows, dev = reports.table(0, 30), reports.table(1, 30)  # the same people in both
    nameless = dev.with_columns(pl.lit(None, pl.String).alias("person"))
    assert "shared-people" in codes(rows, dev)
    assert not {"no-subject", "people-unknown"} & set(codes(rows, dev))
    found = codes(rows, nameless)
    assert found["no-subject"]["text"].startswith("dev.csv: ")
    assert "shared-people" not in found
    assert "people-unknown" in found
    files = Inputs(reports.presentations(rows, "s.csv"), reports.presentations(nameless, "dev.csv"))
    told = assess(files, Settings(parse("eer"), replicates=20))["intervals"]
    assert "over subjects" in told["method"]
    assert "anew on drawn dev presentations" in told["method"]


def test_the_other_notes() -> None:
    rows, dev = reports.table(0, 30), reports.table(1, 30)
    assert {"oracle", "nonresponse", "simulated"} <= set(codes(rows))
    assert "shared-people" in codes(rows, dev)
    assert not {"shared-people", "oracle"} & set(codes(rows, reports.table(1, 30, first=50)))
    assert "mask" in codes(rows, dev.filter(pl.col("attack") != "mask"))["new-species"]["text"]
    assert "scale" in codes(rows, point="threshold=7")
    assert "no-probabilities" in codes(rows.with_columns(pl.col("score") * 3))
    assert "small" in codes(reports.table(0, 3))
    assert "one-class" in codes(rows.filter(label="live"), dev)
    some = pl.when(pl.col("row") == 6).then(pl.lit(UNNAMED)).otherwise(pl.col("attack"))
    assert "some-species" in codes(rows.with_columns(some.alias("attack")))
