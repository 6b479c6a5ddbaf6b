"""Hair as fur: the scalp's surface repeated outwards in layers, each with fewer strands than the one below."""

from dataclasses import dataclass

import numpy as np
import scipy.spatial
from numpy.typing import NDArray

from safas.capture.mesh import SKIN, Floats, Ints, as_floats, template
from safas.capture.skin import Traits, atlas, beard_region, noise

# The hairline of a full head: height (template decimetres) by the angle from straight ahead.
_ANGLES = (0.0, 0.45, 0.75, 0.95, 1.15, 1.45, 1.7, 2.0, 2.5, 3.2)
_HEIGHTS = (7.93, 7.91, 7.82, 7.56, 7.36, 7.34, 7.2, 6.8, 6.5, 6.4)


@dataclass(frozen=True)
class Style:
    """Lengths in decimetres. `crown` 0 to 1: baldness from the front and top; `comb` the way the hair lies."""

    top: float
    sides: float
    recede: float
    bald: float
    comb: Floats  # [3] template axes, added to the normal
    strand: int  # texels a lock is wide
    layers: int
    fall: float  # how far below the top of the ears it hangs; 0: not at all
    parting: float  # radians from straight ahead to where the long hair begins
    wave: float  # sideways, of the long hair
    fringe: float  # 0 swept back from the forehead, 1 hanging into it


@dataclass(frozen=True)
class Growth:
    """Something on the head: P points in template coordinates and F triangles, which index its own arrays.

    `parent` [P] is the point of the bare head that lends its light, and its movement times `stirs` [P]; `shade` [P]
    dims the light. `texture_faces` [F, 3] index `texture` where it has one, else the head's.
    """

    points: Floats
    parent: Ints
    stirs: Floats
    shade: Floats
    faces: Ints
    texture_faces: Ints
    texture: Floats | None
    shell: Floats  # [F] the least cover that a layer needs


def draw_style(traits: Traits, rng: np.random.Generator) -> Style:
    """A haircut, beard and brows that suit the traits."""
    bald = float(traits.male > 0.5 and rng.random() < 0.12 + 0.3 * traits.age)
    cropped = traits.male > 0.5 and rng.random() < 0.45
    top = rng.uniform(0.05, 0.14) if cropped else rng.uniform(0.18, 0.42)
    sides = min(top, rng.uniform(0.03, 0.10) if traits.male > 0.5 else rng.uniform(0.14, 0.3))
    comb = as_floats([rng.normal(0, 0.35), rng.uniform(-0.5, 0.1), rng.normal(0, 0.4)])
    recede = float(rng.normal(0, 0.05) + 0.22 * traits.age * traits.male)
    long = rng.random() < (0.72 if traits.male < 0.5 else 0.06)
    fall = float(rng.uniform(0.9, 2.9)) if long and not bald else 0.0
    parting, wave = float(rng.uniform(0.95, 1.5)), float(rng.uniform(0.0, 0.07))
    strand, layers = int(rng.integers(2, 6)), 4 if cropped else 7
    fringe = float(rng.random() < 0.3) * float(rng.uniform(0.5, 1))
    return Style(float(top), float(sides), recede, bald, comb, strand, layers, fall, parting, wave, fringe)


def scalp(place: Floats, style: Style) -> Floats:
    """How much hair grows at each place [..., 3]: 0 to 1."""
    x, y, z = np.abs(place[..., 0]), place[..., 1], place[..., 2]
    angle = np.arctan2(x, z - 0.25)
    line = np.interp(angle, _ANGLES, _HEIGHTS) + style.recede * np.interp(
        angle, (0, 0.5, 0.9, 1.2), (0.6, 1.5, 1.0, 0)
    )
    line = line + style.bald * np.interp(angle, (0, 1.1, 1.5, 2.6), (2.0, 0.6, 0.25, 0.9))
    ear = (x > 0.79) & (y < 7.42) & (z > -0.12) & (z < 0.6)
    return np.where(ear, 0, np.clip((y - line) / 0.16 + 0.5, 0, 1)).astype(np.float32)


def grow_fur(points: Floats, normals: Floats, style: Style, traits: Traits) -> Growth:
    """Short hair and beard for a head whose `points` and unit `normals` [P', 3] are in template coordinates."""
    head = template()
    grown = scalp(head.points, style)
    beard = _beard_length(head.points, traits)
    up = np.clip((head.points[:, 1] - 7.3) / 0.8, 0, 1)
    length = grown * (style.sides + (style.top - style.sides) * up) + beard
    usable = (head.material == SKIN) & (grown + beard > 0)[head.faces].any(1)
    roots = np.unique(head.faces[usable])
    number = np.full(len(points), -1, np.int32)
    number[roots] = np.arange(len(roots))
    brow = np.clip((head.points[:, 2:] - 0.2) / 0.8, 0, 1) * grown[:, None]  # hair above the face
    lie = normals + style.comb * grown[:, None] - as_floats([0, 0.55, 0])
    lie += brow * (1 - style.fringe) * as_floats([0, 0.75, -0.8])
    lie += normals * np.clip(0.5 - (lie * normals).sum(1, keepdims=True), 0, None)  # never into the head
    lie /= np.linalg.norm(lie, axis=1, keepdims=True)
    step = (lie * np.maximum(length, 0.004)[:, None])[roots]
    heights = (
        np.arange(style.layers, dtype=np.float32)[::-1] + 0.5
    ) / style.layers  # the outermost hides the rest
    layers = [points[roots] + height * step + 0.006 * normals[roots] for height in heights]
    return Growth(
        points=np.concatenate(layers).astype(np.float32),
        parent=np.tile(roots, style.layers).astype(np.int32),
        stirs=np.ones(len(roots) * style.layers, np.float32),
        shade=np.repeat(0.35 + 0.65 * heights, len(roots)).astype(np.float32),
        faces=np.concatenate([number[head.faces[usable]] + k * len(roots) for k in range(style.layers)]),
        texture_faces=np.tile(head.texture_faces[usable], (style.layers, 1)),
        texture=None,
        shell=np.repeat(255 * (0.08 + 0.72 * heights), usable.sum()).astype(np.float32),
    )


def grow_fall(points: Floats, style: Style, rng: np.random.Generator) -> Growth:
    """Long hair: three ragged curtains round the head, from above the ears down."""
    rows, columns, sheets = 10, 33, 3
    down, around = np.meshgrid(np.linspace(0, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    angle = np.pi + (np.pi - style.parting) * around
    tier = points[(template().points[:, 1] > 7.4) & (template().points[:, 1] < 7.75)]
    wide, front, back = np.abs(tier[:, 0]).max(), tier[:, 2].max(), tier[:, 2].min()
    middle, top = 0.2, tier[:, 1].mean() + 0.12
    waves = style.wave * np.sin(down * rng.uniform(6, 12) + 2.5 * np.sin(angle * 3 + rng.uniform(0, 6)))
    sheet_points, sheet_shell = [], []
    swell = np.interp(down * style.fall, (0, 0.5, 1.3, 1.9, 3.0), (0.02, 0.10, 0.06, 0.12, 0.22))
    for sheet in range(sheets):
        out = swell + waves + 0.05 * sheet + 0.25 * style.sides
        depth = np.where(np.cos(angle) > 0, front - 0.25 - middle, middle - back) + out
        x = np.sin(angle) * (wide + out)
        y = top - down * style.fall * (1 + 0.06 * np.sin(5 * angle + sheet))
        sheet_points.append(np.stack([x, y, middle + np.cos(angle) * depth], -1).reshape(-1, 3))
        sheet_shell.append(255 * (0.12 + 0.2 * sheet + 0.35 * down[:-1, :-1] ** 4).ravel())
    cells = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    quads = np.stack([cells[:-1, :-1], cells[1:, :-1], cells[1:, 1:], cells[:-1, 1:]], -1).reshape(-1, 4)
    one = quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    outer = np.concatenate([one, one[:, ::-1]])  # seen from outside, and from inside behind the neck
    grown = np.concatenate(sheet_points).astype(np.float32)
    fold = np.abs((np.arange(columns) / 8) % 2 - 1)  # the strands of the back of the head, to and fro
    texture = np.stack([np.broadcast_to(0.045 + 0.1 * fold, (rows, columns)), 0.15 + 0.5 * down], -1).reshape(
        -1, 2
    )
    return Growth(
        points=grown,
        parent=_nearest_still(grown, points),
        stirs=np.zeros(len(grown), np.float32),
        shade=np.repeat(as_floats([0.5, 0.75, 0.95]), rows * columns),
        faces=np.concatenate([outer + k * rows * columns for k in range(sheets)]),
        texture_faces=np.tile(outer, (sheets, 1)),
        texture=texture.astype(np.float32),
        shell=np.concatenate([np.tile(np.repeat(s, 2), 2) for s in sheet_shell]).astype(np.float32),
    )


def _nearest_still(places: Floats, points: Floats) -> Ints:
    """For each place [N, 3] the nearest skin point outside the face."""
    head = template()
    still = np.unique(head.faces[(head.material == SKIN)])
    still = still[head.points[still, 2] < 0.6]
    nearest: Ints = still[scipy.spatial.cKDTree(points[still]).query(places)[1]].astype(np.int32)
    return nearest


def _beard_length(points: Floats, traits: Traits) -> Floats:
    if max(traits.beard, traits.moustache) < 0.5:
        return np.zeros(len(points), np.float32)
    return (0.11 * beard_region(points, np.zeros(len(points), np.float32), traits)).astype(np.float32)


def paint_strands(
    style: Style, traits: Traits, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """How far out the hair of each texel reaches, and its tone (128: the hair's own colour): two uint8 [S, S]."""
    place, lips = atlas().place, atlas().lips
    grows = scalp(place, style)
    if max(traits.beard, traits.moustache) >= 0.5:
        grows = np.maximum(grows, 0.8 * beard_region(place, lips, traits))
    locks = noise(rng, style.strand, 16)
    fine = noise(rng, 2, 12)
    wave = noise(rng, 24, 3)
    ragged = np.clip(1.5 * grows + 0.25 * (noise(rng, 5, 6) - 1) * ((grows > 0.2) & (grows < 0.9)), 0, 1)
    cover = ragged * np.clip(0.72 + 0.2 * locks + 0.12 * fine, 0, 1)
    tone = 128 + 30 * locks + 22 * fine + 14 * wave
    return (255 * cover).astype(np.uint8), np.clip(tone, 20, 255).astype(np.uint8)
