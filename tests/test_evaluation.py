"""Scoring of videos, and the numbers of a run: hand-worked, and blind to the target where they must be."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from safas import evaluation
from safas.errors import InputError, MetricError, ProtocolError, SafasError, TableError
from safas.evaluation import RUN_SCORES, choose, score_videos
from safas.metrics import auc, bootstrap_interval, hter, hter_at_eer, tpr_at_fpr
from safas.protocols import EPOCH_RULE
from safas.table import CROPS, SAMPLES, SCORES, read_table, write_table

evaluate = partial(evaluation.evaluate, replicates=20)  # what is asked of intervals here needs no more

Scores = tuple[list[float], list[float]]  # of live, of attacks


def rows(role: str, domain: str, epoch: int, scores: Scores, attack: str = "print") -> pl.DataFrame:
    """One live and one attack video of each person: person i has the i-th score of either list."""
    split = {"source-dev": "dev"}.get(role, "test")
    table = [
        {
            "dataset": "set", "video": f"{domain}/{role}/{i}/{label}", "subject": f"{i}", "domain": domain,
            "split": split, "label": label, "attack": "none" if label == "live" else attack, "score": score,
            "frames": 4, "run": "run", "seed": 0, "epoch": epoch, "role": role,
        }
        for label, values in zip(("live", "spoof"), scores, strict=True)
        for i, score in enumerate(values)
    ]  # fmt: skip
    return pl.DataFrame(table, schema=dict(RUN_SCORES))


GOOD: Scores = ([0.9, 0.9, 0.9, 0.9], [0.3, 0.3, 0.3, 0.3])  # right at 0.5, wrong at 0.15
FAIR: Scores = ([0.9, 0.45, 0.8, 0.7], [0.6, 0.3, 0.2, 0.1])
POOR: Scores = ([0.1, 0.2, 0.3, 0.9], [0.6, 0.7, 0.8, 0.4])

# Source validation is best in epoch 2, the target in epoch 3.
DEV = pl.concat(
    [
        rows("source-dev", "O", 1, ([0.6, 0.4], [0.5, 0.3])),
        rows("source-dev", "O", 2, ([0.9, 0.2], [0.1, 0.05])),
        rows("source-dev", "O", 3, ([0.9, 0.4], [0.6, 0.1])),
    ]
)
TARGET = pl.concat([rows("target", "M", 1, POOR), rows("target", "M", 2, FAIR), rows("target", "M", 3, GOOD)])
INSIDE = pl.concat(
    [rows("source-test", "O", 2, ([0.9, 0.1], [0.2, 0.1])), rows("source-test", "C", 2, ([0.9], [0.0]))]
)
RUN = pl.concat([DEV, TARGET, INSIDE])


def test_the_headline_by_hand():
    """Epoch 2 has HTER 0 on source validation; its EER threshold is the middle of .1 and .2: .15.
    Target at .15: no live is rejected, .6 .3 .2 of 4 attacks pass: (3/4 + 0)/2 = 3/8.
    The target's own: L.9 L.8 L.7 S.6 L.45: (1/4, 1/4) after S.6, threshold (.6 + .45)/2, HTER 1/4.
    AUC: .9 .8 .7 beat 4 attacks, .45 beats 3: 15/16. With no attack accepted 3 of 4 live pass.
    """
    chosen = evaluate(RUN)["chosen"]
    assert chosen["epoch"] == 2
    assert chosen["threshold"] == {
        "value": pytest.approx(0.15),
        "chosen_on": "pooled EER of source validation (O)",
    }
    assert chosen["hter"] == 3 / 8
    assert chosen["target_threshold"]["value"] == pytest.approx(0.525)
    assert chosen["target_threshold"]["chosen_on"] == "oracle: EER of the target itself (M)"
    assert (chosen["hter_target_eer"], chosen["eer"], chosen["auc"]) == (0.25, 0.25, 15 / 16)
    assert chosen["tpr_at_fpr"] == {"0.05": 0.75, "0.01": 0.75}
    assert (chosen["apcer"], chosen["bpcer"], chosen["acer"]) == ({"print": 0.75}, 0, 0.375)
    assert chosen["counts"] == {"live": 4, "spoof": 4, "subjects": 4}


def test_the_sources_own_test_people_by_hand():
    """At .15: O rejects the live at .1 (1 of 2) and accepts the attack at .2 (1 of 2): 1/2; of its pairs .9
    beats 2, .1 loses to .2 and ties .1: 2.5/4. C is right. Pooled: 1 of 3 live and 1 of 3 attacks wrong: 1/3;
    .9 .9 beat 3 each, .1 beats 0 and ties .1: 7.5/9.
    """
    inside = evaluate(RUN)["chosen"]["inside"]
    assert inside["domains"] == {"C": {"hter": 0, "auc": 1}, "O": {"hter": 0.5, "auc": 2.5 / 4}}
    assert (inside["hter"], inside["auc"]) == (pytest.approx(1 / 3), pytest.approx(7.5 / 9))


def test_a_domain_tested_on_itself_shares_no_person():
    """The same scores as above, of other people of the same domain; the worst species counts in the ACER."""
    target = TARGET.with_columns(domain=pl.lit("O"), subject=pl.concat_str(pl.lit("t"), "subject"))
    cuts = target.filter(pl.col("score") > 0.5, label="spoof", epoch=2)["video"].to_list()
    target = target.with_columns(
        attack=pl.when(pl.col("video").is_in(cuts)).then(pl.lit("cut")).otherwise("attack")
    )
    chosen = evaluate(pl.concat([DEV, target]))["chosen"]
    assert chosen["hter"] == 3 / 8
    assert chosen["apcer"] == {"cut": 1.0, "print": pytest.approx(2 / 3)}
    assert chosen["acer"] == 0.5
    assert chosen["inside"] is None
    with pytest.raises(ProtocolError, match="person '0' is a source and the target"):
        evaluate(pl.concat([DEV, TARGET.with_columns(domain=pl.lit("O"))]))


def test_the_last_epochs_by_hand():
    """Epoch 2 as above; epoch 3 at its own .5 is right everywhere. HTER 3/8 and 0: mean 3/16, std 3/16."""
    last = evaluate(RUN, last=2)["last10"]
    assert last["epochs"] == [2, 3]
    assert (last["mean"]["hter"], last["std"]["hter"]) == (3 / 16, 3 / 16)
    assert (last["mean"]["hter_target_eer"], last["std"]["hter_target_eer"]) == (1 / 8, 1 / 8)
    assert (last["mean"]["auc"], last["mean"]["tpr_at_fpr"]["0.05"]) == (31 / 32, 7 / 8)
    assert evaluate(RUN)["last10"]["epochs"] == [1, 2, 3]
    assert "last 2 evaluated epochs" in last["rule"]


def test_the_oracle_is_the_best_epoch_on_the_target_and_says_so():
    oracle = evaluate(RUN)["oracle"]
    assert (oracle["oracle"], oracle["epoch"], oracle["hter_target_eer"]) == (True, 3, 0)
    assert oracle["rule"].startswith("epoch: oracle: lowest HTER on the target itself")
    assert "threshold: oracle: EER of the target itself (M)" in oracle["rule"]
    assert "oracle" not in evaluate(RUN)["chosen"]
    tied = pl.concat([rows("target", "M", epoch, GOOD) for epoch in (1, 2, 3)])
    assert evaluate(pl.concat([DEV, tied]))["oracle"]["epoch"] == 3


def test_every_row_names_the_rule_behind_it():
    result = evaluate(RUN)
    assert result["chosen"]["rule"] == f"epoch: {EPOCH_RULE}; threshold: pooled EER of source validation (O)"
    assert all(result[part]["rule"] for part in ("chosen", "last10", "oracle"))


def test_the_result_is_json():
    result = evaluate(RUN)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def synthetic(seed: int, epochs: int = 4, people: int = 12) -> pl.DataFrame:
    """Two sources and a target whose scores separate better or worse from epoch to epoch, by chance."""
    rng = np.random.default_rng(seed)
    parts = []
    for role, domain in (("source-dev", "O"), ("source-dev", "C"), ("source-test", "O"), ("target", "M")):
        for epoch in range(1, epochs + 1):
            shift = rng.uniform(0, 0.3)
            draw = rng.normal([[0.5 + shift], [0.5 - shift]], 0.2, size=(2, people)).clip(0, 1)
            parts.append(rows(role, domain, epoch, (draw[0].tolist(), draw[1].tolist())))
    return pl.concat(parts)


def with_target(scores: pl.DataFrame, values: pl.Expr) -> pl.DataFrame:
    return scores.with_columns(
        score=pl.when(pl.col("role") == "source-dev").then("score").otherwise(values.clip(0, 1))
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "values",
    [
        1 - pl.col("score"),
        pl.lit(0.5),
        pl.col("score") * 0.01,
        (pl.col("label") == "live").cast(pl.Float64),
        pl.when(pl.col("epoch") == 1).then((pl.col("label") == "live").cast(pl.Float64)).otherwise(0.5),
    ],
    ids=["reversed", "constant", "shrunk", "perfect", "perfect only in epoch 1"],
)
def test_no_score_of_the_target_moves_the_epoch_or_the_threshold(seed, values):
    scores = synthetic(seed)
    before, after = evaluate(scores)["chosen"], evaluate(with_target(scores, values))["chosen"]
    assert (after["epoch"], after["threshold"], after["rule"]) == (
        before["epoch"],
        before["threshold"],
        before["rule"],
    )
    assert (
        after["target_threshold"] != before["target_threshold"]
    )  # the change did reach the target's numbers


def test_a_source_validation_score_does_move_them():
    """The guard above would also hold for rules that look at nothing."""
    results = [evaluate(synthetic(seed))["chosen"] for seed in range(5)]
    assert len({result["epoch"] for result in results}) > 1
    assert len({result["threshold"]["value"] for result in results}) == 5


def test_the_choice_is_refused_rows_of_the_target():
    assert choose(DEV).epoch == 2
    assert {epoch: round(t.value, 9) for epoch, t in choose(DEV).thresholds.items()} == {
        1: 0.45,
        2: 0.15,
        3: 0.5,
    }
    for other in (TARGET, INSIDE):
        with pytest.raises(ProtocolError, match="may not choose"):
            choose(pl.concat([DEV, other]))


def test_a_tie_on_source_validation_takes_the_later_epoch():
    tied = pl.concat([rows("source-dev", "O", epoch, GOOD) for epoch in (1, 2, 3)])
    assert evaluate(pl.concat([tied, TARGET]))["chosen"]["epoch"] == 3


@pytest.mark.parametrize("seed", range(5))
def test_the_oracle_is_never_beaten_on_the_target(seed):
    scores = synthetic(seed)
    result = evaluate(scores)
    per_epoch = [
        hter_at_eer(scores=part["score"], live=part["label"] == "live")
        for part in scores.filter(pl.col("role") == "target").partition_by("epoch")
    ]
    assert result["oracle"]["hter_target_eer"] == min(per_epoch)
    assert result["last10"]["mean"]["hter_target_eer"] == pytest.approx(np.mean(per_epoch))
    assert result["last10"]["std"]["hter_target_eer"] == pytest.approx(np.std(per_epoch))


def test_intervals_draw_people_with_the_source_threshold_fixed():
    """The same as asking the metrics directly, with the (only) target domain's subjects as groups."""
    result = evaluation.evaluate(synthetic(0), seed=3)["chosen"]
    target = synthetic(0).filter((pl.col("role") == "target") & (pl.col("epoch") == result["epoch"]))
    interval = partial(
        bootstrap_interval,
        scores=target["score"],
        live=target["label"] == "live",
        groups=target["subject"],
        seed=3,
    )
    fixed = partial(hter, threshold=result["threshold"]["value"])
    assert result["intervals"]["hter"] == pytest.approx(interval(fixed))
    assert result["intervals"]["hter_target_eer"] == pytest.approx(interval(hter_at_eer))
    assert result["intervals"]["auc"] == pytest.approx(interval(auc))
    tpr = partial(tpr_at_fpr, fpr=0.05)
    assert result["intervals"]["tpr_at_fpr"]["0.05"] == pytest.approx(interval(tpr))
    low, high = result["intervals"]["hter"]
    assert low < result["hter"] < high


def test_people_of_one_name_in_two_data_sets_are_two():
    again = pl.concat([TARGET, TARGET.with_columns(dataset=pl.lit("other"))])
    assert evaluate(pl.concat([DEV, again]))["chosen"]["counts"]["subjects"] == 8


def test_one_person_gives_no_interval():
    one = TARGET.with_columns(subject=pl.lit("1"))
    result = evaluate(pl.concat([DEV, one]))["chosen"]
    assert result["intervals"]["hter"] is None
    assert result["intervals"]["tpr_at_fpr"] == {"0.05": None, "0.01": None}
    assert result["hter"] == 3 / 8


def test_inside_is_null_where_there_is_nothing_to_say():
    assert evaluate(pl.concat([DEV, TARGET]))["chosen"]["inside"] is None
    only_live = INSIDE.filter(pl.col("label") == "live")
    assert evaluate(pl.concat([DEV, TARGET, only_live]))["chosen"]["inside"] is None
    lacking = INSIDE.filter((pl.col("domain") == "O") | (pl.col("label") == "live"))
    assert evaluate(pl.concat([DEV, TARGET, lacking]))["chosen"]["inside"]["domains"]["C"] is None


def test_neither_the_file_nor_the_order_of_rows_matters(tmp_path: Path):
    scores = synthetic(1)
    write_table(scores.sample(fraction=1.0, shuffle=True, seed=5), tmp_path / "scores.parquet")
    assert evaluate(read_table(tmp_path / "scores.parquet", RUN_SCORES)) == evaluate(scores)


def test_attacks_are_counted_by_species():
    """At .15 of the two halves: print accepts .6 .3 .2 of 4; masks all at .1 none."""
    masks = rows("target", "M", 2, ([], [0.1, 0.1]), attack="mask").with_columns(video=pl.col("video") + "m")
    scores = pl.concat([DEV, TARGET.filter(pl.col("epoch") == 2), masks])
    assert evaluate(scores)["chosen"]["apcer"] == {"mask": 0, "print": 0.75}


def dropped(role: str, epochs: tuple[int, ...] = (1, 2, 3)) -> pl.DataFrame:
    return RUN.filter((pl.col("role") != role) | ~pl.col("epoch").is_in(epochs))


def one_row_of_target(**changed: object) -> pl.DataFrame:
    """The run with something else in one row of the target's middle epoch."""
    row = RUN.filter(role="target", epoch=2).head(1)
    return RUN.join(row, on=row.columns, how="anti").vstack(row.with_columns(**changed).select(RUN.columns))


@pytest.mark.parametrize(
    ("scores", "kind", "words"),
    [
        (RUN.drop("role"), TableError, "missing: role"),
        (dropped("target"), ProtocolError, "no row of role 'target'"),
        (dropped("source-dev"), ProtocolError, "no row of role 'source-dev'"),
        (dropped("target", (2,)), ProtocolError, "not scored at epoch 2, which source validation chose"),
        (dropped("source-dev", (1,)), ProtocolError, "epoch 1 has scores of the target but none of source"),
        (RUN.vstack(TARGET.head(1)), TableError, "scored twice in epoch 1"),
        (
            RUN.vstack(rows("target", "M", 9, FAIR).with_columns(run=pl.lit("old"))),
            TableError,
            "more than one run",
        ),
        (RUN.head(20).vstack(RUN.tail(-21)), TableError, "in . of . epochs"),
        (one_row_of_target(video=pl.lit("other")), TableError, "in . of . epochs"),
        (one_row_of_target(subject=pl.lit("other")), TableError, "in . of . epochs"),
        (one_row_of_target(score=1.7), TableError, "has the score 1.7"),
        (RUN.with_columns(attack=pl.lit("none")), TableError, "has label 'spoof' and attack 'none'"),
        (RUN.with_columns(domain=pl.lit("O")), ProtocolError, "'O' is a source and the target"),
        (RUN.with_columns(role=pl.col("role").str.to_uppercase()), TableError, "unknown role 'SOURCE-DEV'"),
        (RUN.with_columns(score=pl.lit(None, pl.Float64)), TableError, "'score' has an empty value"),
        (RUN.with_columns(score=float("nan")), TableError, "has the score nan"),
        (RUN.with_columns(label=pl.lit("live"), attack=pl.lit("none")), MetricError, "no spoof"),
        (
            RUN.with_columns(
                pl.when(role="target").then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
                for name, value in (("label", "live"), ("attack", "none"))
            ),
            MetricError,
            "no spoof",
        ),
        (RUN.clear(), ProtocolError, "no row of role"),
    ],
)
def test_a_table_that_is_not_one_whole_run_is_refused(scores, kind, words):
    with pytest.raises(SafasError, match=words) as caught:
        evaluate(scores)
    assert type(caught.value) is kind


def test_the_last_zero_epochs_are_refused():
    with pytest.raises(InputError, match="last 0 epochs"):
        evaluate(RUN, last=0)


def crops(frames: dict[str, list[int]]) -> pl.DataFrame:
    """Crops joined to samples; a crop's "path" is its grey value, frames in falling order of index."""
    table = [
        dict.fromkeys(SAMPLES, "")
        | dict.fromkeys(("box_x", "box_y", "box_w", "box_h", "timestamp_s", "detector_score"), 0.0)
        | {
            "dataset": "set", "domain": "O", "video": video, "split": "dev", "label": "spoof",
            "attack": "cut", "subject": "7", "frame": -i, "crop": str(grey),
            "landmarks": None, "detector": "table",
        }
        for video, greys in frames.items()
        for i, grey in enumerate(greys)
    ]  # fmt: skip
    return pl.DataFrame(table, schema={**SAMPLES, **CROPS})


def read(paths: list[str]) -> np.ndarray:
    return np.stack([np.full((2, 2, 3), int(path), dtype=np.uint8) for path in paths])


def mean_grey(images: np.ndarray) -> np.ndarray:
    assert images.dtype == np.uint8
    assert images.shape[1:] == (2, 2, 3)
    return images.mean(axis=(1, 2, 3)) / 255


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_the_score_of_a_video_is_the_mean_of_its_frames(batch):
    """Frames of 51, 102 and 204: 0.2, 0.4, 0.8, mean 1.4/3; one frame of 255: 1."""
    table = score_videos(mean_grey, crops({"b": [51, 102, 204], "a": [255]}), read, batch, run="r", seed=4)
    assert table.schema == SCORES
    assert table["video"].to_list() == ["a", "b"]
    assert table["score"].to_list() == pytest.approx([1, 1.4 / 3])
    assert table["frames"].to_list() == [1, 3]
    row = table.row(1, named=True)
    assert (row["run"], row["seed"], row["subject"], row["attack"], row["split"]) == (
        "r",
        4,
        "7",
        "cut",
        "dev",
    )


def test_the_order_of_crops_does_not_matter():
    table = crops({"a": [10, 20, 40], "b": [50, 60], "c": [255]})
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=1)
    assert score_videos(mean_grey, shuffled, read, 2).equals(score_videos(mean_grey, table, read, 2))


@pytest.mark.parametrize(
    ("scorer", "words"),
    [
        (lambda images: np.full(len(images), np.nan), "not in"),
        (lambda images: np.full(len(images), 1.01), "not in"),
        (lambda images: np.full(len(images), -3.0), "not in"),
        (lambda images: np.full((len(images), 1), 0.5), r"shape \(2, 1\) for 2 crops"),
        (lambda _: np.array(0.5), r"shape \(\) for 2 crops"),
    ],
)
def test_a_scorer_that_gives_no_probabilities_is_refused(scorer, words):
    with pytest.raises(MetricError, match=words):
        score_videos(scorer, crops({"a": [1, 2]}), read)


def test_no_crops_give_an_empty_table():
    assert score_videos(mean_grey, crops({}), read).schema == SCORES
