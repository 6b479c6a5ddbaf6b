"""The contract of an exported model: what stands in bundle.json, and the one way to read it.

bundle.json          the contract, with the SHA-256 of every other file
bundle.sig           optional: Ed25519 signature over bundle.json, base64
model.onnx           uint8 RGB crops [N, S, S, 3] -> score [N], logits [N, E], features [N, D]
model.int8.onnx      the same in 8 bits, where that costs next to nothing
clusters.npz         where the training faces lie in the space of features
face_detector.onnx   the detector that the crops were made with, where it could be had
MODEL_CARD.md        the same for people
stress.json, .svg    optional: what `safas stress` measured, and its plots, which the card then shows
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from safas.errors import BundleError, InputError
from safas.files import sha256
from safas.signing import verify

_AGAIN = "Export the run again, or get the bundle again from its maker."

BUNDLE_VERSION = 1  # of the contract
PREPROCESSING_VERSION = 1  # raised when the same file no longer gives the same crops

CONTRACT: Final = "bundle.json"
SIGNATURE: Final = "bundle.sig"
MODEL: Final = "model.onnx"
MODEL_INT8: Final = "model.int8.onnx"
CLUSTERS: Final = "clusters.npz"
DETECTOR: Final = "face_detector.onnx"
CARD: Final = "MODEL_CARD.md"
STRESS: Final = "stress.json"
STRESS_PLOTS: Final = "stress.svg"
STRESS_PAGE: Final = "stress.html"  # beside them, vouched for by nothing

Precision = Literal["fp32", "int8"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
FileName = Literal[
    "model.onnx",
    "model.int8.onnx",
    "clusters.npz",
    "face_detector.onnx",
    "MODEL_CARD.md",
    "stress.json",
    "stress.svg",
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Crop(_Part):
    """How a face becomes what the network sees: `safas.faces.face_crop` of the detector's box."""

    detector: Literal["yunet", "uniface"]
    detector_sha256: Digest | None  # None: any copy of it
    boxes_in_training: (
        Name  # the detector of the training crops, or "table" where the data set gave the boxes
    )
    margin: Annotated[float, Field(ge=0)]  # beyond the box on each side, as a share of its longer side
    size: Annotated[int, Field(ge=8)]  # pixels: side of the crop
    align: bool  # whether the face is turned until the eyes lie level


class Input(_Part):
    """What the graph takes; normalisation and resizing are inside it."""

    name: Literal["crops"] = "crops"
    colour: Literal["RGB"] = "RGB"
    layout: Literal["NHWC"] = "NHWC"
    dtype: Literal["uint8"] = "uint8"
    values: tuple[Literal[0], Literal[255]] = (0, 255)


class Output(_Part):
    """What the graph gives, and how it is read."""

    names: tuple[Literal["score"], Literal["logits"], Literal["features"]] = ("score", "logits", "features")
    score: Literal["P(live) in [0, 1], higher = more live"] = "P(live) in [0, 1], higher = more live"
    rule: Literal["hyperplane", "probability"]  # how the score comes from the logits: see `DomainHeads.score`
    domains: tuple[Name, ...]  # of the logits, in their order
    features: Annotated[int, Field(ge=1)]  # D


class Policy(_Part):
    """How a presentation is judged: `safas.policy`. One look; nobody is asked again until he passes."""

    frames: Annotated[int, Field(ge=1)]  # evenly spaced ones that are looked at
    least_share: Share  # of the frames looked at: fewer that show the face are no ground for a decision
    fusion: Literal["sigmoid of the mean logit over frames"] = "sigmoid of the mean logit over frames"


class Rate(_Part):
    """errors / n, with the 95 % interval that takes presentations as independent (Clopper and Pearson)."""

    value: Share
    low: Share
    high: Share
    errors: Count
    n: Count
    people: Count | None  # whose presentations they are


class OperatingPoint(_Part):
    """Accept when score >= `threshold`: what that costs on source validation."""

    name: Name
    threshold: float
    apcer: Mapping[Name, Rate]  # by species
    worst_species: Name
    bpcer: Rate
    chosen_on: Name


class Band(_Part):
    """Live from `pass_at` on, spoof below `deny_below`, unsure between them; pass_at >= deny_below."""

    pass_at: float
    deny_below: float
    pass_risk: Share  # of an attack of the worst species that passes
    deny_risk: Share  # of a live person who is denied
    confidence: Share
    pass_guaranteed: bool  # whether source validation is large enough to say so with that confidence
    deny_guaranteed: bool
    statements: tuple[Name, ...]  # in words: passing, denying, under which assumptions


class Calibration(_Part):
    """P(live) for equally many live faces and attacks: `safas.assessment.calibration.Platt` on the score's logit."""

    slope: Annotated[float, Field(gt=0)]
    offset: float
    rule: Name


class Model(_Part):
    """One file of the network with the decisions that were fixed on its own scores."""

    file: FileName
    threshold: float  # the first of the operating points
    operating_points: tuple[OperatingPoint, ...]
    band: Band
    calibration: Calibration
    distance_limit: Annotated[float, Field(gt=0)]  # a face farther than this from all clusters is unfamiliar
    source_validation: Mapping[str, float]  # auc, eer, hter, bpcer_at_apcer_0.1, ... of these scores


class Cluster(_Part):
    """Whose faces one row of `means` in clusters.npz stands for."""

    domain: Name
    label: Literal["live", "spoof"]


class Familiarity(_Part):
    """`safas.familiarity`: the clusters, and the share of source validation within the distance limit."""

    clusters: tuple[Cluster, ...]
    quantile: Share


class Training(_Part):
    """What the network has seen."""

    method: Name
    method_name: Name | None = None  # as printed; None in the bundles of older versions
    protocol: Name
    unseen: Name  # the domain that it was evaluated on; it never saw it, unless it is among `domains`
    seed: int
    epoch: int
    epoch_rule: Name
    datasets: tuple[Name, ...]
    domains: tuple[Name, ...]
    simulated: bool
    counts: Mapping[str, Mapping[str, int]]  # "train" and "validation": videos, live, spoof, people, crops


class Origin(_Part):
    """Where the bundle comes from."""

    run: Name
    commit: str | None
    versions: Mapping[str, str]
    settings: Mapping[str, Any]  # the run's whole configuration


class Bundle(_Part):
    """bundle.json."""

    bundle_version: int
    preprocessing_version: int
    crop: Crop
    input: Input
    output: Output
    policy: Policy
    models: Mapping[Precision, Model]
    familiarity: Familiarity
    training: Training
    evaluation: Mapping[str, Any]  # evaluation.json of the run, as it is
    notes: tuple[str, ...]  # what was left out of the bundle, and why
    origin: Origin
    files: Mapping[FileName, Digest]  # SHA-256


@dataclass(frozen=True, eq=False)
class OpenBundle:
    """A bundle that was read once and found whole: its contract and the bytes of its files."""

    folder: Path
    contract: Bundle
    files: Mapping[FileName, bytes]

    def model(self, precision: Precision) -> Model:
        """The model of that precision. Raises BundleError when the bundle has none."""
        if precision not in self.contract.models:
            raise BundleError(
                f"there is no {precision} model in it",
                where=str(self.folder),
                remedy=f"There is: {', '.join(self.contract.models)}.",
            )
        return self.contract.models[precision]


def open_bundle(folder: Path, public_key: Path | None = None) -> OpenBundle:
    """Read and check a bundle: the signature if a key is given, versions, contract, and every file's SHA-256.

    What is checked is what is used: each file is read once. Raises BundleError, saying what does not fit, and
    InputError when the folder is none of a bundle.
    """
    text = _read(folder / CONTRACT, "not a bundle's folder", "Make one with `safas export`.")
    if public_key is not None:
        signature = _read(folder / SIGNATURE, "the bundle is not signed", "Ask its maker for a signed one.")
        verify(text, signature.decode("ascii", "replace").strip(), public_key, str(folder))
    contract = _parsed(text, folder)
    files = {name: _checked_file(folder / name, digest) for name, digest in contract.files.items()}
    for name in (CLUSTERS, *(model.file for model in contract.models.values())):
        if name not in files:
            raise BundleError(f"{name} is not among its files", where=str(folder / CONTRACT), remedy=_AGAIN)
    return OpenBundle(folder, contract, files)


def _parsed(text: bytes, folder: Path) -> Bundle:
    where = str(folder / CONTRACT)
    try:
        versions = _Versions.model_validate_json(text)
    except ValidationError as error:
        raise BundleError("not a bundle's contract", where=where, remedy=_AGAIN) from error
    for name, ours in (("bundle_version", BUNDLE_VERSION), ("preprocessing_version", PREPROCESSING_VERSION)):
        theirs = getattr(versions, name)
        if theirs != ours:
            raise BundleError(
                f"{name} is {theirs}, and this safas knows {ours}",
                where=where,
                remedy="Export the run again with this version of safas, or install the version that made it.",
            )
    try:
        return Bundle.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = f"the contract is damaged at {place!r} ({first['msg']})"
        raise BundleError(what, where=where, remedy=_AGAIN) from error


class _Versions(BaseModel):
    bundle_version: int
    preprocessing_version: int


def _checked_file(path: Path, digest: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError("a file of the bundle is missing", where=str(path), remedy=_AGAIN) from error
    if sha256(data) != digest:
        raise BundleError(
            "the file was changed since the export (its SHA-256 is another)",
            where=str(path),
            remedy="Do not use this bundle: get it again from its maker.",
        )
    return data


def _read(path: Path, what: str, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        kind = BundleError if path.name == SIGNATURE else InputError
        raise kind(what, where=str(path.parent), remedy=remedy) from error
