"""The frames of a stream, looked at one by one and judged together."""

import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from safas.clip import same_face
from safas.media import decoded_image
from safas.predictor import Crops, Predictor, Scored
from safas.verdict import Verdict


class Seen(NamedTuple):
    """One frame or several: the crops, and what the network said of them."""

    crops: Crops
    scored: Scored


class Look(NamedTuple):
    """One frame, its own verdict, and the seconds spent on: decode, detect (with cropping), score."""

    seen: Seen
    verdict: Verdict
    timings: dict[str, float]


class Window:
    """The last k frames of one stream; k is the bundle's."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.k = predictor.bundle.policy.frames
        self._frames: deque[Seen] = deque(maxlen=self.k)
        self.number = 0  # frames since the stream or the window began

    def clear(self) -> None:
        """Begin anew."""
        self._frames.clear()
        self.number = 0

    def add(self, seen: Seen) -> Verdict:
        """The verdict on the last k frames, this one among them."""
        self._frames.append(seen)
        self.number += 1
        return self._predictor.judge(*together(list(self._frames)))


def look(predictor: Predictor, data: bytes) -> Look:
    """At one frame, an image file's bytes. Raises MediaError for what is none."""
    start = time.perf_counter()
    image = decoded_image(np.frombuffer(data, np.uint8), "frame")
    decoded = time.perf_counter()
    crops = predictor.crops([image])
    detected = time.perf_counter()
    seen = Seen(crops, predictor.score(crops.images) if len(crops.images) else _nothing(predictor))
    verdict = predictor.judge(*seen)
    ends = {"decode": decoded - start, "detect": detected - decoded, "score": time.perf_counter() - detected}
    return Look(seen, verdict, ends)


def together(frames: Sequence[Seen]) -> Seen:
    """Frames that were looked at one by one, as those of one presentation.

    Of each, the largest face was taken. As in a video they must be one person's: a frame in which somebody else's face
    was the largest counts as one without a face.
    """
    faces = same_face([[face for face in seen.crops.faces if face is not None] for seen in frames])
    kept = [seen for seen, face in zip(frames, faces, strict=True) if face is not None] or frames[-1:]
    crops = Crops(
        np.concatenate([seen.crops.images for seen in kept]),
        faces,
        kept[len(kept) // 2].crops.rotation,  # of the frame whose box is shown
        max(seen.crops.people for seen in frames),
    )
    parts = zip(*(seen.scored for seen in kept), strict=True)
    return Seen(crops, Scored(*(np.concatenate(part) for part in parts)))


def _nothing(predictor: Predictor) -> Scored:
    """What there is to say of no crop."""
    output = predictor.bundle.output
    shapes = ((0,), (0, len(output.domains)), (0, output.features))
    return Scored(*(np.empty(shape, np.float32) for shape in shapes))
