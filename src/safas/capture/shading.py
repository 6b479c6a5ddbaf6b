"""How much light comes from each sample: skin, eyes, hair, cloth (compiled; linear RGB).

Diffuse light is per point and comes in already (`per_point`: RGB, the view of the key lamp, the view of the sky,
the normal); here it meets the albedo, the relief and the gloss. Gloss is the normalised Blinn-Phong lobe with
Schlick's Fresnel factor; hair shines across its strands (Kajiya and Kay 1989).

Scalars and tuples throughout: in compiled code a slice of an array costs more than the arithmetic on it.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from safas.capture.mesh import CLOTH, EYE, HAIR, SKIN, Floats, Ints

Vector = tuple[float, float, float]
_F0 = 0.028  # of skin's oil against air
_RELIEF = 1e-4 / 40  # metres of height per step of the texture


@njit(cache=True, error_model="numpy")
def mix(values: Floats, corners: tuple[int, int, int], weights: Vector, channel: int) -> float:
    mean: float = (
        weights[0] * values[corners[0], channel]
        + weights[1] * values[corners[1], channel]
        + weights[2] * values[corners[2], channel]
    )
    return mean


@njit(cache=True, error_model="numpy")
def mix3(values: Floats, corners: tuple[int, int, int], weights: Vector, first: int) -> Vector:
    return (
        mix(values, corners, weights, first),
        mix(values, corners, weights, first + 1),
        mix(values, corners, weights, first + 2),
    )


@njit(cache=True, error_model="numpy")
def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True, error_model="numpy")
def unit(x: float, y: float, z: float) -> Vector:
    scale = 1.0 / (math.sqrt(x * x + y * y + z * z) + 1e-12)
    return x * scale, y * scale, z * scale


@njit(cache=True, error_model="numpy")
def lobe(cosine: float, doublings: int) -> float:
    """Normalised Blinn-Phong lobe times pi; its exponent is 2 ** doublings."""
    exponent = 1.0
    for _ in range(doublings):
        cosine *= cosine
        exponent *= 2.0
    return (exponent + 8) / 8 * cosine


@njit(cache=True, error_model="numpy")
def texel(picture: NDArray[np.uint8], x: float, y: float, paint: Floats, j: int, i: int) -> None:
    """Bilinear at (x, y) in texels: linear albedo (the texture holds its square root) and relief, into the sample."""
    rows, columns = picture.shape[0], picture.shape[1]
    x = min(max(x - 0.5, 0.0), columns - 1.001)
    y = min(max(y - 0.5, 0.0), rows - 1.001)
    m, n = int(x), int(y)
    u, v = x - m, y - n
    a, b, c, d = (1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v
    for k in range(4):
        value = (
            a * picture[n, m, k]
            + b * picture[n, m + 1, k]
            + c * picture[n + 1, m, k]
            + d * picture[n + 1, m + 1, k]
        )
        paint[j, i, k] = value if k == 3 else value * value * (1 / 65025)


@njit(cache=True, error_model="numpy")
def painted(
    seen: Ints, weights: Floats, material: NDArray[np.uint8], texture: Floats, texture_faces: Ints,
    skin: NDArray[np.uint8],
) -> Floats:  # fmt: skip
    """Skin's albedo and relief at each sample [h, w, 4]; relief 128 where there is no skin."""
    height, width = seen.shape
    paint = np.empty((height, width, 4), np.float32)
    for j in range(height):
        for i in range(width):
            f = seen[j, i]
            paint[j, i, 3] = 128
            if f < 0 or material[f] != SKIN:
                continue
            corners = (texture_faces[f, 0], texture_faces[f, 1], texture_faces[f, 2])
            shares = (weights[j, i, 0], weights[j, i, 1], weights[j, i, 2])
            x = mix(texture, corners, shares, 0) * skin.shape[1]
            y = mix(texture, corners, shares, 1) * skin.shape[0]
            texel(skin, x, y, paint, j, i)
    return paint


@njit(cache=True, error_model="numpy")
def hair_tone(
    tone: NDArray[np.uint8], texture: Floats, corners: tuple[int, int, int], weights: Vector
) -> float:
    """Lightness of the strand there, 1 = the hair's own."""
    x = int(mix(texture, corners, weights, 0) * tone.shape[1])
    y = int(mix(texture, corners, weights, 1) * tone.shape[0])
    strand: float = tone[min(max(y, 0), tone.shape[0] - 1), min(max(x, 0), tone.shape[1] - 1)] / 128.0
    return strand


@njit(cache=True, error_model="numpy")
def eyeball(look: Vector, gaze: Vector, iris: Vector) -> Vector:
    """Albedo of the eye where its surface points along `look`: pupil, iris, white."""
    angle = math.acos(min(max(dot(look, gaze), -1.0), 1.0))
    if angle < 0.15:
        return 0.004, 0.004, 0.004
    if angle < 0.43:
        around = math.atan2(look[1] - gaze[1], look[0] - gaze[0])
        spokes = 0.8 + 0.25 * math.sin(around * 23.0 + 3 * math.sin(around * 7.0)) + 0.6 * (angle < 0.24)
        ring = spokes * (1.0 - 0.75 * min(max((angle - 0.36) / 0.07, 0.0), 1.0))
        return iris[0] * ring, iris[1] * ring, iris[2] * ring
    edge = min((angle - 0.43) / 0.06, 1.0)
    veins = min(max((angle - 0.7) / 0.6, 0.0), 1.0)
    red = 1 - 0.35 * veins
    return (0.10 + 0.52 * edge) * (1 - 0.1 * veins), (0.09 + 0.47 * edge) * red, (0.08 + 0.45 * edge) * red


@njit(cache=True, error_model="numpy")
def across(normal: Vector, half: Vector) -> float:
    """Highlight of strands that hang down along the surface."""
    tx, ty, tz = unit(-normal[1] * normal[0], 1 - normal[1] * normal[1], -normal[1] * normal[2])
    along = tx * half[0] + ty * half[1] + tz * half[2]
    return 0.05 * lobe(math.sqrt(max(1 - along * along, 0.0)), 5)


@njit(cache=True, error_model="numpy")
def highlight(kind: int, normal: Vector, view: Vector, key: Vector, facing: float) -> float:
    """What the surface mirrors of the key lamp, for a shine of 1; `facing` is the cosine to the lamp."""
    half = unit(view[0] + key[0], view[1] + key[1], view[2] + key[2])
    if kind == HAIR:
        return across(normal, half) * max(facing + 0.3, 0.0)
    if facing <= 0:
        return 0.0
    grazing = 1 - max(dot(half, view), 0.0)
    fresnel = _F0 + (1 - _F0) * grazing * grazing * grazing * grazing * grazing
    cosine = max(dot(normal, half), 0.0)
    narrow = lobe(cosine, 9) * 2 if kind == EYE else lobe(cosine, 6)
    return fresnel * (0.7 * lobe(cosine, 4) + 0.3 * narrow) * facing


@njit(cache=True, error_model="numpy")
def tilted(normal: Vector, paint: Floats, j: int, i: int, slope: float) -> Vector:
    """The normal turned by the relief between neighbouring samples."""
    if not (0 < i < paint.shape[1] - 1 and 0 < j < paint.shape[0] - 1):
        return normal
    x = normal[0] - slope * (paint[j, i + 1, 3] - paint[j, i - 1, 3])
    y = normal[1] - slope * (paint[j + 1, i, 3] - paint[j - 1, i, 3])
    return unit(x, y, normal[2])


@njit(cache=True, error_model="numpy")
def flat(cloth: bool, colour: Floats, corners: tuple[int, int, int], weights: Vector, bare: Vector) -> Vector:
    """Albedo of what has no texture; of a shirt: skin above the neckline, and a hem below it."""
    albedo = mix3(colour, corners, weights, 0)
    if not cloth:
        return albedo
    above = mix(colour, corners, weights, 3)
    if above > 0:
        return bare
    hem = 0.7 if above > -0.012 else (1.0 if above < -0.07 else 0.9)
    return albedo[0] * hem, albedo[1] * hem, albedo[2] * hem


@njit(cache=True, error_model="numpy")
def shade(
    seen: Ints, weights: Floats, per_point: Floats, faces: Ints, material: NDArray[np.uint8], texture: Floats,
    texture_faces: Ints, skin: NDArray[np.uint8], tone: NDArray[np.uint8], colour: Floats, look: Floats,
    gaze: Vector, hair: Vector, iris: Vector, bare: Vector, shines: Floats, key: Vector, key_rgb: Vector,
    ambient: Vector, axis: Vector, density: float,
) -> Floats:  # fmt: skip
    """Samples [h, w, 4]: radiance, and 1 where the person is.

    `per_point` [P, 8]: diffuse light (RGB), view of the key lamp, view of the sky, normal. `axis`: the camera's
    axis and focal length in samples; `density`: samples a metre. `shines` [7]: gloss of each material.
    """
    height, width = seen.shape
    out = np.zeros((height, width, 4), np.float32)
    paint = painted(seen, weights, material, texture, texture_faces, skin)
    slope = 0.5 * _RELIEF * density
    for j in range(height):
        for i in range(width):
            f = seen[j, i]
            if f < 0:
                continue
            kind = material[f]
            corners = (faces[f, 0], faces[f, 1], faces[f, 2])
            shares = (weights[j, i, 0], weights[j, i, 1], weights[j, i, 2])
            raw = mix3(per_point, corners, shares, 5)
            normal = unit(raw[0], raw[1], raw[2])
            smooth = max(dot(normal, key), 0.0)
            strand = 1.0
            if kind == SKIN:
                albedo = (paint[j, i, 0], paint[j, i, 1], paint[j, i, 2])
                normal = tilted(normal, paint, j, i, slope)
            elif kind == EYE:
                albedo = eyeball(mix3(look, corners, shares, 0), gaze, iris)
            elif kind == HAIR:
                layout = (texture_faces[f, 0], texture_faces[f, 1], texture_faces[f, 2])
                strand = hair_tone(tone, texture, layout, shares)
                albedo = (hair[0] * strand, hair[1] * strand, hair[2] * strand)
            else:
                albedo = flat(kind == CLOTH, colour, corners, shares, bare)
            shine = shines[kind] * strand
            view = unit(axis[0] - i - 0.5, axis[1] - j - 0.5, -axis[2])
            facing = dot(normal, key)
            away = 1 - max(dot(normal, view), 0.0)
            light = mix3(per_point, corners, shares, 0)
            open_key = mix(per_point, corners, shares, 3)
            mirrored = shine * open_key * highlight(kind, normal, view, key, facing)
            rim = shine * (_F0 + 0.3 * away * away * away * away * away) * mix(per_point, corners, shares, 4)
            bump = open_key * (max(facing, 0.0) - smooth)
            for c in range(3):
                diffuse = max(light[c] + bump * key_rgb[c], 0.0)
                out[j, i, c] = albedo[c] * diffuse + mirrored * key_rgb[c] + rim * ambient[c]
            out[j, i, 3] = 1
    return out


@njit(cache=True, error_model="numpy")
def blend(samples: Floats, times: int, image: Floats, alpha: Floats) -> None:
    """Averages times x times samples into each pixel, over what is there already."""
    share = np.float32(1.0 / (times * times))
    for j in range(image.shape[0]):
        for i in range(image.shape[1]):
            red, green, blue, there = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for y in range(j * times, (j + 1) * times):
                for x in range(i * times, (i + 1) * times):
                    red += samples[y, x, 0]
                    green += samples[y, x, 1]
                    blue += samples[y, x, 2]
                    there += samples[y, x, 3]
            there *= share
            image[j, i, 0] = image[j, i, 0] * (1 - there) + red * share
            image[j, i, 1] = image[j, i, 1] * (1 - there) + green * share
            image[j, i, 2] = image[j, i, 2] * (1 - there) + blue * share
            alpha[j, i] = there
