"""Habits of others' evaluations, each by its name, to reproduce numbers that were made with them.

The first two are those of SA-FAS's code (github.com/sunyiyou/SAFAS: datasets/supcon_dataset.py, utils/performance.py).

safas itself has none of them: it scores all frames, reads the TPR at the largest FPR that is not above the one named,
and counts videos without a face apart.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import polars as pl

from safas.batches import rng
from safas.errors import RunError
from safas.evaluation import RUN_SCORES, Result, evaluate
from safas.files import write_file
from safas.metrics import tpr_at_fpr, tpr_at_nearest_fpr
from safas.prepared import prepared_samples
from safas.protocols import TARGET, Protocol, target_rows
from safas.run_evaluation import RoleCrops, evaluate_run, read_scores
from safas.table import checked
from safas.training import candidate_epochs, has_weights, read_run

Habit = Literal["one-frame", "nearest-fpr", "no-face-is-spoof"]
HABITS: Mapping[Habit, str] = {
    "one-frame": "a target video's score is that of one frame, drawn anew in every epoch",
    "nearest-fpr": "the TPR is read at the strictest point whose FPR is nearest to the one named, above or below it",
    "no-face-is-spoof": "a target video without a face has the score 0",
}


def evaluate_with(habits: Collection[Habit], run_dir: Path, prepared: Path, progress: bool = True) -> Result:
    """The run's numbers as others with these habits have them; RUN/habits.json keeps them beside evaluation.json.

    As `safas.evaluation.evaluate` returns them, with `about` of evaluation.json and, within it, `habits` and the `seed`
    that the frames are drawn from (the run's). Source validation is scored as ever: it chooses the same epoch and
    threshold. Raises RunError when frames are to be drawn and weights are missing, and what `evaluate_run` raises.
    """
    about = evaluate_run(run_dir, prepared, progress)["about"]
    scores = read_scores(run_dir, prepared)
    target = target_rows(Protocol.of_json(read_run(run_dir)["protocol"]), prepared_samples(prepared))
    if "one-frame" in habits:
        drawn = _scored_by_one_frame(run_dir, RoleCrops(TARGET, target, prepared))
        scores = pl.concat([scores.filter(pl.col("role") != TARGET), drawn])
    if "no-face-is-spoof" in habits:
        scores = pl.concat([scores, _without_face(target, scores)])
    tpr = tpr_at_nearest_fpr if "nearest-fpr" in habits else tpr_at_fpr
    noted = {"about": {**about, "habits": [name for name in HABITS if name in habits]}}
    result = {**noted, **evaluate(scores, tpr=tpr)}
    write_file(run_dir / "habits.json", json.dumps(result, indent=2) + "\n")
    return result


def drawn_frames(crops: pl.DataFrame, seed: int, epoch: int) -> pl.DataFrame:
    """One row of each (dataset, video), each of its rows as likely as the other."""
    crops = crops.sort("dataset", "video", "frame")
    draw = pl.Series("draw", rng(seed, epoch).random(len(crops)))
    lowest = pl.col("draw") == pl.col("draw").min().over("dataset", "video")
    return crops.with_columns(draw).filter(lowest).drop("draw")


def _scored_by_one_frame(run_dir: Path, target: RoleCrops) -> pl.DataFrame:
    epochs, seed = candidate_epochs(run_dir), int(read_run(run_dir)["config"]["seed"])
    gone = [epoch for epoch in epochs if not has_weights(run_dir, epoch)]
    if gone:
        raise RunError(
            f"the weights of epoch {gone[0]} are gone, so that its frames can't be scored one by one",
            where=str(run_dir),
            remedy="Train it with `safas train`, which keeps the weights of all epochs.",
        )
    return pl.concat(
        [target.scores(run_dir, epoch, drawn_frames(target.crops, seed, epoch)) for epoch in epochs]
    )


def _without_face(target: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Rows of RUN_SCORES for the videos of the target that no row of `scores` is of."""
    of_target = scores.filter(role=TARGET)
    lost = target.join(of_target, on=["dataset", "video"], how="anti").select(
        "dataset", "video", "subject", "domain", "split", "label", "attack"
    )
    nothing = lost.with_columns(pl.lit(0.0).alias("score"), pl.lit(0, dtype=pl.Int64).alias("frames"))
    return checked(
        nothing.join(of_target.select("run", "seed", "epoch", "role").unique(), how="cross"),
        RUN_SCORES,
        "scores",
    )
