"""The training loop: what a run leaves behind, resuming, and what it refuses."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.torch
import torch
from lightning_fabric import Fabric
from sklearn.metrics import roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import together
import toy
from safas.augment import AugmentConfig
from safas.batches import Batch, CropStore, Sampler
from safas.errors import InputError, MediaError, ProtocolError, SafasError, TrainingError
from safas.methods import CONFIGS
from safas.methods.dann import DannConfig
from safas.methods.sa_fas import SaFasConfig
from safas.model import DomainHeads, ScoringNet, backbone
from safas.protocols import SourceData
from safas.table import CROPS, read_table, write_table
from safas.training import (
    PRESETS,
    TrainConfig,
    evaluated_epochs,
    features_of,
    load_scorer,
    preset,
    read_records,
    read_run,
    run_hash,
    scorer_of,
    train,
)
from safas.training import loop as loop_module
from safas.training.checkpoint import save
from safas.training.config import config_from_json
from safas.training.environment import make_fabric, uses_bf16
from safas.training.scoring import alignment, separability, validate
from safas.training.step import make_batch

SIZE = 24
# A backbone with dropout, so that the state of the random generator matters; 3 steps an epoch, 12 in all.
CONFIG = TrainConfig(
    method=SaFasConfig(align_epoch=1, alpha=0.9),
    backbone="mobilenet_v3_small",
    weights="none",
    image_size=SIZE,
    epochs=4,
    batch=6,
    lr=0.01,
    augment=AugmentConfig(rotation_deg=10, scale=(0.7, 1)),
    evaluate_every=2,
    checkpoint_every=5,
    log_every=2,
    accelerator="cpu",
    threads=1,
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.prepare(tmp_path_factory.mktemp("prepared"), toy.samples(), size=SIZE)


@pytest.fixture(scope="module")
def data() -> SourceData:
    return toy.source_data(toy.samples())


@pytest.fixture(scope="module")
def finished(prepared: Path, data: SourceData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(CONFIG, data, prepared, tmp_path_factory.mktemp("runs"), progress=False)


def test_a_run_leaves_its_files(finished: Path) -> None:
    assert evaluated_epochs(finished) == [1, 3]
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "config.json", "records.jsonl", "log.csv", "tensorboard", "weights", "dev", "checkpoint.safetensors",
    }  # fmt: skip


def test_config_json_tells_everything_and_can_be_read_back(finished: Path, data: SourceData) -> None:
    said = read_run(finished)
    assert said["run"] == finished.name
    assert config_from_json(said["config"]) == CONFIG
    assert said["protocol"]["name"] == "a&b&c->unseen"
    assert said["data"]["train"] == {"videos": 18, "crops": 36, "videos_without_crop": 0}
    assert run_hash(CONFIG, data.protocol, said["data"]["digest"]) == finished.name
    ran_on = said["environment"]
    assert ran_on["threads"] == 1
    assert ran_on["seed"] == 0
    assert torch.__version__.startswith(ran_on["versions"]["torch"])
    assert "commit" in ran_on


def test_records_hold_every_line(finished: Path) -> None:
    """Logged after steps 2, 4, ... and before the checkpoints at 5, 10, 12 and the evaluations at 6 and 12."""
    steps = read_records(finished, "step")
    assert [record["step"] + 1 for record in steps] == [2, 4, 5, 6, 8, 10, 12]
    for record in steps:
        names = {"loss", "risk", "contrastive", "head_cosine", "bias_spread", "head_norms", "lr", "epoch"}
        assert names <= set(record)
        assert record["epoch"] == record["step"] // 3
        assert record["loss"] == pytest.approx(record["risk"] + 0.1 * record["contrastive"], rel=1e-5)
        assert len(record["head_norms"]) == 3
        biases = record["head_biases"]
        assert len(biases) == 3
        assert max(biases) - min(biases) == pytest.approx(record["bias_spread"])
    epochs = read_records(finished, "epoch")
    assert [(record["epoch"], record["step"]) for record in epochs] == [(1, 5), (3, 11)]
    for record in epochs:
        assert 0 <= record["source_dev_hter"] <= 1
        assert 0 <= record["separability"] <= 2
        assert -1 <= record["alignment"] <= 1


def test_csv_and_tensorboard_show_the_records(finished: Path) -> None:
    records = read_records(finished)
    with (finished / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [record["step"] for record in records]
    assert float(rows[0]["loss"]) == records[0]["loss"]
    assert float(rows[0]["head_norms_2"]) == records[0]["head_norms"][2]
    board = EventAccumulator(str(finished / "tensorboard")).Reload()
    shown = {event.step: event.value for event in board.Scalars("train/loss")}
    assert shown[1] == pytest.approx(records[0]["loss"])
    assert len(board.Scalars("validation/source_dev_hter")) == 2
    assert len(board.Scalars("heads/head_cosine")) == 7


def test_the_kept_weights_score_as_the_record_says(finished: Path, prepared: Path, data: SourceData) -> None:
    """The AUC of source validation, anew from the kept weights by another library."""
    store = CropStore(prepared, data.dev, toy.DOMAINS)
    net = load_scorer(finished, 3)
    frames = scorer_of(net)(store.images)
    per_video = frames.reshape(-1, 2).astype(np.float64).mean(axis=1)
    record = read_records(finished, "epoch")[-1]
    assert roc_auc_score(store.live, per_video) == pytest.approx(record["source_dev_auc"])
    one_by_one = np.concatenate([features_of(net, store.images[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(features_of(net, store.images[:3]), one_by_one, rtol=1e-4, atol=1e-5)


def test_a_complete_run_is_returned_untouched(finished: Path, prepared: Path, data: SourceData) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    assert train(CONFIG, data, prepared, finished.parent, progress=False) == finished
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()} == before


def test_a_complete_run_is_known_without_checkpoint_and_weights(
    finished: Path, prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    run = tmp_path / finished.name
    shutil.copytree(finished, run)
    (run / "checkpoint.safetensors").unlink()
    shutil.rmtree(run / "weights")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert train(CONFIG, data, prepared, tmp_path, progress=False) == run
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.parametrize("lost", ["dev/epoch-0003.parquet", "records.jsonl"])
def test_without_a_checkpoint_a_run_that_has_not_ended_starts_afresh(
    lost: str, finished: Path, prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    """Killed before its first checkpoint, or between the last scores and their line in the log."""
    run = tmp_path / finished.name
    shutil.copytree(finished, run)
    (run / "checkpoint.safetensors").unlink()
    if lost == "records.jsonl":
        lines = (run / lost).read_text(encoding="utf-8").splitlines(keepends=True)
        (run / lost).write_text("".join(lines[:-1]), encoding="utf-8")
    else:
        (run / lost).unlink()
    train(CONFIG, data, prepared, tmp_path, progress=False)
    assert read_records(run) == read_records(finished)
    weights = "weights/epoch-0003.safetensors"
    assert (run / weights).read_bytes() == (finished / weights).read_bytes()


def test_a_folder_from_before_a_setting_was_known_is_the_same_run(
    finished: Path, prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    """Settings that stand at their defaults are taken out of its config.json, one of the method's among them."""
    run = tmp_path / finished.name
    shutil.copytree(finished, run)
    said = read_run(run)
    del said["config"]["momentum"], said["config"]["method"]["rule"]
    (run / "config.json").write_text(json.dumps(said), encoding="utf-8")
    assert train(CONFIG, data, prepared, tmp_path, progress=False) == run
    del said["config"]["lr"]  # is not at its default here
    (run / "config.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(TrainingError, match="another 'config'"):
        train(CONFIG, data, prepared, tmp_path, progress=False)


CHILD = """
import os, signal, sys
from pathlib import Path
import toy
from safas.training import loop, train
from test_training import CONFIG

prepared, runs, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
make_batch = loop.make_batch

def killing(sampler, config, count, step, device, *more):
    if step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return make_batch(sampler, config, count, step, device, *more)

loop.make_batch = killing
train(CONFIG, toy.source_data(toy.samples()), prepared, runs, progress=False)
"""


def run_child(prepared: Path, runs: Path, kill_at: int) -> int:
    """Train in a process of its own, which kills itself with SIGKILL before a step (never for -1)."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent / "src")])}
    command = [sys.executable, "-c", CHILD, str(prepared), str(runs), str(kill_at)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_killed_in_mid_epoch_and_resumed_it_ends_bit_for_bit_the_same(
    finished: Path, prepared: Path, tmp_path: Path
) -> None:
    """Checkpoints after 5 and 10 steps. Killed before step 8 (epoch 2 is steps 6 to 8), the resumed process
    does steps 5 to 7 again, over an evaluation that had been logged already. `finished` ran without a stop.
    """
    assert run_child(prepared, tmp_path, kill_at=8) == -signal.SIGKILL
    run = tmp_path / finished.name
    assert not (run / "weights" / "epoch-0003.safetensors").exists()
    assert read_records(run)[-1]["step"] == 7
    assert run_child(prepared, tmp_path, kill_at=-1) == 0
    for name in ("weights/epoch-0001.safetensors", "weights/epoch-0003.safetensors"):
        assert (run / name).read_bytes() == (finished / name).read_bytes()
    ours = safetensors.torch.load_file(run / "checkpoint.safetensors")
    theirs = safetensors.torch.load_file(finished / "checkpoint.safetensors")
    assert set(ours) == set(theirs)
    assert any(name.startswith("momentum.") for name in ours)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    assert read_records(run, "step") == read_records(finished, "step")
    assert read_records(run, "epoch") == read_records(finished, "epoch")
    assert [record["step"] for record in read_records(run, "resumed")] == [5]


@pytest.mark.parametrize(
    ("method", "onset"),
    [
        ("irm", "penalty_epoch"), ("vrex", "penalty_epoch"), ("fishr", "penalty_epoch"), ("gac-fas", "ascent_epoch"),
        ("sa-fas", "align_epoch"),
    ],
)  # fmt: skip
def test_what_sets_in_may_do_so_within_a_line_of_the_log(
    method: str, onset: str, prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    settings = replace(together.METHODS[method], **{onset: 1})
    config = replace(CONFIG, method=settings, epochs=2, evaluate_every=2, checkpoint_every=9, log_every=9)
    run = train(config, data, prepared, tmp_path, progress=False)
    assert [record["step"] for record in read_records(run, "step")] == [5]
    assert evaluated_epochs(run) == [1]


@pytest.mark.parametrize("method", ["group-dro", "dann", "ssdg", "fishr", "refilm"])
def test_what_a_method_keeps_is_resumed_too(
    method: str, prepared: Path, data: SourceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of domains, discriminators, moving averages: stopped after 5 of 6 steps, the checkpoint at 3."""
    config = replace(CONFIG, method=together.METHODS[method], epochs=2, checkpoint_every=3)
    whole = train(config, data, prepared, tmp_path / "whole", progress=False)

    def stopping(
        sampler: Sampler, config: TrainConfig, count: int, step: int, device: torch.device, *more: Any
    ) -> Batch:
        if step == 5:
            raise KeyboardInterrupt
        return make_batch(sampler, config, count, step, device, *more)

    with monkeypatch.context() as patched:
        patched.setattr(loop_module, "make_batch", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(config, data, prepared, tmp_path, progress=False)
    run = train(config, data, prepared, tmp_path, progress=False)
    assert [record["step"] for record in read_records(run, "resumed")] == [3]
    ours = safetensors.torch.load_file(run / "checkpoint.safetensors")
    theirs = safetensors.torch.load_file(whole / "checkpoint.safetensors")
    own = {name for name in ours if not name.startswith(("weight.backbone.", "weight.heads.", "momentum."))}
    assert own > {"rng"}
    assert set(ours) == set(theirs)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_evaluating_more_often_changes_nothing(
    finished: Path, prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    """Statistics of the batch norms, dropout and random numbers are training's alone."""
    run = train(replace(CONFIG, evaluate_every=1), data, prepared, tmp_path, progress=False)
    assert evaluated_epochs(run) == [0, 1, 2, 3]
    ours = safetensors.torch.load_file(run / "checkpoint.safetensors")
    theirs = safetensors.torch.load_file(finished / "checkpoint.safetensors")
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_the_learning_rate_steps_down(prepared: Path, data: SourceData, tmp_path: Path) -> None:
    """With a factor of 0 after two epochs, no parameter moves any more, as at a constant rate it does."""

    def heads(config: TrainConfig) -> list[torch.Tensor]:
        run = train(config, data, prepared, tmp_path, progress=False)
        lines = read_records(run, "step")
        assert [line["lr"] for line in lines] == [config.lr_at(line["epoch"]) for line in lines]
        return [load_scorer(run, epoch).heads.weight.detach() for epoch in (0, 1, 2)]

    config = replace(CONFIG, method=CONFIGS["erm"](), epochs=3, evaluate_every=1)
    first, second, third = heads(replace(config, lr_factor=0, lr_every=2))
    assert not torch.equal(first, second)
    assert torch.equal(second, third)
    constant = heads(config)
    assert torch.equal(constant[1], second)
    assert not torch.equal(constant[2], third)


def test_validation_takes_the_mean_over_the_frames_of_a_video(tmp_path: Path) -> None:
    """Half of the videos have one crop, half have two: the AUC anew, by another library."""
    table = toy.samples(people=8)
    crops = read_table(toy.prepare(tmp_path, table, size=SIZE) / "crops.parquet", CROPS)
    write_table(crops.filter(pl.col("video").hash(0) % 2 + pl.col("frame") < 2), tmp_path / "crops.parquet")
    store = CropStore(tmp_path, table, toy.DOMAINS)
    assert set(store.count.tolist()) == {1, 2}
    torch.manual_seed(0)
    trunk, dim = backbone("mobilenet_v3_small")
    net = ScoringNet(trunk, DomainHeads(dim, 3), "probability", SIZE).eval()
    frames = pl.DataFrame({"crop": store.paths, "score": scorer_of(net)(store.images).astype(np.float64)})
    videos = crops.join(frames, on="crop").group_by("video").agg(pl.col("score").mean())
    videos = videos.join(table, on="video")
    wanted = roc_auc_score((videos["label"] == "live").to_numpy(), videos["score"].to_numpy())
    numbers, scored = validate(net, store, features_of(net, store.images), 0)
    assert numbers["source_dev_auc"] == pytest.approx(wanted)
    both = scored.join(videos, on="video", suffix="_anew")
    assert both["score"].to_numpy() == pytest.approx(both["score_anew"].to_numpy(), abs=1e-6)
    assert set(both["frames"]) == {1, 2}


def test_a_torn_last_line_of_the_records_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text('{"kind": "step", "step": 1}\n{"kind": "st', encoding="utf-8")
    assert read_records(tmp_path) == [{"kind": "step", "step": 1}]
    assert read_records(tmp_path / "nothing") == []


def test_a_loss_that_is_not_finite_stops_the_run(
    prepared: Path, data: SourceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images of step 7 are spoiled: the run stops with step and part, at the state of its checkpoint at 5."""

    def spoiled(sampler: Any, config: Any, count: int, step: int, device: Any, *more: Any) -> Any:
        batch = make_batch(sampler, config, count, step, device, *more)
        return replace(batch, images=batch.images * torch.nan) if step == 7 else batch

    monkeypatch.setattr(loop_module, "make_batch", spoiled)
    with pytest.raises(TrainingError, match=r"not finite at step 7: risk = nan\. Lower the lear"):
        train(CONFIG, data, prepared, tmp_path, progress=False)
    (run,) = tmp_path.glob("[!.]*")
    assert [record["step"] for record in read_records(run, "step")] == [1, 3, 4, 5]
    assert evaluated_epochs(run) == [1]
    assert not [path for path in run.rglob("*") if "partial" in path.name]
    for path in (run / "checkpoint.safetensors", run / "weights" / "epoch-0001.safetensors"):
        for tensor in safetensors.torch.load_file(path).values():
            assert not tensor.is_floating_point() or bool(tensor.isfinite().all())
    monkeypatch.undo()
    train(CONFIG, data, prepared, tmp_path, progress=False)  # the spoiled step was no part of the checkpoint
    assert evaluated_epochs(run) == [1, 3]


def test_weights_that_blow_up_stop_the_run_too(prepared: Path, data: SourceData, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not finite"):
        train(replace(CONFIG, lr=1e30, epochs=1), data, prepared, tmp_path, progress=False)


def test_a_folder_of_another_run_is_refused(
    finished: Path, prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    run = tmp_path / finished.name
    run.mkdir()
    said = read_run(finished)
    said["config"]["lr"] = 0.5
    (run / "config.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(TrainingError, match="another 'config'"):
        train(CONFIG, data, prepared, tmp_path, progress=False)


def test_a_stale_or_broken_checkpoint_is_refused(
    finished: Path, prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    run = tmp_path / finished.name
    run.mkdir()
    (run / "config.json").write_bytes((finished / "config.json").read_bytes())
    save(run / "checkpoint.safetensors", {"x": torch.zeros(1)}, {"run": "other"})
    with pytest.raises(TrainingError, match="is of the run 'other'"):
        train(CONFIG, data, prepared, tmp_path, progress=False)
    about = {"run": run.name, "steps": "5", "records": "0"}
    save(run / "checkpoint.safetensors", {"weight.x": torch.zeros(1)}, about)
    with pytest.raises(TrainingError, match="another network"):
        train(CONFIG, data, prepared, tmp_path, progress=False)
    (run / "checkpoint.safetensors").write_bytes(b"torn")
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors: not a readable"):
        train(CONFIG, data, prepared, tmp_path, progress=False)


def test_what_a_killed_writer_left_is_swept_away(
    finished: Path, prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    run = tmp_path / finished.name
    shutil.copytree(finished, run)
    kept = sorted(path.relative_to(run) for path in run.rglob("*"))
    for folder in (run, run / "weights"):
        (folder / ".0123456789abcdef.partial").write_bytes(b"half")
    assert train(CONFIG, data, prepared, tmp_path, progress=False) == run
    assert sorted(path.relative_to(run) for path in run.rglob("*")) == kept


def test_without_resuming_the_folder_is_emptied(prepared: Path, data: SourceData, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1, method=CONFIGS["erm"]())
    run = train(config, data, prepared, tmp_path, progress=False)
    (run / "scores.parquet").write_bytes(b"stale")
    assert train(config, data, prepared, tmp_path, resume=False, progress=False) == run
    assert not (run / "scores.parquet").exists()
    assert evaluated_epochs(run) == [0]


@pytest.mark.parametrize("method", [name for name in CONFIGS if name != "distill"])
def test_every_method_trains_and_can_be_loaded(
    method: str, prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    """A student needs a teacher: see test_distill.py."""
    config = replace(CONFIG, method=CONFIGS[method](), epochs=1, sampling="balanced", precision="fp32")
    if method == "mixstyle":  # it mixes between the stages of a ResNet
        config = replace(config, backbone="resnet18")
    run = train(config, data, prepared, tmp_path, progress=False)
    scores = scorer_of(load_scorer(run, 0))(np.zeros((2, SIZE, SIZE, 3), np.uint8))
    assert scores.shape == (2,)
    assert ("head_cosine" in read_records(run, "step")[0]) == (method == "sa-fas")


def test_it_learns(tmp_path: Path) -> None:
    """People never seen, in three domains: live and spoof of the toy set are told apart without an error."""
    table = toy.samples(people=6)
    toy.prepare(tmp_path, table, size=SIZE)
    augment = AugmentConfig(rotation_deg=5, scale=(0.8, 1), flip=False)
    config = replace(CONFIG, backbone="resnet18", epochs=8, lr=0.005, augment=augment, evaluate_every=8)
    config = replace(config, precision="fp32", method=SaFasConfig(align_epoch=2, alpha=0.9))
    run = train(config, toy.source_data(table), tmp_path, tmp_path / "runs", progress=False)
    assert read_records(run, "epoch")[-1]["source_dev_auc"] == 1


def test_training_leaves_the_process_as_it_was(prepared: Path, data: SourceData, tmp_path: Path) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    config = replace(CONFIG, epochs=1, method=CONFIGS["erm"](), threads=threads + 1)
    train(config, data, prepared, tmp_path, progress=False)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), state)


def test_settings_and_data_that_do_not_fit_write_nothing(
    prepared: Path, data: SourceData, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"

    def refused(error: type[SafasError], match: str, config: TrainConfig = CONFIG, **other: Any) -> None:
        arguments: dict[str, Any] = {"data": data, "prepared": prepared, **other}
        with pytest.raises(error, match=match):
            train(config, runs=runs, progress=False, **arguments)
        assert not runs.exists()

    refused(InputError, "more than the 18 training videos", replace(CONFIG, batch=19))
    refused(InputError, r"crops\.parquet: no such file", prepared=tmp_path)
    refused(InputError, "no network called 'resnet19'", replace(CONFIG, backbone="resnet19"))
    refused(InputError, "cannot be trained on images of 24 pixels", replace(CONFIG, backbone="vit_b_32"))
    refused(InputError, "no accelerator 'cuda9'", replace(CONFIG, accelerator="cuda9"))
    only_live = pl.col("label").ne("spoof") | pl.col("domain").ne("b")
    one_sided = replace(data, dev=data.dev.filter(only_live))
    refused(ProtocolError, "'b' has no spoof video with a crop in its dev rows", data=one_sided)


def test_the_targets_crops_are_never_opened(tmp_path: Path, data: SourceData) -> None:
    """A fourth domain lies in the prepared folder with files that are no images: nobody notices."""
    table = toy.samples((*toy.DOMAINS, "unseen"))
    toy.prepare(tmp_path, table, size=SIZE)
    for path in (tmp_path / "crops" / "toy" / "unseen").rglob("*.png"):
        path.write_bytes(b"no image")
    config = replace(CONFIG, epochs=1, method=CONFIGS["erm"]())
    train(config, data, tmp_path, tmp_path / "runs", progress=False)
    with pytest.raises(MediaError):
        CropStore(tmp_path, table, (*toy.DOMAINS, "unseen"))


def test_missing_runs_and_epochs_are_named(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run's folder"):
        load_scorer(tmp_path, 0)
    with pytest.raises(InputError, match=r"no weights of epoch 2\. There are: 1, 3\."):
        load_scorer(finished, 2)


def test_the_paper_preset_is_the_authors_default() -> None:
    """The table of settings in the paper's public code."""
    paper = asdict(preset("paper"))
    method, augment = paper.pop("method"), paper.pop("augment")
    wanted = {"backbone": "resnet18", "weights": "imagenet", "image_size": 256, "epochs": 100, "batch": 96}
    wanted |= {"lr": 0.005, "momentum": 0.9, "weight_decay": 5e-4, "lr_factor": 0.5, "lr_every": 40}
    assert {name: paper[name] for name in wanted} == wanted
    assert paper["sampling"] == "plain"
    assert method == {
        "name": "sa-fas", "alpha": 0.995, "align_epoch": 20, "contrastive_weight": 0.1, "temperature": 0.1,
        "scaling": "code", "rule": "hyperplane", "aligned": "direction", "least_heads": 0,
    }  # fmt: skip
    assert augment == {"rotation_deg": 180.0, "scale": (0.2, 1.0), "flip": True, "padding": "zeros"}
    config = preset("paper")
    assert [config.lr_at(epoch) for epoch in (0, 39, 40, 80)] == [0.005, 0.005, 0.0025, 0.00125]


def test_presets_take_any_method_and_unknown_names_are_refused() -> None:
    for name in PRESETS:
        for method in CONFIGS:
            config = preset(name, method, seed=3)
            assert (config.method.name, config.seed) == (method, 3)
            assert config_from_json(json.loads(json.dumps(asdict(config)))) == config
    assert preset("demo").method == PRESETS["demo"].method
    assert preset("demo", "dann").method == DannConfig(ramp_epochs=20)
    assert preset("paper", "dann").method == DannConfig()
    with pytest.raises(InputError, match="no preset is called 'big'"):
        preset("big")
    with pytest.raises(InputError, match="no method is called 'irm2'"):
        preset("demo", "irm2")
    with pytest.raises(InputError, match="these are not a run's settings"):
        config_from_json({**asdict(preset("demo")), "learning_rate": 1})


@pytest.mark.parametrize("name", ["seed", "epochs", "batch", "log_every", "threads", "lr"])
def test_settings_out_of_range_are_named(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} = -1"):
        replace(CONFIG, **{name: -1})


def test_precision_is_automatic_and_can_be_told() -> None:
    device = torch.device("cpu")
    assert uses_bf16(replace(CONFIG, precision="bf16"), device)
    assert not uses_bf16(replace(CONFIG, precision="fp32"), device)
    assert isinstance(uses_bf16(CONFIG, device), bool)
    assert isinstance(make_fabric(CONFIG), Fabric)


@pytest.mark.parametrize("method", ["sam", "gac-fas"])
def test_small_moves_of_the_weights_are_made_in_32_bits(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself, on a processor that has bfloat16, where the other methods are trained in it."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    device, config = torch.device("cpu"), replace(CONFIG, method=CONFIGS[method]())
    assert uses_bf16(CONFIG, device)
    assert not uses_bf16(config, device)
    assert uses_bf16(replace(config, precision="bf16"), device)


@pytest.mark.parametrize(("rho", "adaptive", "most"), [(0.05, False, 0.25), (0.1, True, 0.005)])
def test_bfloat16_rounds_the_ascent_of_sam_and_gac_fas_away(rho: float, adaptive: bool, most: float) -> None:
    """So few convolution weights of a ResNet-18 are others in bfloat16 after a step of the default length."""
    torch.manual_seed(0)
    weights = [p.detach() for p in backbone("resnet18", "none")[0].parameters() if p.ndim == 4]
    slopes = [torch.randn_like(weight) for weight in weights]
    scales = [weight.abs() if adaptive else torch.ones(()) for weight in weights]
    length = sum(float((s * g).square().sum()) for s, g in zip(scales, slopes, strict=True)) ** 0.5
    moved = [
        ((w + rho / length * s**2 * g).bfloat16() != w.bfloat16()).sum()
        for w, s, g in zip(weights, scales, slopes, strict=True)
    ]
    assert sum(moved) < most * sum(w.numel() for w in weights)


def test_a_batch_carries_what_belongs_together(prepared: Path, data: SourceData) -> None:
    """Two views of each image with its own label and domain, telling them by the toy set's looks.

    Live crops are darker to the right; the tint of domain a, b, c is on channel 1, 2, 0.
    """
    store = CropStore(prepared, data.train, toy.DOMAINS)
    still = AugmentConfig(rotation_deg=0, scale=(1, 1), flip=False)
    config = replace(CONFIG, augment=still)
    batch = make_batch(Sampler(store, 6, "plain", 0), config, 2, step=4, device=torch.device("cpu"))
    assert batch.images.shape == (12, 3, SIZE, SIZE)
    assert torch.equal(batch.images[:6], batch.images[6:])
    left, right = batch.images[..., : SIZE // 2], batch.images[..., SIZE // 2 :]
    looks_live = left.mean(dim=(1, 2, 3)) > right.mean(dim=(1, 2, 3))
    assert torch.equal(looks_live.long(), batch.labels)
    tinted = batch.images.mean(dim=(2, 3)).argmax(dim=1)
    assert torch.equal((batch.domains + 1) % 3, tinted)
    assert torch.equal(batch.classes, 2 * batch.domains + batch.labels)


def test_the_views_are_a_function_of_seed_and_step(prepared: Path, data: SourceData) -> None:
    """All crops are made the same picture, so that only the views can differ."""
    store = CropStore(prepared, data.train, toy.DOMAINS)
    store.images[:] = store.images[0]

    def images(seed: int, step: int) -> torch.Tensor:
        sampler, config = Sampler(store, 6, "plain", seed), replace(CONFIG, seed=seed)
        return make_batch(sampler, config, 2, step, torch.device("cpu")).images

    assert torch.equal(images(0, 4), images(0, 4))
    assert not torch.equal(images(0, 4), images(0, 5))
    assert not torch.equal(images(0, 4), images(1, 4))


def test_separability_and_alignment_by_hand() -> None:
    """Class centres of the normalised features at 0, 90 and 180 degrees: distances sqrt 2, sqrt 2 and 2.

    Domain 0: live - spoof = (2, -1), with (1, 0): 2/sqrt 5. Domain 1: (-4, 0) - (0, -3) = (-4, 3): -4/5.
    """
    features = np.array([[2.0, 0.0], [0.0, 5.0], [-3.0, 0.0]])
    wanted = (2 * np.sqrt(2) + 2) / 3
    assert separability(features, np.array([0, 1, 2])) == pytest.approx(wanted)
    features = np.array([[2.0, 0.0], [0.0, 1.0], [-4.0, 0.0], [0.0, -3.0]])
    live, domain = np.array([True, False, True, False]), np.array([0, 0, 1, 1])
    wanted = (2 / np.sqrt(5) - 4 / 5) / 2
    assert alignment(features, live, domain, np.array([3.0, 0.0])) == pytest.approx(wanted)
