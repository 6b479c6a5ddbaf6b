from pathlib import Path

import polars as pl
import pytest

import many
from safas.benchmark.gathering import Headcount, gather
from safas.errors import InputError, ProtocolError
from safas.evaluation import RUN_SCORES
from safas.table import read_table, write_table


def test_runs_are_sorted_by_protocol_and_method(tmp_path: Path) -> None:
    outcomes = many.grid(tmp_path, ("x->y", "y->x"), ("erm", "sa-fas"), (1, 0))
    of = gather(outcomes, replicates=5)
    assert list(of.runs) == ["x->y", "y->x"]
    assert all(list(line) == ["ERM", "SA-FAS"] for line in of.runs.values())
    assert (of.methods, of.seeds, of.commits, of.datasets) == (["ERM", "SA-FAS"], (0, 1), ("abc",), ("tiny",))
    cell = of.runs["x->y"]["ERM"]
    assert cell.errors is not None
    assert cell.errors.seeds == (0, 1)  # in the order of the seeds, whatever that of the runs
    assert cell.errors.measured.tolist() == pytest.approx(
        [result["chosen"]["hter"] for result in cell.results]
    )


def test_people_and_videos_are_counted(tmp_path: Path) -> None:
    """tiny.run_scores: 6 people in each of two source domains and in the target, one live and two spoof videos each.

    Its two source domains have people of the same names, who are others.
    """
    of = gather([many.outcome(tmp_path, "x->y", "erm")], replicates=5)
    assert of.tested == {"x->y": Headcount(validation_people=12, people=6, live=6, spoof=12)}


def test_what_failed_is_kept_with_its_reason(tmp_path: Path) -> None:
    outcomes = [
        many.outcome(tmp_path, "x->y", "erm", 0),
        many.outcome(tmp_path, "x->y", "vrex", 0),
        many.failed("x->y", "vrex", 1, "diverged: loss is not finite"),
        many.failed("x->y", "irm", 0),
        many.outcome(tmp_path, "y->x", "vrex", 0),
        many.outcome(tmp_path, "y->x", "vrex", 1),
    ]
    of = gather(outcomes, replicates=5)
    assert [of.seeds_of(method) for method in ("ERM", "V-REx", "IRMv1")] == ["1", "1–2", "0"]
    assert of.runs["x->y"]["V-REx"].failures == {1: "diverged: loss is not finite"}
    assert of.runs["x->y"]["IRMv1"].errors is None
    with pytest.raises(InputError, match="no run has finished"):
        gather([many.failed("x->y", "irm")])


def test_scores_of_another_run_are_left_out(tmp_path: Path) -> None:
    one = many.outcome(tmp_path, "x->y", "erm")
    path = one.folder / "scores.parquet"
    kept = read_table(path, RUN_SCORES)
    stale = kept.with_columns(run=pl.lit("other"), score=pl.lit(0.5))
    before = gather([one], replicates=5).runs["x->y"]["ERM"].errors
    write_table(pl.concat([stale, kept]), path)
    after = gather([one], replicates=5).runs["x->y"]["ERM"].errors
    assert before is not None
    assert after is not None
    assert before.tested_on == after.tested_on
    assert (before.drawn == after.drawn).all()


def test_a_missing_score_file_is_named(tmp_path: Path) -> None:
    one = many.outcome(tmp_path, "x->y", "erm")
    (one.folder / "scores.parquet").unlink()
    with pytest.raises(InputError, match=r"scores\.parquet: no such file"):
        gather([one])


@pytest.mark.parametrize("methods", [("erm", "erm"), ("erm", "irm"), ("irm", "erm")])
def test_a_run_that_lacks_a_video_is_named(tmp_path: Path, methods: tuple[str, str]) -> None:
    whole, damaged = (many.outcome(tmp_path, "x->y", method, seed) for seed, method in enumerate(methods))
    rows = read_table(damaged.scores, RUN_SCORES)
    video = rows.filter(role="target")["video"][0]
    write_table(rows.filter(pl.col("video") != video), damaged.scores)
    with pytest.raises(ProtocolError, match=f"run {damaged.folder.name} was not judged by video '{video}'"):
        gather([whole, damaged], replicates=5)
