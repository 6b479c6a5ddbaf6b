"""The student's loss against cases worked by hand, and a real run distilled, exported and judged by."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import safas
from conftest import Finished
from safas.cli import main
from safas.distillation import StudentConfig, distill, student_of
from safas.errors import InputError, ProtocolError
from safas.export import ExportConfig, export
from safas.losses import domain_risks
from safas.methods.distill import Distill, DistillConfig, soft_distance
from safas.prepared import prepared_samples
from safas.protocols import parse, source_data
from safas.run_evaluation import evaluate_run
from safas.training import (
    TrainConfig,
    load_scorer,
    preset,
    read_records,
    read_run,
    read_teacher,
    run_hash,
    train,
)
from toy_method import D, Tiny, make, teacher, toy_batch, without

STUDENT = StudentConfig(backbone="shufflenet_v2_x0_5", image_size=24, epochs=4, threads=1)


def test_the_distance_by_hand() -> None:
    """T = 2, teacher 2 ln 3, student 0: p = 3/4 and q = 1/2.

    KL = 3/4 ln(3/2) + 1/4 ln(1/2) = 0.304099 - 0.173287 = 0.130812, times T^2 = 4: 0.523248. A second logit on which
    both agree halves the mean.
    """
    teacher = torch.tensor([[2 * math.log(3)]])
    wanted = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert wanted == pytest.approx(0.523248, abs=1e-6)
    assert float(soft_distance(torch.zeros(1, 1), teacher, 2.0)) == pytest.approx(wanted, abs=1e-6)
    both, zero = torch.cat([teacher, teacher], dim=1), torch.cat([torch.zeros(1, 1), teacher], dim=1)
    assert float(soft_distance(zero, both, 2.0)) == pytest.approx(wanted / 2, abs=1e-6)


def test_the_distance_is_hintons_for_two_classes() -> None:
    """torch's own divergence of two softmaxes over the logits z and 0, times T^2."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = 6 * torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    two = [torch.stack([z, torch.zeros_like(z)], dim=-1) / 3 for z in (student, teacher)]
    kl = torch.nn.functional.kl_div(
        two[0].log_softmax(-1), two[1].log_softmax(-1), log_target=True, reduction="sum"
    )
    torch.testing.assert_close(soft_distance(student, teacher, 3.0), 9 * kl / 120)


def test_hot_it_is_an_eighth_of_the_squared_difference_and_confident_it_stays_finite() -> None:
    student, teacher = torch.tensor([[1.0, -2.0]]).double(), torch.tensor([[4.0, -1.0]]).double()
    assert float(soft_distance(student, teacher, 1e4)) == pytest.approx((9 + 1) / 2 / 8, rel=1e-4)
    far = torch.tensor([[-1000.0]], requires_grad=True)
    distance = soft_distance(far, torch.tensor([[1000.0]]), 1.0)
    distance.backward()
    assert distance.item() == pytest.approx(1000)
    assert far.grad is not None
    assert far.grad.item() == pytest.approx(-1)


@pytest.mark.parametrize("heads", [1, 3, 4])
def test_the_total_weighs_labels_and_teacher(heads: int) -> None:
    """One head: the mean over all samples. Four heads for three domains: the fourth learns from the teacher alone."""
    config = DistillConfig(heads=heads, soft_weight=0.7, temperature=2.0)
    method, batch = make("distill", config=config), toy_batch()
    output = method.loss(batch, 0)
    assert method.heads.num_domains == heads
    assert output.present.tolist() == [True] * heads
    logits = method.heads(method.backbone(batch.images))
    if heads == 1:
        risk = domain_risks(logits[:, 0], batch.labels, torch.zeros_like(batch.domains), 1).mean()
    else:
        own = logits[torch.arange(len(logits)), batch.domains]
        risk = domain_risks(own, batch.labels, batch.domains, 3).sum() / heads
    assert method.teacher is not None  # type: ignore[union-attr]
    distance = soft_distance(logits, method.teacher(batch.images), 2.0)  # type: ignore[operator]
    torch.testing.assert_close(output.total, 0.3 * risk + 0.7 * distance)
    output.total.backward()
    assert bool((method.heads.weight.grad != 0).any(dim=1).all())  # type: ignore[union-attr]


def test_a_head_without_a_sample_of_its_domain_still_learns_from_the_teacher() -> None:
    assert make("distill").loss(without(toy_batch(), domain=1), 0).present.tolist() == [True] * 3


def test_teacher_and_student_see_the_same_view_each_at_its_size() -> None:
    """The student's backbone is for 6 pixels; views of 12 reach it halved, and its teacher as they are."""
    method, batch = Distill(Tiny(), D, 3, DistillConfig(side=6), 12, 10), toy_batch()
    large = replace(batch, images=batch.images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    seen, teach = [], teacher(3)

    def watching(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return teach(images)

    method.teacher = watching
    assert method.loss(large, 0).features.shape == (24, 8)
    assert seen[0].shape[-1] == 12
    assert method.scoring_net().image_size == 6


def test_impossible_settings_are_refused() -> None:
    for wrong in ({"temperature": 0.0}, {"soft_weight": 1.1}, {"soft_weight": -0.1}, {"side": -1}):
        with pytest.raises(InputError, match=r"method\."):
            DistillConfig(**wrong)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def student(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return distill(
        finished.run, finished.prepared, tmp_path_factory.mktemp("students"), STUDENT, progress=False
    )


def test_a_student_is_a_run_that_names_its_teacher(student: Path, finished: Finished) -> None:
    said, theirs = read_run(student), read_run(finished.run)
    teacher = read_teacher(finished.run)
    method = said["config"]["method"]
    assert (method["name"], method["teacher"]) == ("distill", theirs["run"])
    assert method["teacher_weights"] == teacher.weights
    assert (method["heads"], said["config"]["image_size"], method["side"]) == (2, 32, 24)
    assert (said["protocol"], said["data"]) == (theirs["protocol"], theirs["data"])
    assert evaluate_run(finished.run, finished.prepared)["chosen"]["epoch"] == teacher_epoch(teacher)
    losses = [record["distance"] for record in read_records(student, "step")]
    assert losses[-1] < losses[0]


def teacher_epoch(teacher: Any) -> int:
    """The epoch whose weights the teacher has, found by comparing."""
    for epoch in (3, 7):
        ours, theirs = teacher.net.state_dict(), load_scorer(teacher.folder, epoch).state_dict()
        if all(torch.equal(ours[name], theirs[name]) for name in ours):
            return epoch
    raise AssertionError("weights of no epoch")


def test_other_weights_of_the_teacher_make_another_run(finished: Finished, student: Path) -> None:
    teacher = read_teacher(finished.run)
    data = source_data(teacher.protocol, prepared_samples(finished.prepared))
    named = student_of(teacher, STUDENT)

    digest = read_run(student)["data"]["digest"]
    assert run_hash(named, data.protocol, digest) == student.name
    teacher_two = replace(teacher, weights="0" * 64)
    assert run_hash(student_of(teacher_two, STUDENT), data.protocol, digest) != student.name


def test_a_student_goes_through_evaluation_export_and_the_predictor(
    student: Path, finished: Finished, tmp_path: Path, yunet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two heads, named after the teacher's domains; the network's file is the smaller one."""
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(yunet_file))
    assert evaluate_run(student, finished.prepared, progress=False)["about"]["method"] == "distill"
    report = export(student, finished.prepared, tmp_path / "bundle", ExportConfig(), progress=False)
    assert report.bundle.output.domains == ("north", "south")
    assert (tmp_path / "bundle" / "model.onnx").stat().st_size < 2_000_000
    assert "Distilled student" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    predictor = safas.Predictor(tmp_path / "bundle")
    scored = predictor.score(np.zeros((3, 32, 32, 3), np.uint8))
    assert scored.logits.shape == (3, 2)
    verdict = predictor(np.zeros((64, 64, 3), np.uint8))
    assert verdict.label == "no_face"


def test_a_teacher_with_one_head_has_a_student_with_one(finished: Finished, tmp_path: Path) -> None:
    settings = settings_of(finished)
    data = source_data(parse("north,south->west"), prepared_samples(finished.prepared))
    erm = replace(settings, method=preset("demo", "erm").method, epochs=1)
    run = train(erm, data, finished.prepared, tmp_path, progress=False)
    student = distill(run, finished.prepared, tmp_path, replace(STUDENT, epochs=1), progress=False)
    assert load_scorer(student, 0).heads.num_domains == 1


def settings_of(finished: Finished) -> TrainConfig:
    return read_teacher(finished.run).config


def refused(wrong: Callable[[], object], kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match) as told:
        wrong()
    assert "\n" not in str(told.value)


def test_wrong_teachers_are_refused_in_one_line(finished: Finished, student: Path, tmp_path: Path) -> None:
    """No run; a run that has not ended; one whose weights are gone; none at all; another than is named."""
    refused(lambda: distill(tmp_path, finished.prepared, tmp_path), InputError, "not a run's folder")
    run = tmp_path / "run"
    shutil.copytree(finished.run, run)
    shutil.rmtree(run / "weights")
    refused(lambda: distill(run, finished.prepared, tmp_path), InputError, "no weights of epoch")
    said = json.loads((run / "config.json").read_text())
    said["config"]["epochs"] = 99
    (run / "config.json").write_text(json.dumps(said))
    refused(lambda: distill(run, finished.prepared, tmp_path), InputError, "has not ended")
    data = source_data(parse("north,south->west"), prepared_samples(finished.prepared))
    named = student_of(read_teacher(finished.run), STUDENT)
    refused(
        lambda: train(named, data, finished.prepared, tmp_path / "runs"),
        InputError,
        "no teacher.*safas distill",
    )
    refused(
        lambda: train(named, data, finished.prepared, tmp_path / "runs", teacher=read_teacher(student)),
        InputError,
        "another teacher than",
    )
    assert not (tmp_path / "runs").exists()


def test_a_teacher_of_other_domains_or_crops_is_refused(finished: Finished, tmp_path: Path) -> None:
    teacher = read_teacher(finished.run)
    samples = prepared_samples(finished.prepared)
    other = source_data(parse("north,west->south"), samples)
    named = student_of(teacher, STUDENT)
    refused(
        lambda: train(named, other, finished.prepared, tmp_path / "runs", teacher=teacher),
        ProtocolError,
        "the teacher knows the domains north, south, the student learns north, west",
    )
    for name in ("samples", "crops"):  # the same, but for one training video
        table = pl.read_parquet(finished.prepared / f"{name}.parquet")
        table.filter(pl.col("video") != "north-ann-0").write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "crops").symlink_to(finished.prepared / "crops")
    refused(
        lambda: distill(finished.run, tmp_path, tmp_path / "runs", STUDENT),
        InputError,
        "trained on other crops",
    )
    gone = tmp_path / "gone"
    gone.mkdir()
    table = pl.read_parquet(finished.prepared / "samples.parquet")
    table.filter(pl.col("domain") != "north").write_parquet(gone / "samples.parquet")
    refused(lambda: distill(finished.run, gone, tmp_path / "runs", STUDENT), ProtocolError, "north")
    assert not (tmp_path / "runs").exists()


def test_the_command(finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["distill", str(finished.run), str(finished.prepared), "-o", str(tmp_path)]
    assert main([*words, "--image-size", "16", "--epochs", "1", "--threads", "1"]) == 0
    told = capsys.readouterr().out
    assert "teacher, epoch" in told
    assert "student, epoch 0, on source validation: HTER" in told
    assert f"student: {tmp_path}" in told
    assert main(["distill", str(tmp_path), str(finished.prepared)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
