"""What may get worse between a data set and the field, each at some levels, as pure functions on upright frames."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from safas.faces import Box, Face, Image


@dataclass(frozen=True, eq=False)
class View:
    """A frame that shows the face: upright, with the face that the detector found in it."""

    image: Image
    face: Face


Change = Callable[[Sequence[View], float, np.random.Generator], list[View]]


@dataclass(frozen=True)
class Perturbation:
    """One way to get worse. `levels` from left to right on the axis; at `neutral` nothing changes."""

    name: str
    title: str
    axis: str  # what a level is, with its unit
    levels: tuple[float, ...]
    neutral: float
    change: Change


def shifted(views: Sequence[View], level: float, rng: np.random.Generator) -> list[View]:
    """Each box moved by `level` percent of its longer side, in a direction of its own."""
    moved = []
    for view in views:
        box, turn = view.face.box, rng.uniform(0, 2 * math.pi)
        by = level / 100 * max(box.w, box.h)
        there = replace(box, x=box.x + by * math.cos(turn), y=box.y + by * math.sin(turn))
        moved.append(View(view.image, replace(view.face, box=there)))
    return moved


def scaled(views: Sequence[View], level: float, rng: np.random.Generator) -> list[View]:
    """Each box `level` times as large about its own centre."""

    def resized(box: Box) -> Box:
        w, h = level * box.w, level * box.h
        return Box(box.x + (box.w - w) / 2, box.y + (box.h - h) / 2, w, h)

    return [View(view.image, replace(view.face, box=resized(view.face.box))) for view in views]


def rotated(views: Sequence[View], level: float, rng: np.random.Generator) -> list[View]:
    """The picture turned by `level` degrees clockwise about the box's centre, borders repeated; the box stays."""
    return [_rotated(view, level) for view in views]


def blurred(views: Sequence[View], level: float, rng: np.random.Generator) -> list[View]:
    """A Gaussian blur whose standard deviation is `level` percent of the box's longer side."""

    def blur(view: View) -> Image:
        sigma = level / 100 * max(view.face.box.w, view.face.box.h)
        return np.asarray(cv2.GaussianBlur(view.image, (0, 0), sigma), np.uint8)

    return [replace(view, image=blur(view)) for view in views]


def compressed(views: Sequence[View], level: float, rng: np.random.Generator) -> list[View]:
    """The frame through JPEG of quality `level`, 1 to 100."""

    def through(image: Image) -> Image:
        data = cv2.imencode(".jpg", image[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, int(level)))[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)

    return [replace(view, image=through(view.image)) for view in views]


def brightened(views: Sequence[View], level: float, rng: np.random.Generator) -> list[View]:
    """All values times `level`, cut off at 255."""
    return [
        replace(view, image=np.asarray(cv2.convertScaleAbs(view.image, alpha=level), np.uint8))
        for view in views
    ]


def dropped(views: Sequence[View], level: float, rng: np.random.Generator) -> list[View]:
    """`level` percent of the frames are lost, chosen at random; one at least remains."""
    kept = max(1, round(len(views) * (1 - level / 100)))
    return [views[i] for i in sorted(rng.choice(len(views), kept, replace=False))]


def _rotated(view: View, degrees: float) -> View:
    box, (height, width) = view.face.box, view.image.shape[:2]
    centre = (box.x + box.w / 2 - 0.5, box.y + box.h / 2 - 0.5)  # OpenCV counts from the middle of pixel 0
    turn = cv2.getRotationMatrix2D(centre, -degrees, 1.0)
    image = cv2.warpAffine(
        view.image, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    points = view.face.landmarks
    if points is not None:
        points = points @ np.asarray(turn[:, :2]).T + turn[:, 2]
    return View(np.asarray(image, np.uint8), replace(view.face, landmarks=points))


PERTURBATIONS: tuple[Perturbation, ...] = (
    Perturbation("shift", "Face box moved", "% of its side", (0, 2.5, 5, 10, 15, 20), 0, shifted),
    Perturbation(
        "scale", "Face box too small, too large", "times its size", (0.8, 0.9, 1, 1.1, 1.25, 1.5), 1, scaled
    ),
    Perturbation("rotation", "Head tilted", "degrees", (-30, -20, -10, 0, 10, 20, 30), 0, rotated),
    Perturbation("blur", "Out of focus", "blur, % of the face", (0, 0.5, 1, 2, 3, 5), 0, blurred),
    Perturbation("jpeg", "Compressed", "JPEG quality", (100, 90, 75, 50, 30, 15), 100, compressed),
    Perturbation(
        "brightness", "Too dark or too bright", "times as bright", (0.3, 0.5, 0.75, 1, 1.4, 2), 1, brightened
    ),
    Perturbation("dropped", "Frames lost", "% of the frames", (0, 25, 50, 75), 0, dropped),
)
