"""A camera films a surface: perspective, bend, the room's light, and a pixel's aperture over the fine pattern.

Units: the camera looks along +z, x right, y down; the surface's centre is at distance 1; directions are unit
vectors. On the surface lengths are sensor pixels as seen upright from the front.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from safas.capture.camera import Floats, Image, floats
from safas.capture.instruments import Surface


@dataclass(frozen=True)
class Placement:
    """Where the surface is in one frame: angles in radians, shift in pixels of the sensor."""

    yaw: float
    pitch: float
    roll: float
    shift: tuple[float, float]

    def axes(self) -> NDArray[Any]:
        """Rows: the surface's x axis, y axis and normal (towards the scene, +z when upright)."""
        (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (self.yaw, self.pitch, self.roll))
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return np.asarray((about_y @ about_x @ about_z).T)


@dataclass(frozen=True)
class Lamp:
    """The light that falls on a page: from `direction` (towards the lamp), plus the room's ambient, linear RGB."""

    direction: tuple[float, float, float]
    key: tuple[float, float, float]
    ambient: tuple[float, float, float]


def film(
    surface: Surface,
    placement: Placement,
    lamp: Lamp,
    size: tuple[int, int],
    focal_px: float,
    taps: NDArray[Any],
) -> tuple[Image, NDArray[Any]]:
    """Radiance float32 [H, W, 3] of the surface and its cover [H, W] in 0..1 (1 = the pixel sees only it).

    `size` is (width, height) of the sensor; `taps` come from `camera.aperture_taps`. The radiance is already
    weighted by the cover: add (1 - cover) times what lies behind.
    """
    width, height = size
    radiance = np.zeros((height, width, 3), np.float32)
    cover = np.zeros((height, width), np.float32)
    _film(
        _window(surface, placement, size, focal_px, float(np.abs(taps).max())),
        surface.texture,
        np.float32(surface.texels),
        placement.axes().astype(np.float32),
        floats(placement.shift) / np.float32(focal_px),
        np.float32(surface.bend),
        np.float32(focal_px),
        taps,
        surface.lit,
        np.float32(surface.grid),
        np.float32(surface.gloss),
        np.array([lamp.direction, lamp.key, lamp.ambient], np.float32),
        radiance,
        cover,
    )
    return radiance, cover


def seen_at(
    points: NDArray[Any], placement: Placement, bend: float, size: tuple[int, int], focal_px: float
) -> NDArray[Any]:
    """Pixels [n, 2] at which the camera sees points [n, 2] of the surface (sensor pixels from its centre)."""
    x_axis, y_axis, normal = placement.axes()
    metric = points / focal_px
    lifted = bend * 0.5 * metric[:, :1] ** 2
    space = metric[:, :1] * x_axis + metric[:, 1:] * y_axis + lifted * normal
    space += [placement.shift[0] / focal_px, placement.shift[1] / focal_px, 1.0]
    return np.asarray(focal_px * space[:, :2] / space[:, 2:] + np.array(size) / 2)


def _window(
    surface: Surface, placement: Placement, size: tuple[int, int], focal_px: float, reach: float
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels that may see the surface: all others are left black."""
    half = np.array(surface.texture.shape[1::-1]) / (2 * surface.texels)
    along = np.linspace(-1, 1, 9)
    edge = np.array([(x, y) for x in along for y in along if max(abs(x), abs(y)) == 1]) * half
    seen = seen_at(edge, placement, surface.bend, size, focal_px)
    margin = reach + 0.03 * max(size)  # what nine points an edge can miss of its bow
    left, top = np.clip(seen.min(axis=0) - margin, 0, size).astype(int)
    right, bottom = np.clip(seen.max(axis=0) + margin + 1, 0, size).astype(int)
    return (int(left), int(top), int(right), int(bottom))


@numba.njit(cache=True)
def _stripe(phase: Any, depth: Any) -> Any:
    """Light of a stripe across one screen pixel (phase 0..1): bright in the middle, mean 1."""
    return 1 - depth * (1 - 6 * phase * (1 - phase))


@numba.njit(cache=True)
def _film(
    window: tuple[int, int, int, int],
    texture: Floats,
    texels: Any,
    axes: Floats,
    shift: Floats,
    bend: Any,
    focal: Any,
    taps: Floats,
    lit: bool,
    grid: Any,
    gloss: Any,
    light: Floats,
    radiance: Floats,
    cover: Floats,
) -> None:
    height, width, _ = radiance.shape
    rows, columns, _ = texture.shape
    n0, n1, n2 = axes[2]
    count = taps.shape[0]
    left, top, right, bottom = window
    for i in range(top, bottom):
        for j in range(left, right):
            red = green = blue = seen = np.float32(0)
            across = np.float32(0)
            for t in range(count):
                dx = (np.float32(j) + np.float32(0.5) + taps[t, 0] - width * np.float32(0.5)) / focal
                dy = (np.float32(i) + np.float32(0.5) + taps[t, 1] - height * np.float32(0.5)) / focal
                facing = n0 * dx + n1 * dy + n2
                p = np.float32(0)
                q = np.float32(0)
                for _ in range(1 if lit else 2):  # the bent surface, by fixed-point steps from the plane
                    lifted = bend * np.float32(0.5) * p * p
                    depth = (n0 * shift[0] + n1 * shift[1] + n2 + lifted) / facing
                    x, y, z = dx * depth - shift[0], dy * depth - shift[1], depth - np.float32(1)
                    p = x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2]
                    q = x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2]
                u = p * focal * texels + columns * np.float32(0.5)
                v = q * focal * texels + rows * np.float32(0.5)
                if u < 0 or v < 0 or u >= columns or v >= rows:
                    continue
                a, b = int(u), int(v)
                opacity = texture[b, a, 3]
                seen += opacity
                across += p
                if grid > 0:  # lit stripes of red, green and blue, dark between the rows
                    row = _stripe(v - b, grid)
                    red += texture[b, a, 0] * row * _stripe((u - a + np.float32(0.33333334)) % 1, grid)
                    green += texture[b, a, 1] * row * _stripe(u - a, grid)
                    blue += texture[b, a, 2] * row * _stripe((u - a + np.float32(0.6666667)) % 1, grid)
                else:
                    red += texture[b, a, 0] * opacity
                    green += texture[b, a, 1] * opacity
                    blue += texture[b, a, 2] * opacity
            if seen == 0:
                continue
            cover[i, j] = seen / count
            if lit:
                radiance[i, j, 0], radiance[i, j, 1], radiance[i, j, 2] = (
                    red / count,
                    green / count,
                    blue / count,
                )
                continue
            tilt = bend * across / count
            m0, m1, m2 = n0 - tilt * axes[0, 0], n1 - tilt * axes[0, 1], n2 - tilt * axes[0, 2]
            length = np.sqrt(m0 * m0 + m1 * m1 + m2 * m2)
            facing = -(m0 * light[0, 0] + m1 * light[0, 1] + m2 * light[0, 2]) / length
            diffuse = max(facing, np.float32(0))
            dx = (j - width * np.float32(0.5)) / focal
            dy = (i - height * np.float32(0.5)) / focal
            # the half vector between the lamp and the camera decides where a glossy page shines
            h0, h1, h2 = light[0, 0] - dx, light[0, 1] - dy, light[0, 2] - np.float32(1)
            half = -(m0 * h0 + m1 * h1 + m2 * h2) / (length * np.sqrt(h0 * h0 + h1 * h1 + h2 * h2))
            shine = gloss * max(half, np.float32(0)) ** 60 * seen / count
            radiance[i, j, 0] = red / count * (light[2, 0] + light[1, 0] * diffuse) + shine * light[1, 0]
            radiance[i, j, 1] = green / count * (light[2, 1] + light[1, 1] * diffuse) + shine * light[1, 1]
            radiance[i, j, 2] = blue / count * (light[2, 2] + light[1, 2] * diffuse) + shine * light[1, 2]
