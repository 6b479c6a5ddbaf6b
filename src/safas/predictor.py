"""A bundle and a face -> a verdict. Needs no torch: decoding, detection and cropping are those of preparation."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from safas.assessment.calibration import Platt
from safas.bundle import CLUSTERS, DETECTOR, Model, OpenBundle, Precision, open_bundle
from safas.camera import camera_frames
from safas.clip import Detector, all_faces_of_clip, same_face, turned
from safas.detectors import DETECTORS
from safas.errors import BundleError, InputError
from safas.faces import Face, Image, YuNet, face_crop
from safas.familiarity import Clusters
from safas.files import sha256
from safas.media import evenly_spaced, middles
from safas.policy import fused, judged
from safas.verdict import Reason, Verdict

Source = Image | str | Path | Iterable[Image] | int  # image, path of an image or video, frames, camera


class Scored(NamedTuple):
    """What the network says of N crops: P(live) [N], logits [N, E] under each domain's head, features [N, D]."""

    scores: NDArray[np.float32]
    logits: NDArray[np.float32]
    features: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Crops:
    """The crops uint8 [F, S, S, 3] of the F frames that show the face, and whose face it is."""

    images: NDArray[np.uint8]
    faces: Sequence[Face | None]  # one a frame looked at
    rotation: int  # degrees clockwise that turned the frames upright
    people: int  # at most so many faces in one frame


@dataclass
class _Clock:
    """Seconds by what they were spent on."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class Predictor:
    """Judges presentations by an exported bundle. One predictor may be used by several threads at once.

    `public_key`: an Ed25519 key in PEM; then the bundle must be signed by its owner. `precision`: "fp32" or "int8".
    `threads` of the network. `providers` of onnxruntime, best first. Raises BundleError when the bundle is incomplete,
    was changed, or is of another version or key; InputError when there is none or no face detector.
    """

    def __init__(
        self,
        bundle: str | Path,
        *,
        public_key: str | Path | None = None,
        precision: Precision = "fp32",
        threads: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        opened = open_bundle(Path(bundle), None if public_key is None else Path(public_key))
        self.bundle, self.precision = opened.contract, precision
        self.model: Model = opened.model(precision)
        clusters = self.bundle.familiarity.clusters
        names = tuple(cluster.domain for cluster in clusters)
        self._clusters = Clusters.from_bytes(opened.files[CLUSTERS], names, str(opened.folder))
        self._session = _session(opened, self.model, threads, providers)
        self._new_detector = _detector(opened)
        self._own = threading.local()  # detectors: they are not shared between threads
        self._detector()  # a bad one must come to light now

    def __call__(self, source: Source) -> Verdict:
        """The verdict on one presentation.

        source: an image (uint8 RGB [H, W, 3]), the path of an image or a video, frames of one presentation in their
        order (each as an image), or the number of a camera, which films for two seconds. Raises InputError for arrays
        of another kind and MediaError for what cannot be read.
        """
        clock = _Clock()
        with clock("decode"):
            frames = self._frames(source)
        crops = self._crops(frames, clock)
        if not len(crops.images):
            return replace(self._without_face(crops), timings=clock.seconds)
        with clock("score"):
            verdict = self.judge(crops, self.score(crops.images))
        return replace(verdict, timings=clock.seconds)

    def crops(self, frames: Sequence[Image]) -> Crops:
        """The face in frames, exactly as `safas prepare` would crop it."""
        return self._crops(frames, _Clock())

    def score(self, crops: NDArray[np.uint8]) -> Scored:
        """The network on crops uint8 RGB [N, S, S, 3], S as the bundle says. Raises InputError for any other."""
        size = self.bundle.crop.size
        if crops.dtype != np.uint8 or crops.shape[1:] != (size, size, 3):
            raise InputError(
                f"crops of {crops.dtype} {list(crops.shape)}",
                remedy=f"Give uint8 [N, {size}, {size}, 3], RGB.",
            )
        return Scored(*self._session.run(list(self.bundle.output.names), {"crops": crops}))

    def judge(self, crops: Crops, scored: Scored) -> Verdict:
        """The verdict on crops and what `score` said of them, for those who see the frames one by one."""
        if not len(crops.images):
            return self._without_face(crops)
        score, nearest = fused(scored.scores), self._clusters.nearest(scored.features)
        label, reason = judged(
            score=score, used=len(crops.images), frames=len(crops.faces), nearest=nearest,
            model=self.model, bundle=self.bundle,
        )  # fmt: skip
        calibration = self.model.calibration
        return replace(
            _seen(crops, self.model.threshold),
            label=label,
            score=score,
            probability=float(Platt(calibration.slope, calibration.offset, on_logit=True)(score)),
            nearest_domain=nearest[0],
            distance=nearest[1],
            reasons=(reason, *_asides(crops)),
            frame_scores=_by_frame(crops.faces, scored.scores),
        )

    def _without_face(self, crops: Crops) -> Verdict:
        count = len(crops.faces)
        text = f"no face in {'the image' if count == 1 else f'any of {count} frames'}"
        return replace(_seen(crops, self.model.threshold), reasons=(Reason("no_face", text),))

    def _frames(self, source: Source) -> list[Image]:
        count = self.bundle.policy.frames
        if isinstance(source, str | Path):
            return [frame.image for frame in evenly_spaced(Path(source), count)]
        if isinstance(source, np.ndarray):
            return [_image(source)]
        images = camera_frames(source) if isinstance(source, int) else _listed(source)
        if not images:
            raise InputError("there is no frame", remedy="Give at least one.")
        return [_image(images[i]) for i in sorted(middles(len(images), count))]

    def _crops(self, frames: Sequence[Image], clock: _Clock) -> Crops:
        how = self.bundle.crop
        with clock("detect"):
            rotation, everybody = all_faces_of_clip(frames, self._detector())
            faces = same_face(everybody)
        with clock("crop"):
            images = [
                face_crop(turned(frame, rotation), face, margin=how.margin, size=how.size, align=how.align)
                for frame, face in zip(frames, faces, strict=True)
                if face is not None
            ]
        stacked = np.stack(images) if images else np.empty((0, how.size, how.size, 3), np.uint8)
        return Crops(stacked, faces, rotation, max(map(len, everybody)))

    def _detector(self) -> Detector:
        if not hasattr(self._own, "detector"):
            self._own.detector = self._new_detector()
        detector: Detector = self._own.detector
        return detector


def _listed(frames: object) -> list[Image]:
    """The frames one by one. Raises InputError for what has none, whatever the caller's annotations said."""
    if not isinstance(frames, Iterable):
        what = f"cannot judge a {type(frames).__name__}"
        raise InputError(what, remedy="Give an image, a path, frames or a camera's number.")
    return list(frames)


def _image(array: Image) -> Image:
    """The array, if it is an RGB image. Raises InputError, saying how to make it one."""
    shape = list(np.shape(array))
    remedies = {
        2: "Grey: cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), if it is not a colour image that lost its colours.",
        4: "With transparency: cv2.cvtColor(image, cv2.COLOR_RGBA2RGB).",
    }
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        kind = getattr(array, "dtype", type(array).__name__)
        raise InputError(f"an image of {kind}", remedy="Give uint8 RGB [H, W, 3] with values from 0 to 255.")
    if len(shape) != 3 or shape[2] != 3 or 0 in shape:
        hint = remedies.get(shape[2] if len(shape) == 3 else len(shape), "")
        raise InputError(f"an image of shape {shape}", remedy=f"Give uint8 RGB [H, W, 3]. {hint}")
    return array


def _seen(crops: Crops, threshold: float) -> Verdict:
    """All of the verdict that is known before the network has seen a crop."""
    boxes = tuple(None if face is None else face.box for face in crops.faces)
    found = [box for box in boxes if box is not None]
    return Verdict(
        label="no_face",
        threshold=threshold,
        box=found[len(found) // 2] if found else None,
        reasons=_asides(crops),
        frames=len(crops.faces),
        frames_used=len(found),
        frame_scores=(None,) * len(crops.faces),
        boxes=boxes,
        rotation=crops.rotation,
    )


def _asides(crops: Crops) -> tuple[Reason, ...]:
    """What decides nothing but should be known."""
    said = []
    if crops.people > 1:
        said.append(Reason("several_faces", f"{crops.people} faces in view; the largest was judged"))
    if crops.rotation:
        said.append(Reason("turned", f"the frames were turned by {crops.rotation} degrees to stand upright"))
    return tuple(said)


def _by_frame(faces: Sequence[Face | None], scores: NDArray[np.float32]) -> tuple[float | None, ...]:
    left = iter(scores.tolist())
    return tuple(None if face is None else next(left) for face in faces)


def _session(
    opened: OpenBundle, model: Model, threads: int, providers: Sequence[str]
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    unknown = sorted(set(providers) - set(onnxruntime.get_available_providers()))
    if unknown:
        known = ", ".join(onnxruntime.get_available_providers())
        raise InputError(f"onnxruntime here has no {unknown[0]}", remedy=f"Choose from: {known}.")
    try:
        return onnxruntime.InferenceSession(opened.files[model.file], options, providers=list(providers))
    except Exception as error:  # onnxruntime has its own kinds for each way in which a file is no network
        first = str(error).splitlines()[0]
        raise BundleError(f"not a network ({first})", where=str(opened.folder / model.file)) from error


def _detector(opened: OpenBundle) -> Callable[[], Detector]:
    """Makes the bundle's own detector, or this machine's; raises BundleError when that is another one."""
    crop = opened.contract.crop
    if DETECTOR in opened.files:  # only YuNet's file is ever in a bundle
        return partial(YuNet, opened.files[DETECTOR])
    find, load = DETECTORS[crop.detector]
    path = find()
    if crop.detector_sha256 not in (None, sha256(path.read_bytes())):
        raise BundleError(
            "another face detector than the one that the bundle's crops were made with (its SHA-256 differs)",
            where=str(path),
            remedy=f"Get the file with SHA-256 {crop.detector_sha256}.",
        )
    return partial(load, path)
