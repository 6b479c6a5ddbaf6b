"""Spectacles: rims about the eyes, a bridge, and arms to the ears, as thin tubes."""

import numpy as np

from safas.capture.hair import Growth
from safas.capture.mesh import Floats, Ints, as_floats, template

_RIM = 20  # points round one rim


def put_on(points: Floats, rng: np.random.Generator) -> Growth:
    """Glasses that fit a head whose `points` [P', 3] are in template coordinates."""
    left, right = (points[eye].mean(0) for eye in template().eyes)
    front = max(points[eye, 2].max() for eye in template().eyes) + 0.16
    width, height = rng.uniform(0.20, 0.27), rng.uniform(0.15, 0.22)
    square, thick = rng.uniform(2.0, 4.5), rng.uniform(0.012, 0.032)
    paths = [_rim(eye, front, width, height, square) for eye in (left, right)]
    y = (left[1] + right[1]) / 2 + 0.04
    inner = (left[0] - width, right[0] + width)
    paths.append(
        np.stack([np.linspace(*inner, 5), np.full(5, y), front + 0.05 * np.array([0, 1, 1.2, 1, 0])], 1)
    )
    ears = np.abs(points[(template().points[:, 1] > 7.2) & (template().points[:, 1] < 7.5), 0]).max() * 0.88
    for side, eye in ((1, left), (-1, right)):
        x = np.array([eye[0] + side * width, side * ears * 0.97, side * ears])
        paths.append(
            np.stack([x, np.array([y, y, y - 0.02]), np.array([front - 0.01, front - 0.25, 0.1])], 1)
        )
    tubes = [_tube(path, thick) for path in paths]
    counts = np.cumsum([0] + [len(places) for places, _ in tubes])
    places = np.concatenate([p for p, _ in tubes]).astype(np.float32)
    faces = np.concatenate([f + n for (_, f), n in zip(tubes, counts, strict=False)]).astype(np.int32)
    bridge = int(np.argmin(((template().points - as_floats([0, 7.4, 1.5])) ** 2).sum(1)))
    return Growth(
        points=places,
        parent=np.full(len(places), bridge, np.int32),
        stirs=np.zeros(len(places), np.float32),
        shade=np.ones(len(places), np.float32),
        faces=faces,
        texture_faces=np.zeros_like(faces),
        texture=None,
        shell=np.full(len(faces), -1, np.float32),
    )


def _rim(eye: Floats, front: float, width: float, height: float, square: float) -> Floats:
    """A closed path about the eye, between an ellipse (2) and a box (large)."""
    angle = np.linspace(0, 2 * np.pi, _RIM + 1)
    cos, sin = np.cos(angle), np.sin(angle)
    x = eye[0] + width * np.sign(cos) * np.abs(cos) ** (2 / square)
    y = eye[1] - 0.02 + height * np.sign(sin) * np.abs(sin) ** (2 / square)
    return np.stack([x, y, front - 0.12 * (x - np.sign(eye[0]) * 0.1) ** 2], 1)


def _tube(path: Floats, thick: float) -> tuple[Floats, Ints]:
    """Points [4 n, 3] and triangles of a square tube along `path` [n, 3]."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    helper = np.where(np.abs(along[:, 2:]) < 0.8, [[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]])
    side = np.cross(along, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    over = np.cross(side, along)
    ring = [side, over, -side, -over]
    places = np.stack([path + thick * r for r in ring], 1).reshape(-1, 3)
    cell = np.arange(len(path) - 1)[:, None] * 4
    k, after = np.arange(4)[None], (np.arange(4)[None] + 1) % 4
    quads = np.stack([cell + k, cell + after, cell + 4 + after, cell + 4 + k], -1).reshape(-1, 4)
    return places, quads[:, [[0, 2, 1], [0, 3, 2]]].reshape(-1, 3)
