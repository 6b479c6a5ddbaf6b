"""A real run, exported for real: the same numbers as torch, thresholds of source validation, nothing of the target."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
import torch
from onnx import numpy_helper
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import ledoit_wolf

from conftest import Finished
from safas import metrics
from safas.assessment.risk import Risks
from safas.batches import CropStore
from safas.bundle import open_bundle
from safas.cli import main
from safas.errors import InputError, MetricError, TrainingError
from safas.export import ExportConfig, bundling, export
from safas.export.bundling import heads_of
from safas.export.fixing import band, calibration, operating_points, presentations
from safas.export.graph import differences, runner, to_onnx
from safas.faces import YUNET_SHA256
from safas.prepared import prepared_samples
from safas.protocols import parse, source_data
from safas.run_evaluation import evaluate_run
from safas.training import load_scorer, preset, train


@pytest.fixture(scope="module")
def crops(finished: Finished) -> np.ndarray:
    rows = source_data(parse("north,south->west"), prepared_samples(finished.prepared)).dev
    return CropStore(finished.prepared, rows, ("north", "south")).images


def test_the_graph_computes_what_the_run_does(finished: Finished, bundle: Path, crops: np.ndarray) -> None:
    """One crop, an odd number and many at once; torch is fed channels first, as `ScoringNet` takes them."""
    epoch = evaluate_run(finished.run, finished.prepared)["chosen"]["epoch"]
    net = load_scorer(finished.run, epoch)
    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"))
    for some in (crops[:1], crops[:7], crops):
        pixels = torch.from_numpy(some).permute(0, 3, 1, 2)
        with torch.inference_mode():
            wanted = (net(pixels), net.logits(pixels), net.features(pixels))
        for ours, theirs in zip(
            session.run(["score", "logits", "features"], {"crops": some}), wanted, strict=True
        ):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_a_graph_that_computes_something_else_is_refused(finished: Finished, crops: np.ndarray) -> None:
    """A bias of 0.01 more in one head moves logits by 0.01, ten times what is allowed."""
    epoch = evaluate_run(finished.run, finished.prepared)["chosen"]["epoch"]
    net = load_scorer(finished.run, epoch)
    run = runner(to_onnx(net, crops.shape[1]))
    assert max(differences(net, run, crops[:8]).values()) < 1e-4
    with torch.no_grad():
        net.heads.bias[0] += 0.01
    with pytest.raises(TrainingError, match=r"logits by 0\.01"):
        differences(net, run, crops[:8])


def test_eight_bits_stay_near(bundle: Path, crops: np.ndarray) -> None:
    """The twin's scores are near and not the same: it is another graph, a third of the size, with its own threshold."""
    plain, small = ((bundle / name) for name in ("model.onnx", "model.int8.onnx"))
    assert small.stat().st_size < 0.4 * plain.stat().st_size
    one, other = (runner(path.read_bytes())(crops)[0] for path in (plain, small))
    assert 0 < np.abs(one - other).max() < 0.1
    models = open_bundle(bundle).contract.models
    assert models["fp32"].threshold != models["int8"].threshold


def test_eight_bits_are_the_same_on_every_processor(bundle: Path, crops: np.ndarray) -> None:
    """On x86 without VNNI, weights of 8 bits overflow: onnxruntime has a slower, exact mode there to compare with."""
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(bundle / "model.int8.onnx").graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(weights) > 10
    assert max(np.abs(weight.astype(int)).max() for weight in weights) <= 64
    exact = onnxruntime.SessionOptions()
    exact.add_session_config_entry("session.x64quantprecision", "1")
    made = [
        onnxruntime.InferenceSession(bundle / "model.int8.onnx", options).run(["score"], {"crops": crops})[0]
        for options in (onnxruntime.SessionOptions(), exact)
    ]
    assert np.array_equal(*made)


def test_the_contract_says_where_it_comes_from(bundle: Path, finished: Finished) -> None:
    contract = open_bundle(bundle).contract
    said = json.loads((finished.run / "config.json").read_text())
    assert contract.training.domains == ("north", "south")
    assert contract.training.unseen == "west"
    assert contract.training.counts["train"] == {
        "videos": 20, "live": 8, "spoof": 12, "people": 4, "crops": 40,
    }  # fmt: skip
    assert not contract.training.simulated
    assert contract.origin.run == said["run"]
    assert (
        contract.evaluation["chosen"]["hter"]
        == evaluate_run(finished.run, finished.prepared)["chosen"]["hter"]
    )
    assert contract.crop.boxes_in_training == "table"
    assert any("boxes from 'table'" in note for note in contract.notes)
    assert contract.output.domains == ("north", "south")


def test_every_logit_has_a_name() -> None:
    """Of two domains: a head each, one for both, and three, as SA-FAS can have them (`least_heads`)."""
    wanted = {2: ("north", "south"), 1: ("all",), 3: ("head 0", "head 1", "head 2")}
    assert {count: heads_of(count, ("north", "south")) for count in wanted} == wanted


def test_the_card_is_for_people(bundle: Path) -> None:
    text = (bundle / "MODEL_CARD.md").read_text()
    for word in (
        "Injection attacks",
        "SA-FAS",
        "north, south",
        "| **unseen domain** | west",
        "not guaranteed",
    ):
        assert word in text
    assert "simulated" not in text
    assert "{" not in text


def test_a_simulated_bundle_says_so(finished: Finished, tmp_path: Path, yunet_file: Path) -> None:
    """The same crops, their data set renamed to that of `safas simulate`, and ERM, which has one head."""
    for name in ("samples", "crops"):
        table = pl.read_parquet(finished.prepared / f"{name}.parquet")
        table.with_columns(pl.lit("simulated").alias("dataset")).write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "prepare.json").write_bytes((finished.prepared / "prepare.json").read_bytes())
    (tmp_path / "crops").symlink_to(finished.prepared / "crops")
    config = preset("demo", "erm")
    augment = replace(config.augment, flip=False)
    settings = replace(config, augment=augment, image_size=32, epochs=6, batch=6, threads=1, evaluate_every=6)
    data = source_data(parse("north,south->west"), prepared_samples(tmp_path))
    run = train(settings, data, tmp_path, tmp_path / "runs", progress=False)
    report = export(run, tmp_path, tmp_path / "bundle", ExportConfig(int8=False), progress=False)
    assert report.bundle.training.simulated
    assert "Trained on simulated faces" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert report.bundle.output.domains == ("all",)


def test_other_crops_and_other_folders_are_refused(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("important")
    with pytest.raises(InputError, match="neither a bundle nor empty"):
        export(finished.run, finished.prepared, tmp_path, progress=False)
    with pytest.raises(InputError, match="not a run's folder"):
        export(finished.prepared, finished.prepared, tmp_path / "out", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]


def test_a_killed_export_is_made_again_where_it_was(
    bundle: Path, finished: Finished, tmp_path: Path, yunet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all that it writes the contract is the last and the clusters are the first; a file of one's own is kept."""
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(yunet_file))
    out = tmp_path / "out"
    shutil.copytree(bundle, out)
    (out / "bundle.json").unlink()
    (out / ".0123456789abcdef.partial").write_bytes(b"half")
    (out / "stress.html").write_text("of the older one")
    export(finished.run, finished.prepared, out, progress=False)
    assert open_bundle(out).contract == open_bundle(bundle).contract
    assert not (out / "stress.html").exists()
    (out / "bundle.json").unlink()
    (out / "mine.txt").write_text("important")
    with pytest.raises(InputError, match="neither a bundle nor empty"):
        export(finished.run, finished.prepared, out, progress=False)
    (out / "mine.txt").unlink()
    (out / "clusters.npz").unlink()  # what is left may be someone's own model
    with pytest.raises(InputError, match="neither a bundle nor empty"):
        export(finished.run, finished.prepared, out, progress=False)


def test_what_the_bundle_decides_by_is_of_source_validation(bundle: Path, finished: Finished) -> None:
    """From the graph itself: the sigmoid of a video's mean logit, and the Mahalanobis distances of its frames."""
    said = source_data(parse("north,south->west"), prepared_samples(finished.prepared))
    model = open_bundle(bundle).contract.models["fp32"]
    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"))
    crops = pl.read_parquet(finished.prepared / "crops.parquet").sort("frame")

    def of(rows: pl.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(scores, features) of the crops of each video."""
        for name in rows["video"]:
            paths = crops.filter(video=name)["crop"]
            images = [cv2.imread(str(finished.prepared / path))[:, :, ::-1] for path in paths]
            scores, features = session.run(["score", "features"], {"crops": np.stack(images)})
            yield scores, features

    dev = list(of(said.dev))
    live = (said.dev["label"] == "live").to_numpy()
    fused = np.array([1 / (1 + np.exp(-np.log(scores / (1 - scores)).mean())) for scores, _ in dev])
    means = np.array([scores.mean() for scores, _ in dev])
    rate, threshold = metrics.eer(scores=fused, live=live)
    assert model.threshold == pytest.approx(threshold, abs=1e-5)
    assert model.source_validation["eer"] == pytest.approx(rate, abs=1e-6)
    for name, scores in (("hter", fused), ("hter_mean_of_scores", means)):
        assert model.source_validation[name] == pytest.approx(metrics.hter_at_eer(scores=scores, live=live))

    train = [features[len(features) // 2].astype(float) for _, features in of(said.train)]
    kinds = [*zip(said.train["domain"], said.train["label"], strict=True)]
    centres = {
        kind: np.mean([f for f, k in zip(train, kinds, strict=True) if k == kind], axis=0) for kind in kinds
    }
    spread, _ = ledoit_wolf(
        np.array([f - centres[k] for f, k in zip(train, kinds, strict=True)]), assume_centered=True
    )
    inverse = np.linalg.inv(spread)
    distances = sorted(  # in standard deviations: of one feature on average
        min(np.mean([mahalanobis(one, centre, inverse) for one in features]) for centre in centres.values())
        for _, features in dev
    )
    distances = [distance / np.sqrt(len(spread)) for distance in distances]
    assert model.distance_limit == pytest.approx(
        distances[int(np.ceil(0.99 * (len(distances) - 1)))], rel=1e-3
    )


def test_eight_bits_that_cost_too_much_are_left_out(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than half a point of AUC is too much; here even a gain of less than a whole would be."""
    monkeypatch.setattr(bundling, "_MOST_LOST", -1.01)
    made = export(finished.run, finished.prepared, tmp_path / "out", progress=False)
    assert set(made.bundle.models) == {"fp32"}
    assert any("model in 8 bits was left out: AUC" in note for note in made.bundle.notes)
    assert not (tmp_path / "out/model.int8.onnx").exists()


def test_without_a_detector_the_pinned_one_is_demanded(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle lacks the file and says so; the field must bring the published one."""
    monkeypatch.setenv("SAFAS_FACE_DETECTOR", str(tmp_path / "none.onnx"))
    made = export(finished.run, finished.prepared, tmp_path / "out", ExportConfig(int8=False), progress=False)
    assert made.bundle.crop.detector_sha256 == YUNET_SHA256
    assert "face_detector.onnx" not in made.bundle.files
    assert "could not be had (no such file)" in made.bundle.notes[-1]


def test_the_command_needs_both_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export"]) == 2
    assert "safas export RUN PREPARED" in capsys.readouterr().err


def dev(live: list[float], **attacks: list[float]) -> pl.DataFrame:
    """Presentations with these scores, each of another person."""
    rows = [("live", "none", score) for score in live]
    rows += [("spoof", name, score) for name, scores in attacks.items() for score in scores]
    table = pl.DataFrame(rows, schema=["label", "attack", "score"], orient="row")
    table = table.with_columns(
        dataset=pl.lit("d"), domain=pl.lit("e"), subject=pl.int_range(pl.len()).cast(pl.String)
    )
    return presentations(table, table["score"].to_numpy())


def test_operating_points_by_hand() -> None:
    """Print at 0.1 to 0.4, replay at 0.2 and 0.6, live at 0.5, 0.7, 0.8, 0.9.

    EER: of the gaps between neighbouring scores, (0.5, 0.6) rejects 1 of 4 live and accepts 1 of 6 attacks, and
    (0.6, 0.7) 1 of 4 and 0 of 6; below 0.5, 0 of 4 and 1 of 6, which is nearer to equal than 1/4 and 0 but not than
    1/4 and 1/6: the threshold is 0.55. There replay has APCER 1 of 2, print 0 of 4. For an APCER of at most 10 % replay
    must lose both: the threshold lies between 0.6 and 0.7.
    """
    points = operating_points(dev([0.5, 0.7, 0.8, 0.9], print=[0.1, 0.2, 0.3, 0.4], replay=[0.2, 0.6]))
    eer, apcer10 = points[0], points[1]
    assert eer.threshold == pytest.approx(0.55)
    assert (eer.worst_species, eer.apcer["replay"].value, eer.apcer["print"].value) == ("replay", 0.5, 0)
    assert (eer.bpcer.errors, eer.bpcer.n, eer.bpcer.people) == (1, 4, 4)
    assert apcer10.threshold == pytest.approx(0.65)
    assert apcer10.bpcer.value == 0.25
    assert apcer10.apcer["print"].high == pytest.approx(1 - 0.05 ** (1 / 4))  # no error in 4: one-sided


def test_a_band_that_is_guaranteed_and_one_that_is_not() -> None:
    """59 presentations without an error support 5 % at 95 % confidence, because 0.95^59 = 0.0485; 58 do not (0.0510).

    The 59 live lie from 0.50 on, the attacks below 0.40, so both risks are kept by any threshold between: the middle.
    With 58 attacks the pass threshold is what was seen, which is the same here, and no guarantee is given.
    """
    live = np.linspace(0.5, 0.9, 59).tolist()
    sure = band(dev(live, print=np.linspace(0.1, 0.4, 59).tolist()), Risks(0.05, 0.05))
    assert (sure.pass_guaranteed, sure.deny_guaranteed) == (True, True)
    assert sure.pass_at == sure.deny_below
    assert 0.4 < sure.pass_at <= 0.5
    unsure = band(dev(live, print=np.linspace(0.1, 0.4, 58).tolist()), Risks(0.05, 0.05))
    assert (unsure.pass_guaranteed, unsure.deny_guaranteed) == (False, True)
    assert "at least 59 of each species" in unsure.statements[0]


@pytest.mark.parametrize(("lives", "attacks"), [(100, 20), (20, 100)])
def test_a_statement_names_the_threshold_in_use(lives: int, attacks: int) -> None:
    """One side is guaranteed and the classes lie apart, so both thresholds are the middle between two."""
    rows = dev(np.linspace(0.8, 1, lives).tolist(), print=np.linspace(0, 0.2, attacks).tolist())
    made = band(rows, Risks(0.05, 0.05))
    assert made.pass_at == made.deny_below
    assert [made.pass_guaranteed, made.deny_guaranteed] == [attacks == 100, lives == 100]
    (said,) = [text for text in made.statements[:2] if text.startswith(("Pass when", "Deny when"))]
    assert f" {made.pass_at:.4g}. " in said


def test_overlapping_scores_leave_a_band_between() -> None:
    """100 live evenly over [0.3, 1] and 100 attacks over [0, 0.7]: what lies between is unsure."""
    made = band(
        dev(np.linspace(0.3, 1, 100).tolist(), print=np.linspace(0, 0.7, 100).tolist()), Risks(0.05, 0.05)
    )
    assert 0.3 <= made.deny_below < 0.35
    assert 0.65 < made.pass_at <= 0.7


def test_calibration_is_for_equal_shares() -> None:
    """Three attacks a live face, scores equally spread: at the score where both are equally likely, p is 1/2.

    By symmetry of +-1 in the logit that score is 0.5 once the surplus of attacks is taken out.
    """
    high, low = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))
    made = calibration(dev([high] * 30 + [low] * 10, print=[high] * 30 + [low] * 90))
    assert made.slope == pytest.approx(2 * np.log(3) / 2, rel=0.05)
    assert made.offset == pytest.approx(0, abs=0.05)


def test_a_network_that_has_it_backwards_is_refused() -> None:
    with pytest.raises(MetricError, match="below attacks"):
        calibration(dev([0.1, 0.2, 0.3, 0.4] * 9, print=[0.6, 0.7, 0.8, 0.9] * 9))
