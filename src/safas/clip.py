"""The one face of a clip: which way up its frames are, and the same person in all of them."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from safas.faces import Box, Face, Image

_VOTERS = 3  # frames that choose the rotation
_CLEARLY = 0.03  # by how much a rotation must be surer, on average, to be preferred to the container's
_REACH = 2.0  # sides of the larger box that a face may move between two chosen frames


class Detector(Protocol):
    """What finds faces. `sure`: a score, in [0, 1], that it never gives to a face that lies or stands on its head."""

    sure: float

    def detect(self, image: Image) -> list[Face]:
        """The faces of an RGB image uint8 [H, W, 3], largest box first; empty if there is none."""
        ...


def turned(image: Image, degrees: int) -> Image:
    """The image turned clockwise by 0, 90, 180 or 270 degrees."""
    return np.ascontiguousarray(np.rot90(image, -degrees // 90))


def faces_of_clip(images: Sequence[Image], detector: Detector) -> tuple[int, list[Face | None]]:
    """Degrees clockwise that turn the frames upright, and the clip's face in each frame turned so.

    None where the face isn't found. Boxes and landmarks are in pixels of the turned frame.
    """
    degrees, found = all_faces_of_clip(images, detector)
    return degrees, same_face(found)


def all_faces_of_clip(images: Sequence[Image], detector: Detector) -> tuple[int, list[list[Face]]]:
    """As `faces_of_clip`, but with everybody's face in each frame, largest box first."""
    found = [detector.detect(image) for image in images]
    degrees = _upright(images, found, detector)
    if degrees:
        found = [detector.detect(turned(image, degrees)) for image in images]
    return degrees, found


def _upright(images: Sequence[Image], found: Sequence[Sequence[Face]], detector: Detector) -> int:
    """The rotation under which the detector is surest; 0, which is the container's, unless another is clearly so.

    Some cameras write a wrong rotation into the file or none, so the faces themselves have the last word.
    """
    voters = sorted({len(images) * (2 * i + 1) // (2 * _VOTERS) for i in range(_VOTERS)})
    as_stored = _sureness([found[i] for i in voters])
    if as_stored >= detector.sure:
        return 0
    others = {
        degrees: _sureness([detector.detect(turned(images[i], degrees)) for i in voters])
        for degrees in (90, 180, 270)
    }
    best = max(others, key=lambda degrees: others[degrees])
    return best if others[best] > as_stored + _CLEARLY else 0


def _sureness(found: Sequence[Sequence[Face]]) -> float:
    """The mean over frames of the surest face's score; 0 for a frame without one."""
    return sum(max((face.score for face in faces), default=0.0) for faces in found) / len(found)


def same_face(found: Sequence[Sequence[Face]]) -> list[Face | None]:
    """Of the faces found in each frame, the one person's whose boxes have the largest total area.

    From frame to frame a face is linked to the one that its box overlaps most, else to the nearest within reach.
    None in the frames where that person isn't found.
    """
    tracks: list[dict[int, Face]] = []
    for frame, faces in enumerate(found):
        links = sorted(
            (_distance(track[max(track)].box, face.box), t, f)
            for t, track in enumerate(tracks)
            for f, face in enumerate(faces)
        )
        linked: set[int] = set()
        for distance, t, f in links:
            if distance <= 1 + _REACH and frame not in tracks[t] and f not in linked:
                tracks[t][frame] = faces[f]
                linked.add(f)
        tracks += [{frame: face} for f, face in enumerate(faces) if f not in linked]
    person = max(tracks, key=_total_area, default={})
    return [person.get(frame) for frame in range(len(found))]


def _total_area(track: dict[int, Face]) -> float:
    return sum(face.box.w * face.box.h for face in track.values())


def _distance(a: Box, b: Box) -> float:
    """1 - IoU of boxes that overlap; else 1 + the distance of their centres in sides of the larger one."""
    across = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    down = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    if across > 0 and down > 0:
        return 1 - across * down / (a.w * a.h + b.w * b.h - across * down)
    apart = math.hypot(a.x + a.w / 2 - b.x - b.w / 2, a.y + a.h / 2 - b.y - b.h / 2)
    return 1 + apart / max(a.w, a.h, b.w, b.h)
