"""Where the face is, and a square of it: a detector behind a small seam, and pure geometry."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from safas.errors import InputError
from safas.files import fetch, sha256

Image = npt.NDArray[np.uint8]
Landmarks = npt.NDArray[np.float64]

# YuNet (Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023),
# Apache License 2.0, copyright Shiqi Yu and OpenMMLab.
YUNET_URL = (
    "https://github.com/ShiqiYu/libfacedetection.train/raw/"
    "02246e79b1e976c83d1e135a85e0628120c93769/onnx/yunet_n_dynamic.onnx"
)
YUNET_SHA256 = "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12"
YUNET_ENV = "SAFAS_FACE_DETECTOR"
_CACHE = Path(".cache") / "safas"  # in the user's home
_DETECTION_SIDE = (
    640  # pixels: larger frames are shrunk for detection, where a face of interest is never tiny
)
_LARGEST_CROP = 8  # times the frame's longer side: a larger box is a mistake of units, not a face


@dataclass(frozen=True)
class Box:
    """A face box in pixels of the upright frame: top left corner, width, height."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True, eq=False)
class Face:
    """A found face. `score` in [0, 1], higher = surer.

    `landmarks` [5, 2] in pixels: the person's right eye, left eye, nose tip, right and left corner of the mouth.
    Or [2, 2], the eyes alone, or None.
    """

    box: Box
    landmarks: Landmarks | None
    score: float


def face_crop(image: Image, face: Face, *, margin: float, size: int, align: bool) -> Image:
    """uint8 [size, size, 3]: what the network sees of a face, in preparation and in the field.

    Raises InputError when `align` is asked for and the eyes are not known, and what the crops below raise.
    """
    if not align:
        return square_crop(image, face.box, margin=margin, size=size)
    if face.landmarks is None:
        raise InputError("align = True needs the eyes, and the table gives none for a frame of this video")
    return aligned_crop(image, face.box, face.landmarks, margin=margin, size=size)


def square_crop(image: Image, box: Box, *, margin: float, size: int) -> Image:
    """uint8 [size, size, 3]: the square around the box's centre with side max(w, h) (1 + 2 margin).

    The square lies on whole pixels, so that nothing is blurred before the one resize (area averaging when it
    shrinks, none when the side is `size` already). Outside the frame the border pixel is repeated.
    Raises InputError when the box has no area, lies outside the frame, or is absurdly large.
    """
    side = _side(image, box, margin)
    left = round(box.x + box.w / 2 - side / 2)
    top = round(box.y + box.h / 2 - side / 2)
    rows = np.clip(np.arange(top, top + side), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, image.shape[1] - 1)
    return _resized(image[rows[:, None], columns], size)


def aligned_crop(image: Image, box: Box, landmarks: Landmarks, *, margin: float, size: int) -> Image:
    """`square_crop` of the face turned about the box's centre until the eyes (landmarks 0, 1) lie level."""
    side = _side(image, box, margin)
    across, down = landmarks[1] - landmarks[0]
    centre = (box.x + box.w / 2 - 0.5, box.y + box.h / 2 - 0.5)  # OpenCV counts from the middle of pixel 0
    turn = np.asarray(
        cv2.getRotationMatrix2D(centre, math.degrees(math.atan2(down, across)), 1.0), np.float64
    )
    turn[:, 2] += (side - 1) / 2 - np.asarray(centre)
    turned = cv2.warpAffine(
        image, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return _resized(np.asarray(turned, np.uint8), size)


def _side(image: Image, box: Box, margin: float) -> int:
    """The square's side in pixels, after the checks."""
    height, width = image.shape[:2]
    numbers = (box.x, box.y, box.w, box.h)
    if not all(math.isfinite(number) for number in numbers) or box.w <= 0 or box.h <= 0:
        raise InputError(f"the face box {numbers} has no area")
    if box.x >= width or box.y >= height or box.x + box.w <= 0 or box.y + box.h <= 0:
        raise InputError(f"the face box {numbers} lies outside the frame of {width}x{height} pixels")
    side = max(1, round(max(box.w, box.h) * (1 + 2 * margin)))
    if side > _LARGEST_CROP * max(height, width):
        raise InputError(f"the face box {numbers} is far larger than the frame of {width}x{height} pixels")
    return side


def _resized(square: Image, size: int) -> Image:
    side = square.shape[0]
    if side == size:
        return square
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (size, size), interpolation=how), np.uint8)


class YuNet:
    """The YuNet detector through OpenCV. Not shared between threads.

    `weights`: an ONNX file or its bytes; by default `yunet_weights()`. Raises InputError when that is no such network.
    """

    sure = 0.9  # no face lying or on its head got more than 0.895 in 120 simulated clips; 43 % of upright ones do

    def __init__(self, weights: Path | bytes | None = None, *, min_score: float = 0.6) -> None:
        given = weights or yunet_weights()
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it warns of a default of its own
        try:
            network = np.frombuffer(given if isinstance(given, bytes) else given.read_bytes(), np.uint8)
            self._network = cv2.FaceDetectorYN.create("onnx", network, network[:0], (320, 320), min_score)
        except (cv2.error, OSError) as error:
            raise InputError(
                f"not a YuNet network that OpenCV {cv2.__version__} can load ({str(error).strip().splitlines()[-1]})",
                where="bytes" if isinstance(given, bytes) else str(given),
                remedy=f"Set {YUNET_ENV} to a copy of {YUNET_URL}.",
            ) from error
        finally:
            cv2.utils.logging.setLogLevel(level)

    def detect(self, image: Image) -> list[Face]:
        """The faces of an upright RGB image uint8 [H, W, 3], largest box first; empty if there is none."""
        height, width = image.shape[:2]
        scale = min(1.0, _DETECTION_SIDE / max(height, width))
        small = image
        if scale < 1:
            small_size = (max(1, round(width * scale)), max(1, round(height * scale)))
            small = np.asarray(cv2.resize(image, small_size, interpolation=cv2.INTER_AREA), np.uint8)
        stretch = np.array([width / small.shape[1], height / small.shape[0]])
        self._network.setInputSize((small.shape[1], small.shape[0]))
        _, found = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        faces = [_face(row, stretch) for row in ([] if found is None else found)]
        return sorted(faces, key=lambda face: -face.box.w * face.box.h)


def _face(row: Sequence[float], stretch: npt.NDArray[np.float64]) -> Face:
    """One row of the network, x y w h, 5 points, score, from the shrunk image back to the frame."""
    points = np.asarray(row[:14], np.float64).reshape(7, 2) * stretch
    (x, y), (w, h) = points[:2].tolist()
    return Face(Box(x, y, w, h), points[2:], float(row[14]))


def yunet_weights() -> Path:
    """The detector's file: the one that SAFAS_FACE_DETECTOR names, or the cached one, or else a download.

    The download (about 0.3 MB) is checked by its SHA-256 and kept in ~/.cache/safas.

    Raises InputError, saying what to do, when none can be had.
    """
    path = local_yunet()
    if path is None:
        path = _cached_yunet()
        remedy = (
            f"Fetch {YUNET_URL} by other means and set {YUNET_ENV} to it, or take the boxes from the table."
        )
        fetch(YUNET_URL, YUNET_SHA256, path, what="the face detector", remedy=remedy)
    elif not path.is_file():
        raise InputError(
            "no such file", where=str(path), remedy=f"{YUNET_ENV} must name the YuNet ONNX file."
        )
    return path


def local_yunet() -> Path | None:
    """The file that SAFAS_FACE_DETECTOR names, there or not; else the cached one; None when that is not there."""
    if named := os.environ.get(YUNET_ENV):
        return Path(named)
    cached = _cached_yunet()
    whole = cached.is_file() and sha256(cached.read_bytes()) == YUNET_SHA256
    return cached if whole else None


def _cached_yunet() -> Path:
    return Path.home() / _CACHE / "yunet_n_dynamic.onnx"
