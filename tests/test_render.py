"""The renderer: hand-worked triangles, the laws that light obeys, and a detector of real faces as the judge."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from safas.capture import raster, shading
from safas.capture.head import Person, Pose, make_person, motion
from safas.capture.mesh import ACTIONS
from safas.capture.render import Light, Pinhole, render, rotation_matrix

LIGHT = Light((0.2, -0.8, -1.0), (0.8, 0.8, 0.8), (0.4, 0.4, 0.4))
CAMERA = Pinhole(focal_px=330, width=160, height=160)


@pytest.fixture(scope="module")
def person() -> Person:
    return make_person(np.random.default_rng(12))


def still(z: float = 0.6, x: float = 0.0, yaw: float = 0.0) -> Pose:
    return Pose((yaw, 0.0, 0.0), (x, 0.0, z), (0.0, 0.0), np.zeros(len(ACTIONS), np.float32))


def seen_by(
    points: list[list[float]], faces: list[list[int]], shell: float = -1.0
) -> tuple[np.ndarray, np.ndarray]:
    triangles = np.array(faces, np.int32)
    layout = np.zeros_like(triangles)
    cover = np.full((2, 2), 100, np.uint8)
    shells = np.full(len(faces), shell, np.float32)
    at_corner = np.zeros((1, 2), np.float32)
    return raster.nearest_triangles(
        np.array(points, np.float32), triangles, 4, 4, at_corner, layout, shells, cover
    )


CORNER = [[0, 0, 1], [0, 4, 1], [4, 0, 1]]


def test_triangle_covers_the_pixel_centres_inside_it() -> None:
    """The triangle x + y <= 4: pixel (i, j) has its centre at i + j + 1 <= 4, so i + j <= 3 (edge included)."""
    seen, weights = seen_by(CORNER, [[0, 1, 2]])
    expected = np.add.outer(np.arange(4), np.arange(4)) <= 3
    assert np.array_equal(seen == 0, expected)
    assert np.allclose(weights[expected].sum(1), 1, atol=1e-6)
    assert np.allclose(weights[0, 0], [0.75, 0.125, 0.125])  # centre (0.5, 0.5) of legs of 4


def test_triangle_turned_away_is_not_seen() -> None:
    assert (seen_by(CORNER, [[0, 2, 1]])[0] == -1).all()


def test_nearer_triangle_wins_whatever_the_order() -> None:
    points = [*CORNER, *[[x, y, 2] for x, y, _ in CORNER]]
    for order in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        seen, _ = seen_by(points, order)
        assert seen[0, 0] == order.index([3, 4, 5])


def test_weights_are_right_in_perspective() -> None:
    """Half-way along an edge from 1 / depth = 1 to 1 / depth = 3 in the picture, the far corner counts
    0.5 * 1 / (0.5 * 1 + 0.5 * 3) = 1 / 4."""
    points = [[-1, 0.5, 1], [1, 50, 1e-9], [2, 0.5, 3]]
    _, weights = seen_by(points, [[0, 1, 2]])
    assert np.allclose(weights[0, 0], [0.25, 0, 0.75], atol=1e-6)


def test_layer_of_hair_covers_only_where_strands_are_long_enough() -> None:
    assert (seen_by(CORNER, [[0, 1, 2]], shell=99.0)[0] == 0).any()
    assert (seen_by(CORNER, [[0, 1, 2]], shell=100.0)[0] == -1).all()


def test_normals_point_out_of_the_visible_side() -> None:
    """A triangle that the camera sees (turning anticlockwise with y down) looks back at it: (0, 0, -1)."""
    points = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1]], np.float32)
    assert np.allclose(raster.vertex_normals(points, np.array([[0, 1, 2]], np.int32)), [0, 0, -1])


def test_blend_averages_samples_over_the_background() -> None:
    """One pixel of 2 x 2 samples, three hit with radiance 0.4: 3 * 0.4 / 4 + (1 - 3 / 4) * 0.8 = 0.5."""
    samples = np.zeros((2, 2, 4), np.float32)
    samples[[0, 0, 1], [0, 1, 0]] = [0.4, 0.4, 0.4, 1]
    image, alpha = np.full((1, 1, 3), 0.8, np.float32), np.zeros((1, 1), np.float32)
    shading.blend(samples, 2, image, alpha)
    assert np.allclose(image, 0.5)
    assert alpha[0, 0] == 0.75


def test_rotation_has_the_documented_signs() -> None:
    face, crown = np.array([0, 0, -1]), np.array([0, -1, 0])
    assert (rotation_matrix(0.3, 0, 0) @ face)[0] > 0  # turns to the picture's right
    assert (rotation_matrix(0, 0.3, 0) @ face)[1] > 0  # looks down
    assert (rotation_matrix(0, 0, 0.3) @ crown)[0] > 0  # tilts clockwise
    mixed = rotation_matrix(0.2, -0.4, 0.7).astype(np.float64)
    assert np.allclose(mixed @ mixed.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(mixed) == pytest.approx(1, abs=1e-6)


def test_same_input_same_pixels(person: Person) -> None:
    again = make_person(np.random.default_rng(12))
    one, other = (render(p, still(), LIGHT, CAMERA, None).image for p in (person, again))
    assert np.array_equal(one, other)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert one.min() >= 0


def test_light_adds_up(person: Person) -> None:
    """Radiance is linear in the lamps: key alone and ambient alone add up to both (but for bumps that clip)."""
    key, ambient = replace(LIGHT, ambient_rgb=(0, 0, 0)), replace(LIGHT, key_rgb=(0, 0, 0))
    images = [render(person, still(), light, CAMERA, None).image for light in (key, ambient, LIGHT)]
    assert np.abs(images[0] + images[1] - images[2]).mean() < 1e-4
    double = replace(LIGHT, key_rgb=(1.6, 1.6, 1.6), ambient_rgb=(0.8, 0.8, 0.8))
    assert np.allclose(
        render(person, still(), double, CAMERA, None).image, 2 * images[2], rtol=1e-4, atol=1e-6
    )


def test_the_lit_side_is_brighter(person: Person) -> None:
    for side in (-1, 1):
        lamp = Light((side, -0.2, -0.5), (1, 1, 1), (0.05, 0.05, 0.05))
        shot = render(person, still(), lamp, CAMERA, None)
        x, y, w, h = (round(v) for v in shot.box)
        face = shot.image[y + h // 3 : y + h, x : x + w].mean((0, 2))
        left, right = face[: w // 2].mean(), face[w // 2 :].mean()
        assert (right > 1.3 * left) if side > 0 else (left > 1.3 * right)


def test_background_shows_where_nobody_is(person: Person) -> None:
    room = np.random.default_rng(0).random((160, 160, 3), np.float32)
    shot = render(person, still(), LIGHT, CAMERA, room)
    empty = shot.alpha == 0
    assert 0.1 < empty.mean() < 0.9
    assert np.array_equal(shot.image[empty], room[empty])
    assert np.array_equal(render(person, still(x=5.0), LIGHT, CAMERA, room).image, room)  # out of the picture


def test_box_follows_distance_and_place(person: Person) -> None:
    """Twice as far, about half as high; moved by x metres, moved by focal * x / z pixels."""
    near, far = (render(person, still(z=z), LIGHT, CAMERA, None).box for z in (0.8, 1.6))
    assert near[3] / far[3] == pytest.approx((1.6 - 0.07) / (0.8 - 0.07), rel=0.05)
    moved = render(person, still(z=0.8, x=0.05), LIGHT, CAMERA, None).box
    assert moved[0] + moved[2] / 2 - near[0] - near[2] / 2 == pytest.approx(
        330 * 0.05 / (0.8 - 0.05), rel=0.1
    )


def test_landmarks_lie_in_the_box_and_in_order(person: Person) -> None:
    shot = render(person, still(), LIGHT, CAMERA, None)
    (x, y, w, h), marks = shot.box, shot.landmarks
    assert ((marks > [x, y]) & (marks < [x + w, y + h])).all()
    assert marks[0, 0] < marks[2, 0] < marks[1, 0]
    assert marks[:2, 1].max() < marks[2, 1] < marks[3:, 1].min()
    assert marks[3, 0] < marks[4, 0]


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(high, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def test_a_detector_of_real_faces_finds_them(yunet_file: Path) -> None:
    """YuNet, trained on photographs only: at least 11 of 12 people above 0.7, boxes and landmarks where they are."""
    camera = Pinhole(focal_px=330, width=240, height=240)
    detector = cv2.FaceDetectorYN.create(str(yunet_file), "", (240, 240), 0.5)
    lamps = [
        LIGHT,
        Light((1, -0.3, -0.3), (1, 1, 1), (0.2, 0.2, 0.2)),
        Light((-0.4, -0.8, -1), (0.8, 0.6, 0.4), (0.2,) * 3),
    ]
    found, overlaps, misses = 0, [], []
    for seed in range(100, 112):
        rng = np.random.default_rng(seed)
        subject, pose = make_person(rng), motion(rng, 3, 10)[1].at(0, 0, 0.55)
        shot = render(subject, pose, lamps[seed % 3], camera, np.full((240, 240, 3), 0.15, np.float32))
        picture = (np.clip(shot.image[..., ::-1], 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
        faces = detector.detect(picture)[1]
        best = None if faces is None else max(faces.tolist(), key=lambda face: face[-1])
        if best is not None and best[-1] > 0.7:
            found += 1
            overlaps.append(_overlap(shot.box, tuple(best[:4])))
            misses.append(np.abs(np.reshape(best[4:14], (5, 2)) - shot.landmarks).mean() / shot.box[2])
    assert found >= 11
    assert np.mean(overlaps) > 0.7
    assert np.mean(misses) < 0.08
