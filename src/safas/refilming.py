"""Views of faces as another camera might have filmed them: focus, light, resolution, noise and compression by chance.

Each image gets a camera of its own. Nothing here knows live from spoof: what a network could learn of a training
camera's focus or colours is made useless, what tells a print's dots or a screen's pixels from skin is only made
harder to see. All images are float [N, 3, H, W] in [0, 1]; the random numbers come from the generator alone, and the
work is done where the images are. The ranges are our own, written down before anything was measured with them.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.fft import dct
from torch import Tensor
from torch.nn import functional

Images = Float[Tensor, "N 3 H W"]
PerImage = Float[Tensor, "N 1 1 1"]

RADIUS = 4  # pixels: where the blur's kernel is cut off
FACTORS = (
    1.5,
    2.0,
    3.0,
)  # how much coarser the other camera's pixels may be; in two of five cases they are not
BLOCK = 8  # pixels: side of what is compressed by itself, as in JPEG and H.264


def refilmed(images: Images, strength: float, generator: np.random.Generator) -> Images:
    """Each image as filmed by a camera drawn for it. strength in [0, 1] scales every range; 0 = as they were."""
    if strength == 0:
        return images
    draw = _Draw(images, strength, generator)
    images = draw.perhaps(defocused(images, draw.between(0.3, 1.5)), images)
    images = draw.perhaps(hazed(images, draw.between(0, 0.25), draw.colour(0.2, 0.9)), images)
    images = lit(images, draw.either(0.6), draw.tint(0.2), draw.either(0.35), draw.either(0.6))
    images = coarsened(images, draw.factors())
    images = draw.perhaps(images + draw.between(0, 0.04) * draw.grain(), images)
    images = draw.perhaps(compressed(images, draw.between(0.01, 0.1)), images)
    return images.clamp(0, 1).contiguous(memory_format=torch.channels_last)


class _Draw:
    """Random numbers for a batch, each image its own; ranges are those of strength 1."""

    def __init__(self, images: Images, strength: float, generator: np.random.Generator) -> None:
        self._images, self._strength, self._generator = images, strength, generator

    def _uniform(self, low: float, high: float, channels: int = 1) -> Tensor:
        numbers = self._generator.uniform(low, high, (len(self._images), channels, 1, 1))
        return torch.from_numpy(numbers).to(self._images)

    def between(self, least: float, most: float) -> PerImage:
        """From `least` to `least` + strength * (most - least)."""
        return self._uniform(least, least + self._strength * (most - least))

    def either(self, width: float) -> PerImage:
        """From -strength * width to strength * width."""
        return self._uniform(-self._strength * width, self._strength * width)

    def tint(self, width: float) -> Float[Tensor, "N 3 1 1"]:
        """As `either`, for each channel."""
        return self._uniform(-self._strength * width, self._strength * width, channels=3)

    def colour(self, low: float, high: float) -> Float[Tensor, "N 3 1 1"]:
        """Any colour between two greys; not scaled."""
        return self._uniform(low, high, channels=3)

    def factors(self) -> np.ndarray:
        """How much coarser [N] the pixels become, 1 = not; the coarsest ones only at a high strength."""
        factors = self._generator.choice((1.0, 1.0, *FACTORS), len(self._images))
        return np.where(factors > 1 + 2 * self._strength, 1.0, factors)

    def grain(self) -> Images:
        """Standard normal numbers, one a value."""
        numbers = self._generator.standard_normal(tuple(self._images.shape), dtype=np.float32)
        return torch.from_numpy(numbers).to(self._images)

    def perhaps(self, new: Images, old: Images) -> Images:
        """The new image in half of the cases."""
        return torch.where(self._uniform(0, 1) < 0.5, new, old)


def defocused(images: Images, sigma: PerImage) -> Images:
    """Blurred by a Gaussian of sigma pixels, cut off at RADIUS pixels; the edges mirrored."""
    N, C, H, W = images.shape
    offsets = torch.arange(-RADIUS, RADIUS + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-offsets.square() / (2 * sigma.view(N, 1).square()))
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).repeat_interleave(C, dim=0)
    padded = functional.pad(images, [RADIUS] * 4, mode="reflect")
    flat = padded.reshape(1, N * C, H + 2 * RADIUS, W + 2 * RADIUS)
    for shape in ((1, 1, -1), (1, -1, 1)):  # along the rows, then along the columns
        flat = functional.conv2d(flat, kernels.view(N * C, *shape), groups=N * C)
    return flat.view(N, C, H, W)


def hazed(images: Images, share: PerImage, colour: Float[Tensor, "N 3 1 1"]) -> Images:
    """A share of one colour, in [0, 1], laid over everything, as stray light in a lens does."""
    return torch.lerp(images, colour.expand_as(images), share)


def lit(
    images: Images,
    stops: PerImage,
    tint: Float[Tensor, "N 3 1 1"],
    contrast: PerImage,
    saturation: PerImage,
) -> Images:
    """Exposed `stops` longer, each channel times exp(tint), to the power exp(contrast), colours 1 + saturation
    times as far from grey. All four 0 = as they were.
    """
    exposed = (images * torch.exp2(stops) * torch.exp(tint)).clamp(1e-4, 1)
    curved = exposed.pow(torch.exp(contrast))
    grey = curved.mean(dim=1, keepdim=True)
    return torch.lerp(grey.expand_as(curved), curved, 1 + saturation)


def coarsened(images: Images, factors: np.ndarray) -> Images:
    """Sampled by pixels that are `factors` [N] times as large, one of FACTORS or 1, then brought back to size."""
    size = images.shape[-2:]
    made = images.clone()
    for factor in FACTORS:
        rows = torch.from_numpy(np.flatnonzero(factors == factor)).to(images.device)
        if len(rows):
            coarse = [max(1, round(side / factor)) for side in size]
            small = functional.interpolate(images[rows], coarse, mode="bilinear", antialias=True)
            made[rows] = functional.interpolate(small, size, mode="bilinear")
    return made


def compressed(images: Images, step: PerImage) -> Images:
    """The cosine coefficients of each BLOCK x BLOCK block rounded to multiples of step * (1 + (row + column) / 2).

    What JPEG does, without its colour space, tables and code. `step` is in units of the image, in (0, 1).
    """
    N, C, H, W = images.shape
    down, right = -H % BLOCK, -W % BLOCK
    padded = functional.pad(images, [0, right, 0, down], mode="replicate")
    blocks = padded.reshape(N, C, (H + down) // BLOCK, BLOCK, (W + right) // BLOCK, BLOCK)
    # Row k is the k-th wave of the orthonormal discrete cosine transform of type 2.
    cosines = torch.from_numpy(dct(np.eye(BLOCK), axis=0, norm="ortho")).to(images)
    order = torch.arange(BLOCK, device=images.device, dtype=images.dtype)
    steps = step.view(N, 1, 1, 1, 1, 1) * (1 + (order.view(BLOCK, 1, 1) + order) / 2)
    coefficients = torch.einsum("ki,ncaibj,lj->ncakbl", cosines, blocks, cosines)
    kept = (coefficients / steps).round() * steps
    made = torch.einsum("ki,ncakbl,lj->ncaibj", cosines, kept, cosines)
    return made.reshape(N, C, H + down, W + right)[..., :H, :W]
