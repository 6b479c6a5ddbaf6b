"""How much light comes from each sample: skin, eyes, hair, cloth (compiled; linear RGB).

Diffuse light is per point and comes in already (`per_point`: RGB, the view of the key lamp, the view of the sky);
here it meets the albedo, the relief and the gloss. Gloss is the normalised Blinn-Phong lobe with Schlick's Fresnel
factor; hair shines across its strands (Kajiya and Kay 1989).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from safas.capture.mesh import EYE, HAIR, SKIN, Floats, Ints

_F0 = 0.028  # of skin's oil against air
_RELIEF = 1e-4 / 40  # metres of height per step of the texture


@njit(cache=True)
def texel(picture: NDArray[np.uint8], x: float, y: float, out: Floats) -> None:
    """Bilinear at (x, y) in texels: linear albedo (the texture holds its square root) and relief, into `out` [4]."""
    rows, columns = picture.shape[0], picture.shape[1]
    x = min(max(x - 0.5, 0.0), columns - 1.001)
    y = min(max(y - 0.5, 0.0), rows - 1.001)
    i, j = int(x), int(y)
    u, v = np.float32(x - i), np.float32(y - j)
    for c in range(4):
        low = picture[j, i, c] * (1 - u) + picture[j, i + 1, c] * u
        high = picture[j + 1, i, c] * (1 - u) + picture[j + 1, i + 1, c] * u
        out[c] = low * (1 - v) + high * v
    for c in range(3):
        out[c] = (out[c] / 255) ** 2


@njit(cache=True)
def iris_colour(look: Floats, gaze: Floats, iris: Floats, out: Floats) -> float:
    """Albedo of the eyeball where it looks along `look`, into `out`; returns how wet and bare the place is."""
    cosine = look[0] * gaze[0] + look[1] * gaze[1] + look[2] * gaze[2]
    angle = np.arccos(min(max(cosine, -1.0), 1.0))
    if angle < 0.15:
        out[:] = np.float32(0.004)
    elif angle < 0.43:
        around = np.arctan2(look[1] - gaze[1], look[0] - gaze[0])
        spokes = 0.8 + 0.25 * np.sin(around * 23.0 + 3 * np.sin(around * 7.0)) + 0.6 * (angle < 0.24)
        ring = 1.0 - 0.75 * min(max((angle - 0.36) / 0.07, 0.0), 1.0)
        for c in range(3):
            out[c] = iris[c] * spokes * ring
    else:
        edge = min((angle - 0.43) / 0.06, 1.0)
        veins = min(max((angle - 0.7) / 0.6, 0.0), 1.0)
        out[0] = (0.10 + 0.52 * edge) * (1 - 0.1 * veins)
        out[1] = (0.09 + 0.47 * edge) * (1 - 0.35 * veins)
        out[2] = (0.08 + 0.45 * edge) * (1 - 0.35 * veins)
    return 1.0 if angle < 0.5 else 0.5


@njit(cache=True)
def mixed(values: Floats, corners: Ints, weights: Floats, channel: int) -> float:
    return (
        weights[0] * values[corners[0], channel]
        + weights[1] * values[corners[1], channel]
        + weights[2] * values[corners[2], channel]
    )


@njit(cache=True)
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
            x = mixed(texture, texture_faces[f], weights[j, i], 0) * skin.shape[1]
            y = mixed(texture, texture_faces[f], weights[j, i], 1) * skin.shape[0]
            texel(skin, x, y, paint[j, i])
    return paint


@njit(cache=True)
def hair_tone(tone: NDArray[np.uint8], texture: Floats, corners: Ints, weights: Floats) -> float:
    """Lightness of the strand there, 1 = the hair's own."""
    x = int(mixed(texture, corners, weights, 0) * tone.shape[1])
    y = int(mixed(texture, corners, weights, 1) * tone.shape[0])
    return tone[min(max(y, 0), tone.shape[0] - 1), min(max(x, 0), tone.shape[1] - 1)] / 128.0


@njit(cache=True)
def tilt(normal: Floats, paint: Floats, j: int, i: int, slope: float) -> None:
    """Turns the normal by the relief between neighbouring samples."""
    if 0 < i < paint.shape[1] - 1 and 0 < j < paint.shape[0] - 1:
        normal[0] -= slope * (paint[j, i + 1, 3] - paint[j, i - 1, 3])
        normal[1] -= slope * (paint[j + 1, i, 3] - paint[j - 1, i, 3])
        unit(normal)


@njit(cache=True)
def highlight(kind: int, normal: Floats, view: Floats, key: Floats, half: Floats, facing_key: float) -> float:
    """What the surface mirrors of the key lamp, for a shine of 1."""
    for c in range(3):
        half[c] = view[c] + key[c]
    unit(half)
    if kind == HAIR:
        return _across(normal, half) * max(facing_key + 0.3, 0.0)
    if facing_key <= 0:
        return 0.0
    grazing = 1 - max(dot(half, view), 0.0)
    fresnel = _F0 + (1 - _F0) * grazing * grazing * grazing * grazing * grazing
    cosine = max(dot(normal, half), 0.0)
    broad = lobe(cosine, 4)
    narrow = lobe(cosine, 9) * 2 if kind == EYE else lobe(cosine, 6)
    return fresnel * (0.7 * broad + 0.3 * narrow) * facing_key


@njit(cache=True)
def shade(
    seen: Ints, weights: Floats, per_point: Floats, faces: Ints, material: NDArray[np.uint8], texture: Floats,
    texture_faces: Ints, skin: NDArray[np.uint8], tone: NDArray[np.uint8], colour: Floats, look: Floats,
    gaze: Floats, hair: Floats, iris: Floats, shine_of: Floats, key: Floats, key_rgb: Floats, ambient: Floats,
    axis: Floats, density: float,
) -> Floats:  # fmt: skip
    """Samples [h, w, 4]: radiance, and 1 where the person is.

    `per_point` [P, 8]: diffuse light (RGB), view of the key lamp, view of the sky, normal. `axis`: the camera's
    axis and focal length in samples; `density`: samples a metre. `shine_of` [7]: gloss of each material.
    """
    height, width = seen.shape
    out = np.zeros((height, width, 4), np.float32)
    paint = painted(seen, weights, material, texture, texture_faces, skin)
    albedo, eye, half = np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32)
    normal, view = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for j in range(height):
        for i in range(width):
            f = seen[j, i]
            if f < 0:
                continue
            kind, corners, w = material[f], faces[f], weights[j, i]
            shine = shine_of[kind]
            for c in range(3):
                normal[c] = mixed(per_point, corners, w, 5 + c)
            unit(normal)
            smooth = max(dot(normal, key), 0.0)
            if kind == SKIN:
                albedo[:] = paint[j, i, :3]
                tilt(normal, paint, j, i, 0.5 * _RELIEF * density)
            elif kind == EYE:
                for c in range(3):
                    eye[c] = mixed(look, corners, w, c)
                shine *= iris_colour(eye, gaze, iris, albedo)
            elif kind == HAIR:
                strand = hair_tone(tone, texture, texture_faces[f], w)
                albedo[:] = hair * strand
                shine *= strand
            else:
                for c in range(3):
                    albedo[c] = mixed(colour, corners, w, c)
            view[0], view[1], view[2] = axis[0] - i - 0.5, axis[1] - j - 0.5, -axis[2]
            unit(view)
            facing_key = dot(normal, key)
            away = 1 - max(dot(normal, view), 0.0)
            open_key = mixed(per_point, corners, w, 3)
            mirrored = shine * open_key * highlight(kind, normal, view, key, half, facing_key)
            rim = (_F0 + 0.3 * away * away * away * away * away) * mixed(per_point, corners, w, 4) * shine
            bump = open_key * (max(facing_key, 0.0) - smooth)
            for c in range(3):
                diffuse = max(mixed(per_point, corners, w, c) + bump * key_rgb[c], 0.0)
                out[j, i, c] = albedo[c] * diffuse + mirrored * key_rgb[c] + rim * ambient[c]
            out[j, i, 3] = 1
    return out


@njit(cache=True)
def dot(a: Floats, b: Floats) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True)
def lobe(cosine: float, doublings: int) -> float:
    """Normalised Blinn-Phong lobe times pi; its exponent is 2 ** doublings."""
    exponent = 1.0
    for _ in range(doublings):
        cosine *= cosine
        exponent *= 2.0
    return (exponent + 8) / 8 * cosine


@njit(cache=True)
def unit(vector: Floats) -> None:
    length = np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2) + 1e-12
    vector[0] /= length
    vector[1] /= length
    vector[2] /= length


@njit(cache=True)
def _across(n: Floats, h: Floats) -> float:
    """Highlight of strands that hang down along the surface: sin(strand, half vector) ** 40."""
    tx, ty, tz = -n[1] * n[0], 1 - n[1] * n[1], -n[1] * n[2]
    length = np.sqrt(tx * tx + ty * ty + tz * tz) + 1e-6
    along = (tx * h[0] + ty * h[1] + tz * h[2]) / length
    return 0.05 * lobe(np.sqrt(max(1 - along * along, 0.0)), 5)


@njit(cache=True)
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
