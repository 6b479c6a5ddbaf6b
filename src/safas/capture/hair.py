"""Hair as fur: the scalp's surface repeated outwards in layers, each with fewer strands than the one below."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safas.capture.mesh import SKIN, Floats, Ints, template
from safas.capture.skin import SIDE, Traits, atlas, beard_region, noise

# The hairline of a full head: height (template decimetres) by the angle from straight ahead.
_ANGLES = (0.0, 0.45, 0.75, 0.95, 1.15, 1.45, 1.7, 2.0, 2.5, 3.2)
_HEIGHTS = (8.06, 8.03, 7.9, 7.62, 7.42, 7.36, 7.22, 6.8, 6.5, 6.4)


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


@dataclass(frozen=True)
class Fur:
    """Points [P, 3] in template coordinates; triangles with their texture's; what each layer lets through."""

    points: Floats
    parent: Ints
    depth: Floats  # [P] 0 at the root, 1 at the tips
    faces: Ints
    texture_faces: Ints
    shell: Floats
    cover: NDArray[np.uint8]  # [S, S]
    tone: NDArray[np.uint8]  # [S, S], 128 = the hair's own colour


def draw_style(traits: Traits, rng: np.random.Generator) -> Style:
    bald = float(traits.male > 0.5 and rng.random() < 0.12 + 0.3 * traits.age)
    cropped = traits.male > 0.5 and rng.random() < 0.45
    top = rng.uniform(0.05, 0.14) if cropped else rng.uniform(0.18, 0.42)
    sides = min(top, rng.uniform(0.03, 0.10) if traits.male > 0.5 else rng.uniform(0.14, 0.3))
    comb = np.float32([rng.normal(0, 0.5), rng.uniform(-0.5, 0.1), rng.normal(0, 0.5)])
    recede = float(abs(rng.normal(0, 0.06)) + 0.2 * traits.age * traits.male)
    return Style(float(top), float(sides), recede, bald, comb, int(rng.integers(2, 6)), 4 if cropped else 7)


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


def grow(points: Floats, normals: Floats, style: Style, traits: Traits, rng: np.random.Generator) -> Fur:
    """Fur for a person whose `points` and unit `normals` [P, 3] are in template coordinates."""
    head, where = template(), atlas()
    hair = scalp(head.points, style)
    beard = _beard_length(head.points, traits)
    up = np.clip((head.points[:, 1] - 7.3) / 0.8, 0, 1)
    length = hair * (style.sides + (style.top - style.sides) * up) + beard
    rooted = (hair > 0) | (beard > 0)
    usable = (head.material == SKIN) & rooted[head.faces].any(1)
    roots = np.unique(head.faces[usable])
    number = np.full(len(points), -1, np.int32)
    number[roots] = np.arange(len(roots))
    lie = normals + style.comb * hair[:, None] + np.float32([0, -0.55, 0])
    lie /= np.linalg.norm(lie, axis=1, keepdims=True)
    step = (lie * np.maximum(length, 0.004)[:, None])[roots]
    heights = (np.arange(style.layers, dtype=np.float32) + 0.5) / style.layers
    layers = [points[roots] + height * step + 0.006 * normals[roots] for height in heights]
    faces = [number[head.faces[usable]] + layer * len(roots) for layer in range(style.layers)]
    cover, tone = _strands(style, traits, where.place, where.lips, rng)
    return Fur(
        points=np.concatenate(layers).astype(np.float32),
        parent=np.tile(roots, style.layers).astype(np.int32),
        depth=np.repeat(heights, len(roots)),
        faces=np.concatenate(faces).astype(np.int32),
        texture_faces=np.tile(head.texture_faces[usable], (style.layers, 1)),
        shell=np.repeat(255 * (0.08 + 0.72 * heights), usable.sum()).astype(np.float32),
        cover=cover,
        tone=tone,
    )


def _beard_length(points: Floats, traits: Traits) -> Floats:
    if max(traits.beard, traits.moustache) < 0.5:
        return np.zeros(len(points), np.float32)
    return (0.11 * beard_region(points, np.zeros(len(points), np.float32), traits)).astype(np.float32)


def _strands(
    style: Style, traits: Traits, place: Floats, lips: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    grows = scalp(place, style)
    if max(traits.beard, traits.moustache) >= 0.5:
        grows = np.maximum(grows, 0.8 * beard_region(place, lips, traits))
    locks = noise(rng, style.strand, 16)
    fine = noise(rng, 2, 12)
    wave = noise(rng, 24, 3)
    ragged = np.clip(1.5 * grows + 0.25 * (noise(rng, 5, 6) - 1) * (grows < 0.9), 0, 1)
    cover = ragged * np.clip(0.72 + 0.2 * locks + 0.12 * fine, 0, 1)
    tone = 128 + 30 * locks + 22 * fine + 14 * wave
    return (255 * cover).astype(np.uint8), np.clip(tone, 20, 255).astype(np.uint8)


def texels() -> int:
    """Side of the textures that `grow` paints."""
    return SIDE
