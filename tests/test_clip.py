"""The same person in all frames, by hand-made boxes; the way up, by a stand-in detector and on a real photograph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from safas.clip import faces_of_clip, same_face, turned
from safas.faces import Box, Face, Image, YuNet


def face(x: float, side: float, score: float = 0.9, y: float = 100.0) -> Face:
    return Face(Box(x, y, side, side), None, score)


A = [face(100 + 8 * i, 80) for i in range(4)]  # moves by a tenth of its side
B = [face(400, side) for side in (40, 40, 100, 40)]  # comes closer once


def places(found: Sequence[Sequence[Face]]) -> list[float | None]:
    return [None if one is None else one.box.x for one in same_face(found)]


def test_a_bystander_who_comes_closer_in_one_frame_is_not_taken() -> None:
    """Areas: 4 x 80 x 80 = 25,600 for A, 3 x 40 x 40 + 100 x 100 = 14,800 for B, who is the larger in frame 2."""
    found = [sorted(pair, key=lambda one: -one.box.w) for pair in zip(A, B, strict=True)]
    assert [frame[0].box.x for frame in found] == [100, 108, 400, 124]
    assert places(found) == [100, 108, 116, 124]
    assert places([frame[::-1] for frame in found]) == [100, 108, 116, 124]


def test_where_the_person_is_not_found_nobody_is_taken() -> None:
    """The bystander stands 300 pixels away, which is more than twice the larger side (80)."""
    assert places([[A[0], B[0]], [B[1]], [A[2], B[1]], []]) == [100, None, 116, None]


def test_the_total_area_counts_and_not_the_number_of_frames() -> None:
    """90 x 90 once is 8,100; 40 x 40 in four frames is 6,400."""
    assert places([[face(400, 40)]] * 3 + [[face(100, 90), face(400, 40)]]) == [None, None, None, 100]


def test_a_face_that_jumps_is_followed_within_reach() -> None:
    """From side to side without overlap: the centre moves by 100, 150 and 160 = twice the side of 80; 161 is out."""
    assert places([[face(x, 80)] for x in (0, 100, 250, 90)]) == [0, 100, 250, 90]
    assert places([[face(0, 80)], [face(161, 80)], [face(161, 80)]]) == [None, 161, 161]


def test_overlap_counts_before_nearness() -> None:
    """In frame 1 a small face's centre is nearer (4 pixels) to A's, but A's own box overlaps A's more."""
    first, inside, own = face(100, 80), face(124, 40), face(116, 80)
    assert [one.box.w for one in same_face([[first], [inside, own]])] == [80, 80]
    assert same_face([[first], [inside, own]])[1] is own


def test_no_face_at_all() -> None:
    assert same_face([[], []]) == [None, None]
    assert same_face([]) == []


class Lamp:
    """Finds one face where the brightest pixel is; its score depends on the row that this pixel is in."""

    sure = 0.9

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores = scores  # of the top, right, bottom and left of the image
        self.seen = 0

    def detect(self, image: Image) -> list[Face]:
        self.seen += 1
        height, width = image.shape[:2]
        y, x = np.unravel_index(image[..., 0].argmax(), (height, width))
        side = {(0, width // 2): 0, (height // 2, width - 1): 1, (height - 1, width // 2): 2}.get((y, x), 3)
        score = self.scores[side]
        return [Face(Box(float(x), float(y), 2, 2), None, score)] if score else []


def lit() -> Image:
    """A lamp at the top of a dark frame of 21 x 31."""
    image = np.zeros((21, 31, 3), np.uint8)
    image[0, 15] = 255
    return image


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_surest_rotation_is_chosen(degrees: int) -> None:
    stored = turned(lit(), -degrees)
    chosen, faces = faces_of_clip([stored] * 4, Lamp([0.8, 0.7, 0.0, 0.6]))
    assert chosen == degrees
    assert np.array_equal(turned(stored, chosen), lit())
    assert [(one.box.x, one.box.y) for one in faces] == [(15, 0)] * 4


@pytest.mark.parametrize(("other", "chosen"), [(0.62, 0), (0.64, 180)])
def test_the_tagged_orientation_is_kept_unless_another_is_clearly_surer(other: float, chosen: int) -> None:
    """0.6 as stored; 0.02 more is not enough, 0.04 is."""
    assert faces_of_clip([lit()], Lamp([0.6, 0.0, other, 0.0]))[0] == chosen


def test_a_sure_detector_is_not_asked_for_other_rotations() -> None:
    detector = Lamp([0.9, 1.0, 1.0, 1.0])
    assert faces_of_clip([lit()] * 5, detector)[0] == 0
    assert detector.seen == 5


def test_three_frames_vote() -> None:
    """Of 12 frames the middles of three parts: 2, 6, 10. Elsewhere the film stands on its head."""
    frames = [lit() if i in (2, 6, 10) else turned(lit(), 180) for i in range(12)]
    assert faces_of_clip(frames, Lamp([0.7, 0.0, 0.8, 0.0]))[0] == 180
    assert faces_of_clip(frames, Lamp([0.8, 0.0, 0.7, 0.0]))[0] == 0


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("side", [512, 256])
def test_a_real_face_comes_out_upright(yunet_file: Path, degrees: int, side: int) -> None:
    """The astronaut, stored turned: what comes out is the photograph, and the box is that of the photograph."""
    photo = np.ascontiguousarray(data.astronaut()[:: 512 // side, :: 512 // side])
    detector = YuNet(yunet_file)
    (expected,) = detector.detect(photo)
    chosen, (found,) = faces_of_clip([turned(photo, -degrees)], detector)
    assert chosen == degrees
    assert found is not None
    assert found.box == expected.box
    assert np.array_equal(found.landmarks, expected.landmarks)
