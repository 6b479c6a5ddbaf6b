import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import toy
from cellwork import QUICK
from safas.cli import main
from safas.errors import RunError
from safas.evaluation import RUN_SCORES
from safas.habits import HABITS, drawn_frames, evaluate_with
from safas.prepared import prepared_samples
from safas.protocols import Protocol, source_data
from safas.run_evaluation import evaluate_run, keep_chosen_weights
from safas.table import CROPS, is_live, read_table, write_table
from safas.training import load_scorer, scorer_of, train

PROTOCOL = Protocol(("a", "b"), "c", "whole-target")  # twelve attacks on c: FPRs are multiples of 1/12


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the target one live video and one attack have no crop."""
    folder = toy.prepared_folder(tmp_path_factory.mktemp("prepared"))
    crops = read_table(folder / "crops.parquet", CROPS)
    lost = prepared_samples(folder).filter(domain="c").unique("label", keep="first", maintain_order=True)
    write_table(crops.join(lost, on=["dataset", "video"], how="anti"), folder / "crops.parquet")
    return folder


@pytest.fixture(scope="module")
def run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = source_data(PROTOCOL, prepared_samples(prepared))
    config = replace(QUICK, backbone="resnet18", batch=8, epochs=3)
    folder = train(config, data, prepared, tmp_path_factory.mktemp("runs"), progress=False)
    evaluate_run(folder, prepared, progress=False)
    return folder


def of_target(run: Path, epoch: int) -> pl.DataFrame:
    return read_table(run / "scores.parquet", RUN_SCORES).filter(role="target", epoch=epoch)


def test_a_video_without_a_face_is_a_spoof_of_score_0(run: Path, prepared: Path) -> None:
    """One wrong live video more of twelve, one right attack more: worked out from the scores that are kept."""
    plain = evaluate_run(run, prepared, progress=False)["chosen"]
    rows = of_target(run, plain["epoch"])
    assert (plain["counts"]["live"], plain["counts"]["spoof"]) == (11, 11)
    threshold = plain["threshold"]["value"]
    accepted = rows.with_columns(is_in=pl.col("score") >= threshold)
    lives, attacks = (accepted.filter(label=label)["is_in"] for label in ("live", "spoof"))
    told = evaluate_with(["no-face-is-spoof"], run, prepared, progress=False)
    chosen = told["chosen"]
    assert (chosen["counts"]["live"], chosen["counts"]["spoof"]) == (12, 12)
    assert (chosen["epoch"], chosen["threshold"]) == (plain["epoch"], plain["threshold"])
    assert chosen["bpcer"] == pytest.approx(1 - lives.sum() / 12)
    assert chosen["hter"] == pytest.approx((1 - lives.sum() / 12 + attacks.sum() / 12) / 2)
    assert chosen["hter"] != plain["hter"]


def test_one_frame_of_each_video_is_drawn_in_every_epoch(run: Path, prepared: Path) -> None:
    """The chosen epoch's and the mean's AUC are those of the frames drawn, scored here by themselves."""
    told = evaluate_with(["one-frame"], run, prepared, progress=False)
    crops = read_table(prepared / "crops.parquet", CROPS)
    crops = crops.join(prepared_samples(prepared).filter(domain="c"), on=["dataset", "video"])
    drawn = {epoch: drawn_frames(crops, 0, epoch) for epoch in range(3)}
    assert len({tuple(frames["frame"]) for frames in drawn.values()}) == 3
    by_hand = {}
    for epoch, frames in drawn.items():
        score = scorer_of(load_scorer(run, epoch))
        images = [cv2.imread(str(prepared / crop))[None, :, :, ::-1] for crop in frames["crop"]]
        scores = [float(score(np.ascontiguousarray(image))[0]) for image in images]
        by_hand[epoch] = roc_auc_score(is_live(frames), scores)
    assert told["last10"]["epochs"] == [0, 1, 2]
    assert told["chosen"]["auc"] == pytest.approx(by_hand[told["chosen"]["epoch"]])
    assert told["last10"]["mean"]["auc"] == pytest.approx(np.mean(list(by_hand.values())))
    assert (
        told["last10"]["mean"]["auc"] != evaluate_run(run, prepared, progress=False)["last10"]["mean"]["auc"]
    )


def test_every_frame_is_as_likely() -> None:
    crops = pl.DataFrame(
        {"dataset": ["d"] * 5, "video": ["x"] * 4 + ["y"], "frame": [0, 1, 2, 3, 0], "crop": list("abcde")}
    )
    counts = {crop: 0 for crop in "abcde"}
    for epoch in range(2000):
        for crop in drawn_frames(crops, 5, epoch)["crop"]:
            counts[crop] += 1
    assert counts["e"] == 2000
    assert sum(counts[crop] for crop in "abcd") == 2000
    assert all(abs(counts[crop] - 500) < 100 for crop in "abcd")  # five standard deviations are 97


def test_the_nearest_rate_is_read_everywhere(run: Path, prepared: Path, tmp_path: Path) -> None:
    """Eleven attacks, one above all live videos but one, the others below: 1/11 is nearer to 5 % than 0 is.

    There the strictest point accepts that one live video of eleven, and at 1 % nobody.
    """
    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    scores = read_table(copy / "scores.parquet", RUN_SCORES)
    spoof, live = (scores.filter(role="target", label=label)["video"].min() for label in ("spoof", "live"))
    made = (
        pl.when(video=live).then(0.95).when(video=spoof).then(0.9).when(label="live").then(0.5).otherwise(0.1)
    )
    changed = scores.with_columns(pl.when(role="target").then(made).otherwise("score").alias("score"))
    write_table(changed, copy / "scores.parquet")
    with_it = evaluate_with(["nearest-fpr"], copy, prepared, progress=False)
    without = evaluate_with([], copy, prepared, progress=False)
    tprs = [
        [part["tpr_at_fpr"] for part in (told["chosen"], told["last10"]["mean"], told["oracle"])]
        for told in (with_it, without)
    ]
    one = pytest.approx(1 / 11)
    assert tprs == [[{"0.05": one, "0.01": 0}] * 3, [{"0.05": one, "0.01": one}] * 3]
    assert with_it["chosen"]["auc"] == without["chosen"]["auc"] == pytest.approx(1 - 10 / 121)


def test_the_command_prints_a_second_table_and_keeps_it(
    run: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "evaluation.json").read_bytes()
    assert main(["evaluate", str(run), str(prepared), "--habits", "no-face-is-spoof", "one-frame"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "as others evaluate" in text
    assert HABITS["one-frame"] in text
    assert HABITS["no-face-is-spoof"] in text
    assert HABITS["nearest-fpr"] not in text
    kept = json.loads((run / "habits.json").read_text())
    assert (kept["about"]["habits"], kept["about"]["seed"]) == (["one-frame", "no-face-is-spoof"], 0)
    assert f"{100 * kept['chosen']['hter']:.1f}" in text
    assert (run / "evaluation.json").read_bytes() == before


def test_frames_are_not_drawn_where_weights_are_gone(run: Path, prepared: Path, tmp_path: Path) -> None:
    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    keep_chosen_weights(copy, evaluate_run(copy, prepared, progress=False))
    with pytest.raises(RunError, match=r"weights of epoch \d are gone.*safas train"):
        evaluate_with(["one-frame"], copy, prepared, progress=False)
    assert (
        evaluate_with(["no-face-is-spoof"], copy, prepared, progress=False)["chosen"]["counts"]["live"] == 12
    )
