"""What an attacker holds before the camera: a printed page or a lit screen, as a surface to be filmed.

Both are made from an ordinary picture of the victim (sRGB uint8). A page is ink on paper: tone is made of dots,
its gamut is that of the inks, and it reflects the room. A screen is a grid of lit stripes: it shines by itself,
never quite black, and its glass mirrors a lamp.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from safas.capture.camera import Floats, Image, floats, to_linear

# Light that passes a full layer of ink (R, G, B), for cyan, magenta, yellow and black.
_INKS = floats([[0.06, 0.42, 0.70], [0.68, 0.10, 0.32], [0.94, 0.82, 0.14], [0.05, 0.05, 0.055]])
_SCREEN_ANGLES = (15.0, 75.0, 0.0, 45.0)  # degrees, one an ink, so that the four grids don't beat


@dataclass(frozen=True)
class Printer:
    """Lengths in pixels of the filming sensor when the page is seen upright at the clip's distance."""

    name: str
    pitch_px: float  # between dots
    clustered: bool  # a laser printer's clustered dots, or an inkjet's scattered ones
    paper: tuple[float, float, float] = (0.86, 0.86, 0.84)  # reflectance
    depth: float = 0.65  # how much of the tone is made of dots; variable drops and light inks make the rest
    grain: float = 0.02  # contrast of the paper's fibres
    gloss: float = 0.05  # mirror reflection at the most
    bend: float = 0.3  # curvature at the most, 1 / (distance to the camera)


@dataclass(frozen=True)
class Screen:
    """Lengths in pixels of the filming sensor, as for `Printer`."""

    name: str
    pitch_px: float  # between pixels of the screen
    grid: float = 0.5  # how deep the dark between the stripes is
    black: float = 0.02  # light that leaks through a black pixel
    gamut: float = 0.85  # 1 = the full sRGB triangle
    contrast: float = 1.0  # exponent on the picture's linear light
    banding: float = 0.12  # brightness ripple of the backlight against the rolling shutter
    bands: float = 4.0  # ripples over the height of a frame
    glare: float = 0.35  # the lamp's mirror image on the glass at the most, of a white pixel


@dataclass(frozen=True)
class Surface:
    """A flat or bent thing to be filmed. `texture` float32 [H, W, 4]: linear RGB and opacity (0 = a cut hole)."""

    texture: Floats
    texels: float  # texture pixels per sensor pixel, when seen upright
    lit: bool  # shines by itself; otherwise it reflects the room's light
    grid: float = 0.0
    gloss: float = 0.0
    bend: float = 0.0


def printed(picture: Image, printer: Printer, scale: float, rng: np.random.Generator) -> Surface:
    """Print a picture [H, W, 3] that will be seen `scale` sensor pixels per picture pixel."""
    texels = (3.0 if printer.clustered else 1.6) / printer.pitch_px
    ink = _separated(_resized(picture, scale * texels))
    screened = np.stack([_halftone(ink[..., i], i, printer, texels, rng) for i in range(4)], axis=-1)
    reflectance: Image = np.tile(floats(printer.paper), (*ink.shape[:2], 1))
    for i in range(4):
        reflectance = reflectance * (1 - screened[..., i : i + 1] * (1 - _INKS[i]))
    reflectance = cv2.GaussianBlur(reflectance, (0, 0), 0.5)  # ink spreads in the paper
    fibres = cv2.GaussianBlur(rng.standard_normal(ink.shape[:2], dtype=np.float32), (0, 0), 0.5 * texels)
    reflectance = reflectance * (1 + printer.grain * fibres / max(float(fibres.std()), 1e-6))[..., None]
    bend = printer.bend * float(rng.uniform(-1, 1))
    return Surface(_opaque(reflectance), texels, lit=False, gloss=printer.gloss, bend=bend)


def shown(picture: Image, screen: Screen, scale: float) -> Surface:
    """Show a picture [H, W, 3] on a screen; one texture pixel is one pixel of the screen."""
    texels = 1.0 / screen.pitch_px
    light = to_linear(_resized(picture, scale * texels)) ** screen.contrast
    grey = light.mean(axis=-1, keepdims=True)
    light = grey + screen.gamut * (light - grey)
    return Surface(_opaque(screen.black + (1 - screen.black) * light), texels, lit=True, grid=screen.grid)


def with_holes(surface: Surface, centres: NDArray[Any], radii: NDArray[Any]) -> Surface:
    """Cut elliptic holes: centres [n, 2] and radii [n, 2] in texture pixels."""
    texture = surface.texture.copy()
    y, x = np.mgrid[: texture.shape[0], : texture.shape[1]].astype(np.float32)
    for (cx, cy), (rx, ry) in zip(centres, radii, strict=True):
        texture[..., 3] *= ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 > 1
    return replace(surface, texture=texture)


def _resized(picture: Image, factor: float) -> Image:
    return cv2.resize(
        picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    )


def _opaque(rgb: NDArray[Any]) -> NDArray[Any]:
    return floats(np.concatenate([rgb, np.ones((*rgb.shape[:2], 1))], axis=-1))


def _separated(picture: Image) -> NDArray[Any]:
    """sRGB -> coverage of cyan, magenta, yellow and black [H, W, 4] in 0..1, with grey component replacement.

    Coverage follows the square root of the absorbed light, which makes up for the spread of the ink dots.
    """
    absorbed = 1 - np.sqrt(to_linear(picture))
    black = 0.7 * absorbed.min(axis=-1, keepdims=True)
    return floats(np.concatenate([(absorbed - black) / (1 - black), black], axis=-1))


@cache
def _screen_levels() -> NDArray[Any]:
    """The hundredths of the dot screen's wave: through them a dot's area is the tone that was asked for."""
    phase = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    return np.asarray(np.quantile(np.cos(phase)[:, None] + np.cos(phase), np.linspace(0, 1, 101)))


def _halftone(
    coverage: NDArray[Any], ink: int, printer: Printer, texels: float, rng: np.random.Generator
) -> NDArray[Any]:
    """Coverage of one ink as dots [H, W] in 0..1: the mean tone is kept."""
    if printer.clustered:
        period = printer.pitch_px * texels
        angle = np.deg2rad(_SCREEN_ANGLES[ink])
        y, x = np.mgrid[: coverage.shape[0], : coverage.shape[1]].astype(np.float32)
        u = 2 * np.pi / period * (x * np.cos(angle) + y * np.sin(angle))
        v = 2 * np.pi / period * (y * np.cos(angle) - x * np.sin(angle))
        threshold = np.interp(np.cos(u) + np.cos(v), _screen_levels(), np.linspace(0, 1, 101))
        edge = 6.0
    else:
        noise = rng.random(coverage.shape, dtype=np.float32)
        rough = noise - cv2.GaussianBlur(
            noise, (0, 0), 1.5
        )  # droplets keep their distance: no low frequencies
        threshold = 0.5 + rough / 1.1
        edge = 12.0
    dots = np.clip(0.5 + edge * (coverage - threshold), 0, 1)
    return floats(coverage + printer.depth * (dots - coverage))
