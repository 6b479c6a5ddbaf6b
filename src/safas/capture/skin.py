"""Skin and hair as paint on the head's texture: melanin and haemoglobin rather than colours.

Albedo is exp(-melanin * m - haemoglobin * h) times that of bare dermis, per channel, which is how the colour of
skin varies between people and over one face (Tsumura et al., SIGGRAPH 2003; Jimenez et al., SIGGRAPH Asia 2010).
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from safas.capture import raster
from safas.capture.mesh import SKIN, Floats, as_floats, assets, template

SIDE = 1024  # texels; a face is some 600 of them wide: 0.3 mm each
_DERMIS = as_floats([0.86, 0.68, 0.53])
_MELANIN = as_floats([0.72, 1.0, 1.30])
_HAEMOGLOBIN = as_floats([0.12, 1.0, 0.85])


@dataclass(frozen=True)
class Traits:
    """What a person looks like besides the shape. Shares in 0 to 1 unless said otherwise."""

    melanin: float  # 0.05 (very light) to 2.4 (very dark): optical density in green
    blood: float  # 0.1 (pale) to 0.5 (ruddy)
    age: float
    male: float
    freckles: float
    blemishes: float
    oil: float
    beard: float  # 0 shaven, 0.3 stubble, 1 full
    moustache: float
    brow_density: float
    brow_height: float  # decimetres above the template's
    brow_thickness: float  # decimetres
    make_up: float
    hair: Floats  # [3] linear RGB
    grey: float
    iris: Floats  # [3] linear RGB
    cloth: Floats  # [3] linear RGB


@dataclass(frozen=True)
class Atlas:
    """Where each texel lies: `place` [S, S, 3] in template coordinates; the rest [S, S] says what is there."""

    place: Floats
    valid: NDArray[np.bool_]
    lips: Floats
    lids: Floats
    lashes: Floats
    mouth: Floats


@cache
def atlas() -> Atlas:
    """Built once a process from the template and MPFB2's masks (CC0)."""
    head = template()
    skin = head.material == SKIN
    screen = np.concatenate([head.texture * SIDE, np.ones_like(head.texture[:, :1])], 1)
    faces, points = head.texture_faces[skin], head.faces[skin]
    place = raster.paint(screen, faces, head.points, points, SIDE, SIDE)
    source = raster.paint(screen, faces, head.source, faces, SIDE, SIDE)
    valid = np.abs(place).sum(-1) > 0
    lips, lids = (_mask(f"mpfb2/textures/mpfb_{name}.jpg", source) * valid for name in ("lips", "eyelids"))
    lips = np.clip(3 * lips - 1.2, 0, 1)
    return Atlas(place, valid, lips, lids, *_edges())


def _mask(name: str, source: Floats) -> Floats:
    picture = cv2.imread(str(assets() / name), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise FileNotFoundError(name)
    rows, columns = picture.shape
    x = source[..., 0] * columns - 0.5
    y = (1 - source[..., 1]) * rows - 0.5
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR).astype(np.float32) / 255


def _edges() -> tuple[Floats, Floats]:
    """Dark lines along the edges of the eyelids, the upper one broader, and between the lips: two [S, S]."""
    head = template()
    sides = [[0, 1], [1, 2], [2, 0]]
    edges = head.texture_faces[head.material == SKIN][:, sides].reshape(-1, 2)
    points = head.faces[head.material == SKIN][:, sides].reshape(-1, 2)
    _, first, count = np.unique(np.sort(edges, 1), axis=0, return_index=True, return_counts=True)
    lashes, mouth = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32)
    for edge in first[count == 1]:
        x, y, z = head.points[points[edge]].mean(0)
        a, b = (tuple(int(v) for v in head.texture[t] * SIDE) for t in edges[edge])
        if abs(y - 7.28) < 0.16 and abs(abs(x) - 0.31) < 0.22 and z > 0.8:
            cv2.line(lashes, a, b, 1.0 if y > 7.272 else 0.5, 7 if y > 7.272 else 4, cv2.LINE_AA)
        elif abs(y - 6.615) < 0.1 and abs(x) < 0.3 and z > 1.2:
            cv2.line(mouth, a, b, 0.6, 5, cv2.LINE_AA)
    return _soft(lashes, 1.2), _soft(mouth, 2.0)


def _soft(picture: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def noise(rng: np.random.Generator, cell: int, stretch: int = 1) -> Floats:
    """Smooth noise of unit variance [SIDE, SIDE] with features of `cell` texels, `stretch` times longer downwards."""
    field = rng.standard_normal((max(SIDE // (cell * stretch), 2) + 2, SIDE // cell + 2), dtype=np.float32)
    grown = np.asarray(
        cv2.resize(
            field, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC if cell > 1 or stretch > 1 else cv2.INTER_AREA
        ),
        np.float32,
    )
    return grown / np.float32(grown.std() + 1e-6)


def blob(place: Floats, centre: tuple[float, float, float], radius: tuple[float, float, float]) -> Floats:
    """Bell [S, S] about a place and its mirror image."""
    x, y, z = ((place[..., k] if k else np.abs(place[..., 0])) - centre[k] for k in range(3))
    return np.exp(-((x / radius[0]) ** 2) - (y / radius[1]) ** 2 - (z / radius[2]) ** 2)


def plain_skin(traits: Traits) -> Floats:
    """Mean albedo [3] of the skin."""
    blood = traits.blood / (1 + 0.7 * traits.melanin)
    return (_DERMIS * np.exp(-traits.melanin * _MELANIN - blood * _HAEMOGLOBIN)).astype(np.float32)


def paint_skin(traits: Traits, scalp: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Texture uint8 [S, S, 4]: the square root of linear albedo (R, G, B), and relief (128 = level).

    `scalp` uint8 [S, S] is where hair grows, so that no bare skin shines through it.
    """
    where = atlas()
    melanin = np.full((SIDE, SIDE), traits.melanin, np.float32)
    blood = np.full((SIDE, SIDE), traits.blood / (1 + 0.7 * traits.melanin), np.float32)
    melanin, blood = _complexion(melanin, blood, traits, where, rng)
    lips = where.lips * (0.85 + 0.15 * noise(rng, 3, 4))
    blood += lips * (0.55 + 0.7 * traits.make_up)
    melanin += lips * 0.25 * traits.melanin * (1 - 0.5 * traits.make_up)
    albedo = _DERMIS * np.exp(-melanin[..., None] * _MELANIN - blood[..., None] * _HAEMOGLOBIN)
    albedo = _hairs(albedo, traits, where, scalp, rng)
    albedo *= 1 - where.mouth[..., None]
    relief = _relief(traits, where, rng)
    painted = np.empty((SIDE, SIDE, 4), np.uint8)
    painted[..., :3] = np.sqrt(np.clip(albedo, 0, 1)) * 255
    painted[..., 3] = np.clip(128 + 40 * relief, 0, 255)
    return painted


def _complexion(
    melanin: Floats, blood: Floats, traits: Traits, where: Atlas, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    place = where.place
    flush = blob(place, (0.5, 6.95, 1.15), (0.3, 0.22, 0.5)) + 0.9 * blob(
        place, (0.0, 6.92, 1.65), (0.2, 0.2, 0.3)
    )
    ears = blob(place, (0.9, 7.1, 0.2), (0.25, 0.35, 0.3))
    blood = blood + (0.22 * flush + 0.25 * ears) * (0.4 + traits.blood) * np.float32(rng.uniform(0.4, 1.3))
    sockets = blob(place, (0.31, 7.2, 1.35), (0.26, 0.16, 0.4)) + 0.6 * where.lids
    shade = np.float32(rng.uniform(0.05, 0.22) * (0.6 + 0.8 * traits.age + 0.3 * traits.melanin))
    melanin = melanin + shade * sockets
    blood = blood + 0.5 * shade * sockets
    blotch = 0.6 * noise(rng, 64) + 0.5 * noise(rng, 24) + 0.4 * noise(rng, 9)
    fine = 0.7 * noise(rng, 4) + 0.7 * noise(rng, 2)
    melanin = melanin * (1 + 0.045 * blotch + 0.05 * fine) + 0.012 * fine
    blood = blood + 0.035 * (noise(rng, 32) + noise(rng, 12)) + 0.035 * noise(rng, 3)
    spots = np.clip(noise(rng, 5) * 0.7 + noise(rng, 8) * 0.7 - 1.5, 0, 1.2)
    centre = blob(place, (0.3, 7.0, 1.4), (0.6, 0.45, 0.7))
    melanin = melanin + traits.freckles * 0.75 * spots * centre
    for x, y, size, dark in _marks(traits, where, rng):
        cv2.circle(melanin, (x, y), size, float(melanin[y, x] + dark), -1, cv2.LINE_AA)
    reds = np.zeros_like(blood)
    for x, y, size, _ in _marks(traits, where, rng):
        cv2.circle(reds, (x, y), 2 * size, 1.0, -1, cv2.LINE_AA)
    return melanin, blood + 0.3 * traits.blemishes * cv2.GaussianBlur(reds, (0, 0), 2.5)


def _marks(traits: Traits, where: Atlas, rng: np.random.Generator) -> list[tuple[int, int, int, float]]:
    """Moles and pimples: texel, radius and darkness of each."""
    count = int(rng.poisson(4 + 14 * traits.blemishes))
    xs, ys = rng.integers(180, SIDE - 180, count), rng.integers(300, SIDE - 60, count)
    sizes, darks = rng.integers(1, 4, count), rng.uniform(0.2, 0.9, count)
    rows = zip(xs.tolist(), ys.tolist(), sizes.tolist(), darks.tolist(), strict=True)
    return [row for row in rows if where.valid[row[1], row[0]]]


def _hairs(
    albedo: Floats, traits: Traits, where: Atlas, scalp: NDArray[np.uint8], rng: np.random.Generator
) -> Floats:
    """Brows, stubble and lashes, drawn into the skin."""
    place = where.place
    strands = 0.6 * noise(rng, 2, 6) + 0.5 * noise(rng, 3, 3)
    cover = _brows(place, traits) * np.clip(0.95 + 0.3 * strands, 0, 1)
    chin = beard_region(place, where.lips, traits)
    dots = np.clip(0.5 + 0.8 * noise(rng, 2), 0, 1)
    cover = np.maximum(cover, chin * (0.22 + 0.6 * dots))
    albedo = albedo * (1 - (0.6 + 0.3 * traits.make_up) * where.lashes[..., None])
    colour = traits.hair * np.clip(0.75 + 0.25 * strands[..., None], 0.4, 1.5)
    colour = colour * (1 - traits.grey) + 0.4 * traits.grey * traits.hair.mean() + 0.25 * traits.grey
    albedo = albedo * (1 - cover[..., None]) + np.minimum(colour, albedo * 0.85) * cover[..., None]
    under = np.minimum(scalp / np.float32(140), 0.93)[..., None]
    covered: Floats = albedo * (1 - under) + 0.6 * colour * under
    return covered


def _brows(place: Floats, traits: Traits) -> Floats:
    x, y, z = np.abs(place[..., 0]), place[..., 1], place[..., 2]
    line = 7.475 + traits.brow_height + 0.20 * (x - 0.10) - 0.70 * np.clip(x - 0.34, 0, 1) ** 1.15
    thick = traits.brow_thickness * np.interp(x, (0.06, 0.14, 0.35, 0.62), (0.5, 1.0, 0.85, 0.3))
    bell = np.exp(-(np.abs((y - line) / thick) ** 3))
    ends = np.interp(x, (0.07, 0.13, 0.52, 0.62), (0, 1, 1, 0))
    brows: Floats = (bell * ends * (z > 0.9) * traits.brow_density).astype(np.float32)
    return brows


def beard_region(place: Floats, lips: Floats, traits: Traits) -> Floats:
    """How much beard grows at each texel: jaw, chin and upper lip [S, S]."""
    x, y, z = np.abs(place[..., 0]), place[..., 1], place[..., 2]
    top = np.interp(x, (0.0, 0.18, 0.3, 0.55, 0.8), (6.6, 6.62, 6.65, 6.75, 7.0))
    jaw = _step((top - y) / 0.14) * _step((z - 0.2) / 0.25) * _step((y - 5.95) / 0.15)
    lip = np.exp(-(((y - 6.775) / 0.055) ** 4)) * _step((0.36 - x) / 0.1) * _step((z - 1.2) / 0.1)
    grown = np.maximum(jaw * traits.beard, lip * traits.moustache)
    bare_lips: Floats = (grown * (1 - np.clip(1.5 * lips, 0, 1))).astype(np.float32)
    return bare_lips


def _step(x: Floats) -> Floats:
    t: Floats = np.clip(x + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def _relief(traits: Traits, where: Atlas, rng: np.random.Generator) -> Floats:
    """Height of pores and wrinkles [S, S]; 1 is some 0.1 mm."""
    place = where.place
    y = place[..., 1] + 0.02 * noise(rng, 48)
    pores = -np.clip(noise(rng, 3) - 0.6, 0, 2) + 0.3 * noise(rng, 2) + 0.35 * noise(rng, 6)
    forehead = blob(place, (0.0, 7.85, 1.4), (0.6, 0.25, 0.5)) * np.sin(y * 2 * np.pi / 0.13)
    crow = blob(place, (0.62, 7.28, 1.1), (0.14, 0.16, 0.3)) * np.sin(y * 2 * np.pi / 0.06)
    bags = blob(place, (0.31, 7.1, 1.35), (0.22, 0.1, 0.3)) * np.sin(y * 2 * np.pi / 0.07)
    lines = traits.age * (1.3 * forehead + 1.0 * crow + 0.7 * bags)
    furrows = where.lips * noise(rng, 3, 8) * 0.6
    relief: Floats = pores * (0.7 + 0.5 * traits.age) * (1 - where.lips) + lines + furrows
    return relief
