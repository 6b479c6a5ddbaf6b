"""A run -> a bundle: one folder with the network as ONNX and everything that a decision needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from safas.assessment.risk import Risks
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
    STRESS,
    STRESS_PAGE,
    STRESS_PLOTS,
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
)
from safas.detectors import DETECTORS
from safas.errors import InputError
from safas.export.card import model_card
from safas.export.changes import change_of
from safas.export.deciding import QUANTILE, clusters_of, model_of
from safas.export.graph import differences, quantised, runner, to_onnx
from safas.export.seen import Seen, look_at
from safas.faces import YUNET_SHA256
from safas.familiarity import Clusters
from safas.files import sha256, write_file
from safas.packing import Crops
from safas.signing import sign

LEAST_SHARE = 0.5  # of the frames looked at must show the face
_MOST_LOST = 0.005  # of AUC on source validation, by 8 bits
_CALIBRATION_CROPS, _PARITY_CROPS = 128, 64
# in the order in which they go; they come the other way round
_WRITTEN = (
    CONTRACT,
    SIGNATURE,
    MODEL,
    MODEL_INT8,
    DETECTOR,
    CARD,
    STRESS,
    STRESS_PLOTS,
    STRESS_PAGE,
    CLUSTERS,
)


@dataclass(frozen=True)
class ExportConfig:
    """What goes into a bundle."""

    int8: bool = True
    """also a model in 8 bits, where it costs at most half a point of AUC on source validation"""
    detector: Literal["same", "yunet", "uniface"] = "same"
    """that finds faces in the field; same: that of the crops, or yunet where their boxes came from a table"""
    apcer: float = 0.05
    """highest share of attacks, of the worst species, that may pass: it sets from which score on a face is live"""
    bpcer: float = 0.05
    """highest share of live faces that may be denied: it sets below which score a face is spoof"""
    confidence: float = 0.95
    """with which both shall hold, where source validation is large enough for a guarantee"""
    sign: Path | None = None
    """Ed25519 private key (PEM) to sign the bundle with; safas export --new-key FILE makes one"""

    def risks(self) -> Risks:
        """The two shares and the confidence. Raises InputError unless each lies between 0 and 1."""
        return Risks(self.apcer, self.bpcer, self.confidence)


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
    config.risks()
    seen = look_at(run_dir, prepared, progress)
    made = _Made()
    crop = _crop(seen, config, made)
    graph = to_onnx(seen.net, seen.dev.images.shape[1])
    run = runner(graph)
    apart = differences(seen.net, run, _evenly(seen.dev.images, _PARITY_CROPS))
    clusters, names = clusters_of(seen.train, run)
    made.files |= {CLUSTERS: clusters.to_bytes(), MODEL: graph}
    made.models["fp32"] = model_of(MODEL, seen.dev, run, clusters, config.risks())
    if config.int8:
        _add_int8(made, seen, graph, clusters, config)
    bundle = _contract(seen, made, crop, names)
    bundle = _with_digests(bundle, made)
    made.files[CARD] = model_card(bundle).encode()
    bundle = _with_digests(bundle, made)
    _write(out, bundle, made.files, config.sign)
    return ExportReport(out, bundle, apart)


def _crop(seen: Seen, config: ExportConfig, made: _Made) -> Crop:
    """How the field must crop; the detector goes into the bundle where it can be had."""
    used = seen.settings["detector"]
    name = config.detector if config.detector != "same" else ("yunet" if used == "table" else used)
    digest = seen.settings["detector_sha256"] if used == name else None
    if used != name:
        made.notes.append(
            f"The crops of training have boxes from {used!r}, the field has {name}'s: scores can shift."
        )
    how = {key: seen.settings[key] for key in ("margin", "size", "align")}
    digest = _add_detector(made, name, digest)
    return Crop(detector=name, detector_sha256=digest, boxes_in_training=used, **how)


def _add_detector(made: _Made, name: str, wanted: str | None) -> str | None:
    """Put the detector's file into the bundle, if there is one to be had; returns the SHA-256 that the field needs."""
    find, _ = DETECTORS[name]
    try:
        path = find()
        weights = path.read_bytes()
    except (InputError, OSError) as error:
        said = error.what if isinstance(error, InputError) else error.strerror
        made.notes.append(f"The face detector could not be had ({said}); the predictor fetches its own.")
        return wanted or (YUNET_SHA256 if name == "yunet" else None)
    if wanted not in (None, sha256(weights)):
        raise InputError(
            "another face detector than the one that made the crops (its SHA-256 differs)",
            where=str(path),
            remedy=f"Get the file with SHA-256 {wanted}.",
        )
    if name == "yunet":  # uniface looks its file up by itself
        made.files[DETECTOR] = weights
    return sha256(weights)


def _add_int8(made: _Made, seen: Seen, graph: bytes, clusters: Clusters, config: ExportConfig) -> None:
    """The model in 8 bits, or a note of why there is none."""
    small = quantised(graph, _evenly(seen.dev.images, _CALIBRATION_CROPS))
    model = model_of(MODEL_INT8, seen.dev, runner(small), clusters, config.risks())
    change = change_of(made.models["fp32"], model)
    if -change["auc"] > _MOST_LOST:
        said = f"AUC {100 * change['auc']:+.2f} points on source validation"
        made.notes.append(f"The model in 8 bits was left out: {said}.")
        return
    made.files[MODEL_INT8] = small
    made.models["int8"] = model


def _contract(seen: Seen, made: _Made, crop: Crop, clusters: tuple[Cluster, ...]) -> Bundle:
    heads = seen.net.heads
    return Bundle(
        bundle_version=BUNDLE_VERSION,
        preprocessing_version=PREPROCESSING_VERSION,
        crop=crop,
        input=Input(),
        output=Output(
            rule=seen.net.rule,
            domains=heads_of(heads.num_domains, seen.dev.domains),
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


def heads_of(count: int, domains: tuple[str, ...]) -> tuple[str, ...]:
    """Whose head each of `count` logits is of: a domain's, or one that all share; else numbers."""
    if count == len(domains):
        return domains
    return ("all",) if count == 1 else tuple(f"head {number}" for number in range(count))


def _with_digests(bundle: Bundle, made: _Made) -> Bundle:
    return bundle.model_copy(update={"files": {name: sha256(data) for name, data in made.files.items()}})


def _evenly(images: Crops, count: int) -> np.ndarray:
    """At most `count` of the crops, evenly spaced over all domains, people and labels."""
    places = np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))
    return np.asarray(images[places])


def _refuse_other_use(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError("is a file", where=str(out), remedy="Name a folder.")
    there = {path.name for path in out.iterdir() if not path.name.startswith(".")} if out.is_dir() else set()
    was_killed = CLUSTERS in there and there <= set(_WRITTEN)
    if there and CONTRACT not in there and not was_killed:
        raise InputError("neither a bundle nor empty", where=str(out), remedy="Name another folder.")


def _write(out: Path, bundle: Bundle, files: Mapping[FileName, bytes], key: Path | None) -> None:
    """All files, the contract last: what is half written is no bundle, but has the clusters. Leaves of an older go."""
    text = (bundle.model_dump_json(indent=2) + "\n").encode()
    signature = None if key is None else sign(text, key)
    for name in _WRITTEN:
        (out / name).unlink(missing_ok=True)
    for file in sorted(files, key=_WRITTEN.index, reverse=True):
        write_file(out / file, files[file])
    if signature is not None:
        write_file(out / SIGNATURE, signature + "\n")
    write_file(out / CONTRACT, text)
