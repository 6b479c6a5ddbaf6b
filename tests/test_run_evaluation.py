import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import toy
from cellwork import PROTOCOL, QUICK
from safas import run_evaluation
from safas.benchmark.cells import Desk
from safas.benchmark.gathering import gather
from safas.benchmark.grid import Grid, plain_variants
from safas.benchmark.runner import run_cells
from safas.cli import main
from safas.errors import InputError, RunError, TrainingError
from safas.evaluation import RUN_SCORES, evaluate
from safas.methods.fishr import FishrConfig
from safas.prepared import prepared_samples
from safas.protocols import Protocol, SourceData, source_data
from safas.run_evaluation import Outcome, evaluate_run, keep_chosen_weights
from safas.table import read_table, write_table
from safas.training import (
    candidate_epochs,
    evaluated_epochs,
    load_scorer,
    lock_of,
    preset,
    read_dev_scores,
    read_records,
    train,
    validated,
)

GRID = Grid((Protocol(("a", "b"), "c"),), plain_variants(("erm", "sa-fas"), (0,), "demo", 2, 1))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def outcomes(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    desk = Desk(prepared, tmp_path_factory.mktemp("runs"), progress=False)
    return [made for made in run_cells(GRID.cells(), desk) if isinstance(made, Outcome)]


def test_one_outcome_a_cell(outcomes: list[Outcome]) -> None:
    assert [(o.protocol, o.method, o.seed) for o in outcomes] == [
        ("a&b->c", "erm", 0),
        ("a&b->c", "sa-fas", 0),
    ]
    assert all((o.folder / "evaluation.json").is_file() for o in outcomes)


def test_every_role_is_scored_on_its_own_domains(outcomes: list[Outcome]) -> None:
    """3 domains x (1 dev, 3 test) people x 2 labels: 4 videos of source dev, 12 of source test, 6 of the target."""
    scores = read_table(outcomes[0].folder / "scores.parquet", RUN_SCORES)
    counts = (
        scores.filter(pl.col("epoch") == 1).group_by("role", "domain").len().sort("role", "domain").rows()
    )
    assert counts == [
        ("source-dev", "a", 2),
        ("source-dev", "b", 2),
        ("source-test", "a", 6),
        ("source-test", "b", 6),
        ("target", "c", 6),
    ]
    assert scores["run"].unique().to_list() == [outcomes[0].folder.name]
    assert set(scores["frames"]) == {2}


def test_the_written_result_is_what_the_written_scores_give(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        said = json.loads((outcome.folder / "evaluation.json").read_text())
        assert said == outcome.result
        again = evaluate(read_table(outcome.folder / "scores.parquet", RUN_SCORES))
        assert {key: said[key] for key in again} == json.loads(json.dumps(again))
        assert said["about"]["method"] == outcome.method


def test_finished_cells_are_not_done_again(
    outcomes: list[Outcome], prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [f for o in outcomes for f in o.folder.rglob("*") if f.is_file()]
    before = [f.stat().st_mtime_ns for f in files]
    monkeypatch.setattr(run_evaluation, "score_run", lambda *_: pytest.fail("scored again"))
    desk = Desk(prepared, outcomes[0].folder.parent, progress=False)
    again = list(run_cells(GRID.cells(), desk))
    assert [o.result for o in again if isinstance(o, Outcome)] == [
        json.loads(json.dumps(o.result)) for o in outcomes
    ]
    assert [f.stat().st_mtime_ns for f in files] == before


def test_only_the_missing_epochs_are_scored(outcomes: list[Outcome], prepared: Path, tmp_path: Path) -> None:
    """A score file is put where one epoch is missing and another has an impossible mark: the mark must stay."""
    folder = tmp_path / outcomes[0].folder.name
    for file in outcomes[0].folder.rglob("*"):
        if file.is_file():
            (folder / file.relative_to(outcomes[0].folder)).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.relative_to(outcomes[0].folder)).write_bytes(file.read_bytes())
    half = read_table(folder / "scores.parquet", RUN_SCORES).filter(pl.col("epoch") == 0)
    write_table(half.with_columns(pl.lit(9).cast(pl.Int64).alias("frames")), folder / "scores.parquet")
    evaluate_run(folder, prepared, progress=False)
    frames = read_table(folder / "scores.parquet", RUN_SCORES).filter(pl.col("role") == "target")
    assert frames.group_by("epoch").agg(pl.col("frames").unique().first()).sort("epoch").rows() == [
        (0, 9),
        (1, 2),
    ]


def test_a_run_that_another_process_is_at_work_on_is_left_to_it(
    outcomes: list[Outcome], prepared: Path, tmp_path: Path
) -> None:
    """It may be about to delete the weights that would be scored; a finished one may be read by all."""
    run = copied(outcomes[0].folder, tmp_path)
    with lock_of(run, is_shared=False):
        assert evaluate_run(run, prepared, progress=False)["chosen"] == outcomes[0].result["chosen"]
        (run / "evaluation.json").unlink()
        with pytest.raises(TrainingError, match="another process is at work on this run"):
            evaluate_run(run, prepared, progress=False)
    assert evaluate_run(run, prepared, progress=False)["chosen"] == outcomes[0].result["chosen"]


def test_no_epoch_counts_before_all_of_the_method_is_at_work(prepared: Path, tmp_path: Path) -> None:
    """Fishr's penalty sets in at epoch 1 of 3, and validation is made perfect at epoch 0: it is not even scored.

    Nor does it count in a score file of an older safas, which had it.
    """
    config = replace(QUICK, method=FishrConfig(penalty_epoch=1), epochs=3)
    data = source_data(PROTOCOL, prepared_samples(prepared))
    run = train(config, data, prepared, tmp_path / "runs", progress=False)
    assert (evaluated_epochs(run), candidate_epochs(run)) == ([0, 1, 2], [1, 2])
    perfect = read_dev_scores(run, 0).with_columns(
        (pl.col("label") == "live").cast(pl.Float64).alias("score")
    )
    write_table(perfect, run / "dev" / "epoch-0000.parquet")
    result = evaluate_run(run, prepared, progress=False)
    assert result["chosen"]["epoch"] == validated(run).epoch in (1, 2)
    scores = read_table(run / "scores.parquet", RUN_SCORES)
    assert set(scores["epoch"]) == {1, 2}
    early = [
        scores.filter(role="target", epoch=1).with_columns(pl.lit(0).cast(pl.Int64).alias("epoch")),
        perfect,
    ]
    write_table(pl.concat([scores, *early]), run / "scores.parquet")
    shutil.rmtree(run / "weights")  # nothing is scored again
    assert evaluate_run(run, prepared, progress=False) == result
    assert read_table(run / "scores.parquet", RUN_SCORES).equals(scores)


def test_a_run_that_went_on_in_another_precision_says_both(
    outcomes: list[Outcome], prepared: Path, tmp_path: Path
) -> None:
    run = tmp_path / outcomes[0].folder.name
    shutil.copytree(outcomes[0].folder, run)
    began = json.loads((run / "config.json").read_text())["environment"]
    other = "fp32" if began["precision"] == "bf16" else "bf16"
    assert evaluate_run(run, prepared, progress=False)["about"]["precision"] == began["precision"]
    with (run / "records.jsonl").open("a") as file:
        later = {"kind": "resumed", "step": 1, "environment": {**began, "precision": other}}
        file.write(json.dumps(later) + "\n")
    assert evaluate_run(run, prepared, progress=False)["about"]["precision"] == "bf16 and fp32"


def test_a_training_that_ends_before_the_onset_has_its_last_epoch() -> None:
    assert replace(QUICK, method=FishrConfig(penalty_epoch=30)).first_candidate == QUICK.epochs - 1
    assert [preset("demo", name).first_candidate for name in ("erm", "sa-fas", "fishr", "refilm")] == [
        0,
        4,
        6,
        8,
    ]
    assert replace(QUICK, method=FishrConfig(penalty_epoch=QUICK.epochs - 1)).is_long_enough
    assert not replace(QUICK, method=FishrConfig(penalty_epoch=QUICK.epochs)).is_long_enough


def test_the_chosen_weights_are_kept(outcomes: list[Outcome]) -> None:
    """The others and the checkpoint are deleted, and asking for another epoch says which are there."""
    for outcome in outcomes:
        chosen = outcome.result["chosen"]["epoch"]
        assert [path.name for path in (outcome.folder / "weights").iterdir()] == [
            f"epoch-{chosen:04d}.safetensors"
        ]
        assert not (outcome.folder / "checkpoint.safetensors").exists()
        with pytest.raises(InputError, match=rf"no weights of epoch {1 - chosen}\. There are: {chosen}\."):
            load_scorer(outcome.folder, 1 - chosen)


def test_a_run_that_has_not_ended_keeps_its_checkpoint(outcomes: list[Outcome], tmp_path: Path) -> None:
    """It was evaluated in mid-training: its last epoch, 1, has no scores yet."""
    folder = copied(outcomes[0].folder, tmp_path)
    (folder / "checkpoint.safetensors").touch()
    (folder / "dev" / "epoch-0001.parquet").unlink()
    keep_chosen_weights(folder, outcomes[0].result)
    assert (folder / "checkpoint.safetensors").exists()


def copied(folder: Path, runs: Path) -> Path:
    shutil.copytree(folder, runs / folder.name)
    return runs / folder.name


def changed_target(prepared: Path, out: Path, kind: str) -> Path:
    """The same sources' crops; of the target one attack is of another kind, lies elsewhere or has no crop any more."""
    shutil.copytree(prepared, out)
    samples, crops = (pl.read_parquet(out / f"{name}.parquet") for name in ("samples", "crops"))
    one = pl.col("video") == samples.filter(domain="c", label="spoof", split="test")["video"][0]
    if kind == "attack":
        samples = samples.with_columns(attack=pl.when(one).then(pl.lit("mask")).otherwise("attack"))
    elif kind == "box":
        crops = crops.with_columns(box_x=pl.col("box_x") + pl.when(one).then(1.0).otherwise(0.0))
    else:
        crops = crops.filter(~one)
    samples.write_parquet(out / "samples.parquet")
    crops.write_parquet(out / "crops.parquet")
    return out


@pytest.mark.parametrize("kind", ["attack", "box", "crop"])
def test_a_target_that_has_changed_is_scored_again(
    kind: str, outcomes: list[Outcome], prepared: Path, tmp_path: Path
) -> None:
    """From the weights where they are all there; where they are not, it is said, and a benchmark trains once more."""
    changed = changed_target(prepared, tmp_path / "prepared", kind)
    run = copied(outcomes[0].folder, tmp_path / "runs")
    with pytest.raises(RunError, match=r"test videos as they are now.*Delete the folder and train again"):
        evaluate_run(run, changed, progress=False)
    assert (run / "evaluation.json").is_file()  # a refusal changes nothing
    assert evaluate_run(run, prepared, progress=False)["chosen"] == outcomes[0].result["chosen"]
    desk = Desk(changed, run.parent, progress=False)
    (made,) = run_cells(GRID.cells()[:1], desk)
    assert isinstance(made, Outcome)
    assert made.folder == run
    counts = made.result["chosen"]["counts"]
    assert counts == {"live": 3, "spoof": 2 if kind == "crop" else 3, "subjects": 3}
    assert made.result["about"]["without_crop"] == {"live": 0, "spoof": 1 if kind == "crop" else 0}
    assert ("mask" in made.result["chosen"]["apcer"]) == (kind == "attack")
    whole = train(GRID.cells()[0].config, data(changed), changed, tmp_path / "whole", progress=False)
    evaluate_run(whole, prepared, progress=False)
    again = evaluate_run(whole, changed, progress=False)
    assert again["chosen"]["counts"] == counts
    assert again["chosen"]["epoch"] == made.result["chosen"]["epoch"]


def data(prepared: Path) -> SourceData:
    return source_data(GRID.protocols[0], prepared_samples(prepared))


def test_what_has_no_crop_is_told(
    outcomes: list[Outcome], prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = changed_target(prepared, tmp_path / "prepared", "crop")
    run = train(GRID.cells()[0].config, data(changed), changed, tmp_path / "runs", progress=False)
    main(["evaluate", str(run), str(changed)])
    told = " ".join(capsys.readouterr().out.split())
    assert "in 1 of 3 (33.3 %) of the target's attacks (APNRR) and 0 of 3 (0.0 %) of its live videos" in told
    (tested,) = gather([outcome_of(run, changed)]).tested.values()
    assert tested.without_crop == {"live": 0, "spoof": 1}


def outcome_of(run: Path, prepared: Path) -> Outcome:
    return Outcome("a&b->c", "erm", 0, run, evaluate_run(run, prepared, progress=False))


@pytest.mark.parametrize("lost", ["nothing", "evaluation.json", "weights"])
def test_killed_while_it_tidied_up_a_cell_is_done_or_evaluated_once_more(
    lost: str, outcomes: list[Outcome], prepared: Path, tmp_path: Path
) -> None:
    """Before all weights were dropped; without the evaluation; and a cell that somebody took the weights from."""
    folder = copied(outcomes[0].folder, tmp_path)
    chosen = outcomes[0].result["chosen"]["epoch"]
    if lost == "nothing":
        (folder / "weights" / f"epoch-{1 - chosen:04d}.safetensors").write_bytes(b"not dropped yet")
    elif lost == "weights":
        shutil.rmtree(folder / "weights")
    else:
        (folder / lost).unlink()
    scores = (folder / "scores.parquet").read_bytes()
    (again,) = run_cells(GRID.cells()[:1], Desk(prepared, tmp_path, progress=False))
    assert isinstance(again, Outcome)
    assert again.result == json.loads(json.dumps(outcomes[0].result))
    assert read_records(folder, "resumed") == []
    assert (folder / "scores.parquet").read_bytes() == scores
    kept = [path.name for path in folder.glob("weights/*")]
    assert kept == ([] if lost == "weights" else [f"epoch-{chosen:04d}.safetensors"])


def test_scores_of_another_run_are_left_out(outcomes: list[Outcome], prepared: Path, tmp_path: Path) -> None:
    """Trap 10 of the public code: stale scores entered its means."""
    folder = outcomes[1].folder
    kept = read_table(folder / "scores.parquet", RUN_SCORES)
    stale = kept.with_columns(pl.lit("other").alias("run"), pl.col("epoch") + 100)
    write_table(pl.concat([kept, stale]), folder / "scores.parquet")
    (folder / "evaluation.json").unlink()
    assert evaluate_run(folder, prepared, progress=False) == json.loads(json.dumps(outcomes[1].result))


def test_other_crops_are_refused(outcomes: list[Outcome], tmp_path: Path) -> None:
    other = toy.prepared_folder(tmp_path / "other", seed=1)
    (outcomes[0].folder / "evaluation.json").unlink()
    with pytest.raises(InputError, match="trained on other crops"):
        evaluate_run(outcomes[0].folder, other, progress=False)
    assert not (outcomes[0].folder / "evaluation.json").exists()
