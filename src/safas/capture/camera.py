"""A domain's camera: from linear light on the sensor to the 8-bit picture that it hands to the codec.

Light is linear RGB, about 0..1 where 1 is a white sheet under the domain's light at exposure 0 EV. The order
is that of a real one: aperture and lens (the caller samples the scene through `aperture_taps`, or blurs with
`through_lens`), exposure, mosaic of colour filters, photon and read noise, demosaicking, chroma denoising,
white balance, sharpening, tone curve.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]  # float32 [H, W, 3] linear RGB, or uint8 [H, W, 3] sRGB
Floats = NDArray[np.float32]


def floats(values: object) -> Floats:
    """float32 array of the values."""
    return np.asarray(values, dtype=np.float32)


_LEVELS = 4096  # of the raw converter


@dataclass(frozen=True)
class Camera:
    """What stays the same in every clip of one device; lengths in sensor pixels."""

    width: int
    height: int
    fps: int
    codec: str  # an encoder's name in FFmpeg
    quality: int  # CRF of libx264, or qscale of mjpeg; lower = better
    container: str  # the file's ending
    lens_px: float = 0.45  # standard deviation of the point spread when in focus
    vignette: float = 0.15  # light lost in the corners
    full_well: float = 3000.0  # photo-electrons at white: shot noise goes with its root
    read_noise: float = 4.0  # electrons
    denoise_px: float = 0.8  # blur of the colour differences
    sharpen: float = 0.5  # weight of the unsharp mask
    contrast: float = 0.0  # 0 = plain sRGB, 1 = a strong S-curve
    saturation: float = 1.0
    white: tuple[float, float, float] = (1.0, 1.0, 1.0)  # gains of the fixed white balance

    @property
    def focal_px(self) -> float:
        """Focal length in pixels: a horizontal field of view of about 55 degrees."""
        return 0.96 * max(self.width, self.height)


def aperture_taps(blur_px: float, count: int = 16) -> Floats:
    """Offsets [count, 2] in pixels at which a pixel samples the scene.

    They are quadrature points of the pixel's square aperture convolved with a Gaussian lens, so that a fine
    pattern is weakened by both before it is sampled: what is left of it aliases, as on a real sensor.
    """
    golden = np.arange(count) * 0.6180339887498949 % 1.0
    radius = np.sqrt(-2 * np.log(1 - (np.arange(count) + 0.5) / count)) * blur_px
    lens = radius[:, None] * np.stack([np.cos(2 * np.pi * golden), np.sin(2 * np.pi * golden)], axis=1)
    side = int(np.ceil(np.sqrt(count)))
    order = (np.arange(count) * 7) % (side * side)  # 7 is coprime to 16: decouples the two patterns
    square = np.stack([order % side, order // side], axis=1) / side + 0.5 / side - 0.5
    return floats(lens + square)


def through_lens(radiance: Image, blur_px: float) -> Image:
    """Blur a scene that is already integrated over the pixels (it has no pattern finer than a pixel)."""
    return cv2.GaussianBlur(radiance, (0, 0), blur_px, borderType=cv2.BORDER_REPLICATE)


def auto_exposure(radiance: Image, ev: float, target: float = 0.16) -> float:
    """The gain that brings the middle of the picture to `target` of full scale, `ev` stops away from it."""
    height, width = radiance.shape[:2]
    middle = radiance[height // 4 : -height // 4, width // 4 : -width // 4]
    return float(target * 2**ev / max(float(middle.mean()), 1e-4))


def develop(radiance: Image, camera: Camera, gain: float, rng: np.random.Generator) -> Image:
    """Expose and develop one frame: linear float32 [H, W, 3] -> sRGB uint8 [H, W, 3]."""
    exposed = radiance * (gain * _vignette(camera.height, camera.width, camera.vignette))
    raw = _with_noise(_mosaic(exposed), camera, rng)
    rgb = cv2.cvtColor(raw, cv2.COLOR_BayerRGGB2RGB).astype(np.float32) / (_LEVELS - 1)
    rgb = _denoised(rgb * floats(camera.white), camera.denoise_px)
    rgb = _saturated(rgb, camera.saturation)
    curve = _tone_curve(camera.contrast)
    picture = curve[np.clip(rgb * (_LEVELS - 1), 0, _LEVELS - 1).astype(np.uint16)]
    return np.clip(_sharpened(picture, camera.sharpen) + 0.5, 0, 255).astype(np.uint8)


def to_linear(picture: Image) -> Image:
    """sRGB uint8 -> linear float32 in 0..1 (IEC 61966-2-1)."""
    return np.asarray(_srgb_table()[picture])


@lru_cache(maxsize=1)
def _srgb_table() -> Floats:
    value = np.arange(256) / 255
    return floats(np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4))


@lru_cache(maxsize=8)
def _tone_curve(contrast: float) -> Floats:
    """Linear level -> 8-bit value as float32."""
    light = np.linspace(0, 1, _LEVELS)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    s_curve = srgb * srgb * (3 - 2 * srgb)
    return floats(255 * ((1 - contrast) * srgb + contrast * s_curve))


@lru_cache(maxsize=8)
def _vignette(height: int, width: int, strength: float) -> Floats:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return floats(1 - strength * (x * x + y * y) / 2)[..., None]


def _mosaic(rgb: Image) -> Floats:
    raw = floats(rgb[..., 1]).copy()
    raw[0::2, 0::2] = rgb[0::2, 0::2, 0]
    raw[1::2, 1::2] = rgb[1::2, 1::2, 2]
    return raw


def _with_noise(raw: Floats, camera: Camera, rng: np.random.Generator) -> NDArray[np.uint16]:
    electrons = np.clip(raw, 0, 1.5) * camera.full_well
    sigma = np.sqrt(electrons + camera.read_noise**2)
    noisy = electrons + sigma * rng.standard_normal(raw.shape, dtype=np.float32)
    return np.asarray(np.clip(noisy * ((_LEVELS - 1) / camera.full_well), 0, _LEVELS - 1), np.uint16)


def _denoised(rgb: Image, sigma: float) -> Image:
    """Blur the colour differences and keep the green channel's detail."""
    green = rgb[..., 1:2]
    difference = cv2.GaussianBlur(rgb - green, (0, 0), sigma)
    return floats(green + difference)


def _saturated(rgb: Image, saturation: float) -> Image:
    grey = rgb @ floats([0.2126, 0.7152, 0.0722])
    return floats(grey[..., None] + saturation * (rgb - grey[..., None]))


def _sharpened(picture: Image, weight: float) -> Image:
    soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
    return floats(picture + weight * (picture - soft))
