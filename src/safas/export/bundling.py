"""A run -> a bundle: one folder with the network as ONNX and everything that a decision needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.covariance import ledoit_wolf

from safas.bundle import (
    BUNDLE_VERSION,
    CARD,
    CLUSTERS,
    CONTRACT,
    DETECTOR,
    MODEL,
    MODEL_INT8,
    PREPROCESSING_VERSION,
    SIGNATURE,
    Bundle,
    Cluster,
    Crop,
    Familiarity,
    FileName,
    Input,
    Model,
    Origin,
    Output,
    Policy,
    Precision,
    sha256,
)
from safas.detectors import DETECTORS
from safas.errors import InputError
from safas.export.card import model_card
from safas.export.fixing import band, calibration, operating_points
from safas.export.graph import Run, differences, quantised, runner, to_onnx
from safas.export.seen import Seen, look_at
from safas.familiarity import Clusters
from safas.files import write_file
from safas.metrics import auc, bpcer_at_apcer, hter
from safas.policy import fused
from safas.signing import sign
from safas.table import is_live

QUANTILE = 0.99  # share of source validation that is familiar
LEAST_SHARE = 0.5  # of the frames looked at must show the face
_WORST_AUC = 0.005  # what 8 bits may cost on source validation
_CALIBRATION_CROPS, _PARITY_CROPS = 128, 64
_INT8 = "the 8-bit model"


@dataclass(frozen=True)
class ExportConfig:
    """What goes into a bundle."""

    int8: bool = True
    """also a model in 8 bits, where it costs at most half a point of AUC on source validation"""
    detector: Literal["same", "yunet", "uniface"] = "same"
    """that finds faces in the field; same: that of the crops, or yunet where their boxes came from a table"""
    sign: Path | None = None
    """Ed25519 private key (PEM) to sign the bundle with"""


@dataclass(frozen=True, eq=False)
class ExportReport:
    """Where the bundle lies, and what was found while making it."""

    folder: Path
    bundle: Bundle
    differences: Mapping[str, float]  # largest difference of each output between torch and ONNX


@dataclass
class _Made:
    """The bundle as it grows."""

    files: dict[FileName, bytes] = field(default_factory=dict)
    models: dict[Precision, Model] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def export(
    run_dir: Path, prepared: Path, out: Path, config: ExportConfig = ExportConfig(), progress: bool = True
) -> ExportReport:
    """Write the run, at the epoch that source validation chose, into the folder `out` as a bundle.

    Thresholds, calibration and clusters see the source domains only. An older bundle in `out` is replaced. Raises
    InputError when a folder is not what it should be, TrainingError when the graph does not compute what the network
    does.
    """
    _refuse_other_use(out)
    seen = look_at(run_dir, prepared, progress)
    made = _Made()
    crop = _crop(seen, config, made)
    graph = to_onnx(seen.net, seen.dev.images.shape[1])
    run = runner(graph)
    apart = differences(seen.net, run, _evenly(seen.dev.images, _PARITY_CROPS))
    clusters, names = _clusters(seen, run)
    made.files[CLUSTERS] = clusters.to_bytes()
    made.files[MODEL] = graph
    made.models["fp32"] = _model(MODEL, seen, run, clusters)
    if config.int8:
        _add_int8(made, seen, graph, clusters)
    bundle = _contract(seen, made, crop, names)
    made.files[CARD] = model_card(bundle).encode()
    bundle = bundle.model_copy(update={"files": {name: sha256(data) for name, data in made.files.items()}})
    _write(out, bundle, made.files, config.sign)
    return ExportReport(out, bundle, apart)


def _crop(seen: Seen, config: ExportConfig, made: _Made) -> Crop:
    """How the field must crop; the detector goes into the bundle where it can be had."""
    used = seen.settings["detector"]
    name = config.detector if config.detector != "same" else ("yunet" if used == "table" else used)
    find, _ = DETECTORS[name]
    digest: str | None = seen.settings.get("detector_sha256") if used == name else None
    try:
        weights = find().read_bytes()
    except InputError as error:
        made.notes.append(
            f"The face detector could not be had ({error.what}); the predictor fetches its own."
        )
    else:
        if digest not in (None, sha256(weights)):
            raise InputError("another face detector here than the one that made the crops", where=str(find()))
        made.files[DETECTOR] = weights
        digest = sha256(weights)
    if used != name:
        made.notes.append(
            f"The crops of training have boxes from {used!r}, the field has {name}'s: scores can shift."
        )
    how = {key: seen.settings[key] for key in ("margin", "size", "align")}
    return Crop(detector=name, detector_sha256=digest, boxes_in_training=used, **how)


def _model(file: FileName, seen: Seen, run: Run, clusters: Clusters) -> Model:
    """What this graph's own scores on source validation decide."""
    scores, _, features = run(seen.dev.images)
    videos = list(zip(seen.dev.first, seen.dev.first + seen.dev.count, strict=True))
    dev = seen.dev.videos.with_columns(
        score=np.array([fused(scores[start:end]) for start, end in videos]),
    )
    distances = [clusters.nearest(features[start:end])[1] for start, end in videos]
    points = operating_points(dev)
    values, live = dev["score"].to_numpy(), is_live(dev)
    return Model(
        file=file,
        threshold=points[0].threshold,
        operating_points=points,
        band=band(dev),
        calibration=calibration(dev),
        distance_limit=float(np.quantile(distances, QUANTILE, method="higher")),
        source_validation={
            "auc": auc(scores=values, live=live),
            "hter": hter(scores=values, live=live, threshold=points[0].threshold),
            "bpcer_at_apcer5": bpcer_at_apcer(scores=values, live=live, apcer=0.05),
        },
    )


def _add_int8(made: _Made, seen: Seen, graph: bytes, clusters: Clusters) -> None:
    small = quantised(graph, _evenly(seen.dev.images, _CALIBRATION_CROPS))
    model, plain = _model(MODEL_INT8, seen, runner(small), clusters), made.models["fp32"]
    lost = plain.source_validation["auc"] - model.source_validation["auc"]
    if lost > _WORST_AUC:
        made.notes.append(f"{_INT8} would cost {lost:.2%} of AUC on source validation and was left out.")
        return
    made.files[MODEL_INT8] = small
    made.models["int8"] = model


def _clusters(seen: Seen, run: Run) -> tuple[Clusters, tuple[Cluster, ...]]:
    """Mean of each (domain, label) and the one shrunk covariance around them, of training faces."""
    features = run(seen.train.images)[2].astype(np.float64)
    owner = np.repeat(np.arange(len(seen.train.count)), seen.train.count)
    kind = (2 * seen.train.domain + seen.train.live)[owner]
    present = np.unique(kind)
    means = np.stack([features[kind == k].mean(axis=0) for k in present])
    covariance, _ = ledoit_wolf(features - means[np.searchsorted(present, kind)], assume_centered=True)
    whitening = np.linalg.inv(
        np.linalg.cholesky(covariance + 1e-9 * np.trace(covariance) * np.eye(len(covariance)))
    )
    names = tuple(
        Cluster(domain=seen.train.domains[k // 2], label="live" if k % 2 else "spoof") for k in present
    )
    return Clusters(means, whitening, tuple(name.domain for name in names)), names


def _contract(seen: Seen, made: _Made, crop: Crop, clusters: tuple[Cluster, ...]) -> Bundle:
    heads = seen.net.heads
    return Bundle(
        bundle_version=BUNDLE_VERSION,
        preprocessing_version=PREPROCESSING_VERSION,
        crop=crop,
        input=Input(),
        output=Output(
            rule=seen.net.rule,
            domains=seen.dev.domains[: heads.num_domains] if heads.num_domains > 1 else ("all",),
            features=heads.weight.shape[1],
        ),
        policy=Policy(frames=seen.settings["frames"], least_share=LEAST_SHARE),
        models=made.models,
        familiarity=Familiarity(clusters=clusters, quantile=QUANTILE),
        training=seen.training(),
        evaluation=seen.evaluation,
        notes=tuple(made.notes),
        origin=Origin(
            run=seen.said["run"],
            commit=seen.said["environment"]["commit"],
            versions=seen.said["environment"]["versions"],
            settings=seen.said["config"],
        ),
        files={},
    )


def _evenly(images: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the crops, evenly spaced over all domains, people and labels."""
    places = np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))
    return np.asarray(images[places])


def _refuse_other_use(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError("is a file", where=str(out), remedy="Name a folder.")
    if out.is_dir() and any(out.iterdir()) and not (out / CONTRACT).is_file():
        raise InputError("neither a bundle nor empty", where=str(out), remedy="Name another folder.")


def _write(out: Path, bundle: Bundle, files: Mapping[FileName, bytes], key: Path | None) -> None:
    """All files, the contract last: what is half written is no bundle. Leaves from an older one go."""
    text = (bundle.model_dump_json(indent=2) + "\n").encode()
    signature = None if key is None else sign(text, key)
    for name in (CONTRACT, SIGNATURE, MODEL, MODEL_INT8, CLUSTERS, DETECTOR, CARD):
        (out / name).unlink(missing_ok=True)
    for file, data in files.items():
        write_file(out / file, data)
    if signature is not None:
        write_file(out / SIGNATURE, signature + "\n")
    write_file(out / CONTRACT, text)
