"""How much light comes from each sample: skin, eyes, hair, cloth (compiled; linear RGB).

Diffuse light is per point and comes in already (`per_point`: RGB, the view of the key lamp, the view of the sky);
here it meets the albedo, the relief and the gloss. Gloss is the normalised Blinn-Phong lobe with Schlick's Fresnel
factor; hair shines across its strands (Kajiya and Kay 1989).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from safas.capture.mesh import CLOTH, EYE, HAIR, SKIN, Floats, Ints

_F0 = 0.028  # of skin's oil against air
_RELIEF = 1e-4 / 40  # metres of height per step of the texture


@njit(cache=True)
def texel(picture: NDArray[np.uint8], x: float, y: float, channel: int) -> float:
    """Bilinear; x and y in texels."""
    rows, columns = picture.shape[0], picture.shape[1]
    x = min(max(x - 0.5, 0.0), columns - 1.001)
    y = min(max(y - 0.5, 0.0), rows - 1.001)
    i, j = int(x), int(y)
    u, v = x - i, y - j
    low = picture[j, i, channel] * (1 - u) + picture[j, i + 1, channel] * u
    high = picture[j + 1, i, channel] * (1 - u) + picture[j + 1, i + 1, channel] * u
    return low * (1 - v) + high * v


@njit(cache=True)
def gloss(cosine: float, exponent: float) -> float:
    """Normalised Blinn-Phong lobe times pi."""
    return (exponent + 8) / 8 * max(cosine, 0.0) ** exponent


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
    return 1.0 if angle < 0.5 else 0.4


@njit(cache=True)
def corner_weights(screen: Floats, faces: Ints, f: int, x: float, y: float, out: Floats) -> None:
    """Weights of the triangle's corners at a sample, corrected for perspective."""
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    ax, ay, bx, by, cx, cy = (
        screen[a, 0],
        screen[a, 1],
        screen[b, 0],
        screen[b, 1],
        screen[c, 0],
        screen[c, 1],
    )
    u = ((cx - bx) * (y - by) - (cy - by) * (x - bx)) * screen[a, 2]
    v = ((ax - cx) * (y - cy) - (ay - cy) * (x - cx)) * screen[b, 2]
    w = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) * screen[c, 2]
    total = u + v + w
    out[0], out[1], out[2] = u / total, v / total, w / total


@njit(cache=True)
def mixed(values: Floats, corners: Ints, weights: Floats, channel: int) -> float:
    return (
        weights[0] * values[corners[0], channel]
        + weights[1] * values[corners[1], channel]
        + weights[2] * values[corners[2], channel]
    )


@njit(cache=True)
def painted(
    seen: Ints, screen: Floats, faces: Ints, material: NDArray[np.uint8], texture: Floats, texture_faces: Ints,
    skin: NDArray[np.uint8],
) -> Floats:  # fmt: skip
    """Skin's albedo and relief at each sample [h, w, 4]; relief 128 where there is no skin."""
    height, width = seen.shape
    paint = np.zeros((height, width, 4), np.float32)
    weights = np.zeros(3, np.float32)
    for j in range(height):
        for i in range(width):
            f = seen[j, i]
            paint[j, i, 3] = 128
            if f < 0 or material[f] != SKIN:
                continue
            corner_weights(screen, faces, f, i + 0.5, j + 0.5, weights)
            x = mixed(texture, texture_faces[f], weights, 0) * skin.shape[1]
            y = mixed(texture, texture_faces[f], weights, 1) * skin.shape[0]
            for c in range(3):
                paint[j, i, c] = (texel(skin, x, y, c) / 255) ** 2
            paint[j, i, 3] = texel(skin, x, y, 3)
    return paint


@njit(cache=True)
def shade(
    seen: Ints, near: Floats, screen: Floats, points: Floats, normals: Floats, per_point: Floats, faces: Ints,
    material: NDArray[np.uint8], texture: Floats, texture_faces: Ints, skin: NDArray[np.uint8],
    tone: NDArray[np.uint8], colour: Floats, look: Floats, gaze: Floats, hair: Floats, iris: Floats, key: Floats,
    key_rgb: Floats, ambient: Floats, oil: float, density: float,
) -> Floats:  # fmt: skip
    """Samples [h, w, 4]: radiance, and 1 where the person is."""
    height, width = seen.shape
    out = np.zeros((height, width, 4), np.float32)
    paint = painted(seen, screen, faces, material, texture, texture_faces, skin)
    weights, albedo, eye = np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32)
    n, v, h = np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32)
    slope = _RELIEF * density
    for j in range(height):
        for i in range(width):
            f = seen[j, i]
            if f < 0:
                continue
            kind = material[f]
            corners = faces[f]
            corner_weights(screen, faces, f, i + 0.5, j + 0.5, weights)
            for c in range(3):
                n[c] = mixed(normals, corners, weights, c)
                v[c] = -mixed(points, corners, weights, c)
            open_key, open_all = mixed(per_point, corners, weights, 3), mixed(per_point, corners, weights, 4)
            unit(n)
            unit(v)
            smooth = n[0] * key[0] + n[1] * key[1] + n[2] * key[2]
            shine, sharp, wet = oil, 60.0, 0.0
            if kind == SKIN:
                albedo[:] = paint[j, i, :3]
                if 0 < i < width - 1 and 0 < j < height - 1:
                    n[0] -= slope * 0.5 * (paint[j, i + 1, 3] - paint[j, i - 1, 3])
                    n[1] -= slope * 0.5 * (paint[j + 1, i, 3] - paint[j - 1, i, 3])
                    unit(n)
            elif kind == EYE:
                for c in range(3):
                    eye[c] = mixed(look, corners, weights, c)
                wet = iris_colour(eye, gaze, iris, albedo)
                shine, sharp = 1.0, 400.0
            elif kind == HAIR:
                x = mixed(texture, texture_faces[f], weights, 0) * tone.shape[1]
                y = mixed(texture, texture_faces[f], weights, 1) * tone.shape[0]
                strand = (
                    tone[min(max(int(y), 0), tone.shape[0] - 1), min(max(int(x), 0), tone.shape[1] - 1)]
                    / 128.0
                )
                for c in range(3):
                    albedo[c] = hair[c] * strand
                shine = 0.4 * strand
            else:
                for c in range(3):
                    albedo[c] = mixed(colour, corners, weights, c)
                shine = 0.0 if kind == CLOTH else 0.8
            facing = max(n[0] * v[0] + n[1] * v[1] + n[2] * v[2], 0.0)
            lamp = n[0] * key[0] + n[1] * key[1] + n[2] * key[2]
            for c in range(3):
                h[c] = v[c] + key[c]
            unit(h)
            if kind == HAIR:
                lobe = _across(n, h) * max(smooth + 0.3, 0.0)
            else:
                fresnel = _F0 + (1 - _F0) * (1 - max(h[0] * v[0] + h[1] * v[1] + h[2] * v[2], 0.0)) ** 5
                nh = n[0] * h[0] + n[1] * h[1] + n[2] * h[2]
                lobe = (
                    fresnel
                    * (0.7 * gloss(nh, 18.0) + 0.3 * gloss(nh, sharp) * (1 + 3 * wet))
                    * max(lamp, 0.0)
                )
            rim = (_F0 + 0.3 * (1 - facing) ** 5) * open_all * shine
            bump = open_key * (max(lamp, 0.0) - max(smooth, 0.0))
            for c in range(3):
                diffuse = max(mixed(per_point, corners, weights, c) + bump * key_rgb[c], 0.0)
                out[j, i, c] = albedo[c] * diffuse + shine * open_key * lobe * key_rgb[c] + rim * ambient[c]
            out[j, i, 3] = 1
    return out


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
    return 0.16 * max(1 - along * along, 0.0) ** 20


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
