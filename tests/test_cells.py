"""One cell: killed anywhere it goes on, failed it stays so until asked, claimed it is left alone."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

import cellwork
import toy
from cellwork import cell, desk
from safas import run_evaluation
from safas.batches import CropStore
from safas.benchmark import cells
from safas.benchmark.cells import Elsewhere, Validated, do_cell, do_trial, drop_trial, state
from safas.errors import InputError, MediaError
from safas.run_evaluation import Outcome
from safas.training import loop, read_records, read_run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.prepared_folder(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def done(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    made = do_cell(cell(), desk(prepared, tmp_path_factory.mktemp("runs")))
    assert isinstance(made, Outcome)
    return made


def copied(folder: Path, runs: Path) -> Path:
    shutil.copytree(folder, runs / folder.name)
    return runs / folder.name


def spoil(monkeypatch: pytest.MonkeyPatch, at: int = 1) -> None:
    """The images of a step are no numbers any more: the loss isn't either."""
    make_batch = loop.make_batch

    def spoiled(sampler: Any, config: Any, count: int, step: int, device: Any, *more: Any) -> Any:
        batch = make_batch(sampler, config, count, step, device, *more)
        return replace(batch, images=batch.images * torch.nan) if step == at else batch

    monkeypatch.setattr(loop, "make_batch", spoiled)


def test_a_cell_goes_through_its_states(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = desk(prepared, tmp_path)
    assert state(cell(), at).word == "to do"
    make_batch = loop.make_batch

    def stopping(sampler: Any, config: Any, count: int, step: int, device: Any, *more: Any) -> Any:
        if step == 1:
            assert state(cell(), at) == cells.State("under way", folder(tmp_path), 1, 2)
            raise KeyboardInterrupt
        return make_batch(sampler, config, count, step, device, *more)

    monkeypatch.setattr(loop, "make_batch", stopping)
    with pytest.raises(KeyboardInterrupt):
        do_cell(cell(), at)
    assert state(cell(), at) == cells.State("stopped", folder(tmp_path), 1, 2)
    monkeypatch.undo()
    trial = do_trial(cell(), at)
    assert isinstance(trial, Validated)
    assert state(cell(), at) == cells.State("trained", trial.folder, 2, 2)
    assert isinstance(do_cell(cell(), at), Outcome)
    assert state(cell(), at) == cells.State("done", trial.folder, 2, 2)
    assert [record["step"] for record in read_records(trial.folder, "resumed")] == [1]


def folder(runs: Path) -> Path:
    (found,) = (path.parent for path in runs.glob("*/config.json"))
    return found


def test_the_steps_of_a_balanced_epoch_are_counted_as_the_sampler_does(done: Outcome, prepared: Path) -> None:
    """32 videos in batches of 18, rounded down to 16 for the four classes of two domains: 2 steps an epoch."""
    config = replace(cellwork.QUICK, batch=18, sampling="balanced", epochs=1)
    runs = done.folder.parent.parent / "steps"
    made = do_trial(replace(cell(), config=config), desk(prepared, runs))
    assert isinstance(made, Validated)
    assert read_records(made.folder, "step")[-1]["step"] == 1
    assert state(replace(cell(), config=config), desk(prepared, runs)).total == 2


def test_a_finished_cell_is_told_without_reading_a_crop(
    done: Outcome, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = desk(prepared, done.folder.parent)
    monkeypatch.setattr(CropStore, "__init__", lambda *_: pytest.fail("crops are read"))
    assert state(cell(), at).word == "done"
    again = do_cell(cell(), at)
    assert isinstance(again, Outcome)
    assert again.result == json.loads(json.dumps(done.result))


@pytest.mark.parametrize("lost", ["evaluation.json", "scores.parquet", "weights", "dev/epoch-0001.parquet"])
def test_what_is_lost_is_made_again_and_the_same(
    lost: str, done: Outcome, prepared: Path, tmp_path: Path
) -> None:
    """Weights are of no use to an evaluated cell; without its scores they are, and the run is made afresh."""
    run = copied(done.folder, tmp_path)
    shutil.rmtree(run / lost) if lost == "weights" else (run / lost).unlink()
    again = do_cell(cell(), desk(prepared, tmp_path))
    assert isinstance(again, Outcome)
    assert json.loads(json.dumps(again.result)) == json.loads(json.dumps(done.result))
    assert (run / "weights").exists() == (lost != "weights")


def test_a_cell_that_diverges_is_left_alone_until_it_is_asked_for(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch)
    at = desk(prepared, tmp_path)
    failed = do_cell(cell(), at)
    assert isinstance(failed, Outcome)
    assert failed.failure == "diverged: the loss is not finite at step 1: risk = nan"
    assert failed.result == {}
    assert json.loads((failed.folder / "failed.json").read_text()) == {"reason": failed.failure}
    assert state(cell(), at).word == "failed"
    monkeypatch.undo()
    monkeypatch.setattr(cells, "train", lambda *_, **__: pytest.fail("trained again"))
    assert do_cell(cell(), at) == do_trial(cell(), at) == failed
    monkeypatch.undo()
    retried = do_cell(cell(), replace(at, retry=True))
    assert isinstance(retried, Outcome)
    assert retried.result["chosen"]["epoch"] in (0, 1)
    assert not (failed.folder / "failed.json").exists()
    assert read_records(failed.folder, "resumed") == []  # afresh


def test_a_broken_folder_fails_by_itself_and_is_tried_again_next_time(
    done: Outcome, prepared: Path, tmp_path: Path
) -> None:
    run = copied(done.folder, tmp_path)
    (run / "records.jsonl").unlink()
    (run / "checkpoint.safetensors").write_bytes(b"torn")
    made = do_cell(cell(), desk(prepared, tmp_path))
    assert isinstance(made, Outcome)
    assert "checkpoint.safetensors: not a readable file" in made.failure
    assert not (run / "failed.json").exists()
    (run / "checkpoint.safetensors").unlink()
    again = do_cell(cell(), desk(prepared, tmp_path))
    assert isinstance(again, Outcome)
    assert again.result


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", "{", "config.json is damaged"),
        ("config.json", "{}", "does not say 'config'"),
        ("records.jsonl", "garbage\n", "not the log of a run"),
        ("scores.parquet", "garbage", "not a readable table"),
    ],
)
def test_a_damaged_file_fails_its_own_cell_and_names_the_remedy(
    name: str, content: str, words: str, done: Outcome, prepared: Path, tmp_path: Path
) -> None:
    run = copied(done.folder, tmp_path)
    (run / name).write_text(content)
    made, told = do_cell(cell(), desk(prepared, tmp_path)), state(cell(), desk(prepared, tmp_path))
    assert isinstance(made, Outcome)
    for said in (made.failure, told.reason):
        assert words in said
        assert str(run) in said
    assert "Delete the folder" in made.failure
    assert told.word == "failed"


_EMPTY = {part: {} for part in ("chosen", "last10", "oracle", "about")}


@pytest.mark.parametrize("content", ["{", "{}", "[]", json.dumps(_EMPTY), json.dumps(dict.fromkeys(_EMPTY))])
def test_a_damaged_evaluation_is_made_again_of_the_scores(
    content: str, done: Outcome, prepared: Path, tmp_path: Path
) -> None:
    """Of a run whose other weights are gone; meanwhile it does not count as done."""
    run = copied(done.folder, tmp_path)
    (run / "evaluation.json").write_text(content)
    assert state(cell(), desk(prepared, tmp_path)).word == "trained"
    made = do_cell(cell(), desk(prepared, tmp_path))
    assert isinstance(made, Outcome)
    assert json.loads(json.dumps(made.result)) == json.loads((done.folder / "evaluation.json").read_text())


def test_other_settings_under_the_same_name_are_no_result(
    done: Outcome, prepared: Path, tmp_path: Path
) -> None:
    run = copied(done.folder, tmp_path)
    said = read_run(run)
    said["config"]["lr"] = 0.5
    (run / "config.json").write_text(json.dumps(said), encoding="utf-8")
    made = do_cell(cell(), desk(prepared, tmp_path))
    assert isinstance(made, Outcome)
    assert "another 'config'" in made.failure
    assert (run / "evaluation.json").exists()


def test_what_is_wrong_with_the_data_stops_the_work(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "prepared")
    next(iter(sorted((tmp_path / "prepared").rglob("a/0-live/*.png")))).write_bytes(b"no image")
    with pytest.raises(MediaError, match="not a readable square crop"):
        do_cell(cell(), desk(tmp_path / "prepared", tmp_path / "runs"))
    with pytest.raises(InputError, match="not a prepared folder"):
        do_cell(cell(), desk(tmp_path, tmp_path / "runs"))


def test_a_claimed_cell_is_left_alone(
    done: Outcome, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safas.training.claim._PATIENCE_S", 0.05)
    at = desk(prepared, tmp_path)
    run = tmp_path / done.folder.name
    (at.notes / "locks").mkdir(parents=True)
    with FileLock(at.notes / "locks" / run.name):
        assert do_cell(cell(), at) == do_trial(cell(), at) == Elsewhere(cell(), run)
        assert state(cell(), at).word == "to do"
        assert not run.exists()
    mine = do_cell(cell(), at)
    assert isinstance(mine, Outcome)
    assert mine.result is not None
    assert mine.folder == run


def test_a_claim_ends_with_its_process(done: Outcome, prepared: Path, tmp_path: Path) -> None:
    """A process that is killed while it holds the lock."""
    at = desk(prepared, tmp_path)
    (at.notes / "locks").mkdir(parents=True)
    copied(done.folder, tmp_path)
    script = f"""
import os, signal
from filelock import FileLock
FileLock({str(at.notes / "locks" / done.folder.name)!r}).acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert isinstance(do_cell(cell(), at), Outcome)


def test_a_trial_reads_nothing_of_the_target(prepared: Path, tmp_path: Path) -> None:
    """Its crops are no images; the trial does not notice, an evaluation would."""
    shutil.copytree(prepared, tmp_path / "prepared")
    for path in (tmp_path / "prepared").rglob("c/*/*.png"):
        path.write_bytes(b"no image")
    at = desk(tmp_path / "prepared", tmp_path / "runs")
    trial = do_trial(cell(), at)
    assert isinstance(trial, Validated)
    best = min(
        read_records(trial.folder, "epoch"),
        key=lambda r: (r["source_dev_hter"], -r["source_dev_auc"], -r["epoch"]),
    )
    assert (trial.epoch, trial.hter, trial.auc) == (
        best["epoch"], best["source_dev_hter"], best["source_dev_auc"],
    )  # fmt: skip
    with pytest.raises(MediaError):
        do_cell(cell(), at)


def test_a_dropped_trial_can_still_become_a_cell(done: Outcome, prepared: Path, tmp_path: Path) -> None:
    """It has no weights left: they are made again, bit for bit, and its numbers with them."""
    at = desk(prepared, tmp_path)
    trial = do_trial(cell(), at)
    assert isinstance(trial, Validated)
    drop_trial(trial, at)
    assert not list(trial.folder.rglob("*.safetensors"))
    assert do_trial(cell(), at) == trial
    assert not list(trial.folder.rglob("*.safetensors"))
    made = do_cell(cell(), at)
    assert isinstance(made, Outcome)
    assert made.result["chosen"] == done.result["chosen"]


def test_an_evaluated_cell_is_not_dropped_as_a_trial(done: Outcome, prepared: Path, tmp_path: Path) -> None:
    copied(done.folder, tmp_path)
    at = desk(prepared, tmp_path)
    trial = do_trial(cell(), at)
    assert isinstance(trial, Validated)
    drop_trial(trial, at)
    assert list(trial.folder.rglob("*.safetensors"))
    assert run_evaluation.is_evaluated(trial.folder, prepared)
