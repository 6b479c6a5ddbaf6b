"""Random views of a batch. Rotation, random resized crop and flip are one affine map, so one sampling."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from safas.errors import InputError


@dataclass(frozen=True)
class AugmentConfig:
    """The random views of a crop. The defaults are the authors'."""

    rotation_deg: float = 180.0
    """the crop is first rotated by an angle drawn from [-rotation_deg, +rotation_deg], degrees"""
    scale: tuple[float, float] = (0.2, 1.0)
    """then a square with a share of the crop's area drawn from this range is cut out anywhere and resized"""
    flip: bool = True
    """then it is mirrored left to right in half of the cases"""
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    """what a rotated crop shows beyond its edge: black, the last pixel, or its mirror image"""

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise InputError(f"the scale {self.scale} is not 0 < low <= high <= 1", where="augment.scale")
        if not 0 <= self.rotation_deg <= 180:
            raise InputError("the angle must be in [0, 180]", where="augment.rotation_deg")


def random_maps(config: AugmentConfig, n: int, generator: np.random.Generator) -> Float[np.ndarray, "n 2 3"]:
    """n affine maps from the view's to the crop's coordinates, both from -1 to 1 across the image."""
    angle, area, right, down, mirror = generator.random((5, n))
    angle = np.deg2rad(config.rotation_deg) * (2 * angle - 1)
    low, high = config.scale
    side = np.sqrt(low + (high - low) * area)
    centre = (1 - side) * (2 * np.stack([right, down]) - 1)  # of the cut-out, in the rotated crop
    sign = np.where(mirror < 0.5, -1.0, 1.0) if config.flip else np.ones(n)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])  # [2, 2, n]
    maps = np.empty((n, 2, 3), dtype=np.float32)
    maps[:, :, 0] = (turn[:, 0] * side * sign).T
    maps[:, :, 1] = (turn[:, 1] * side).T
    maps[:, :, 2] = np.einsum("ijn,jn->ni", turn, centre)
    return maps


def views(
    crops: UInt8[Tensor, "B 3 S S"],
    size: int,
    config: AugmentConfig,
    generator: np.random.Generator,
    count: int = 2,
    place: tuple[int, int] | None = None,
) -> Float[Tensor, "N 3 size size"]:
    """`count` random views of each crop: view 1 of all, then view 2 of all; N = count*B, values in [0, 1].

    place (first, whole): the crops are those from row `first` on of a batch of `whole`, and their views are the same
    as if that had been given.

    Runs on the crops' device; the random numbers come from the generator alone. Where views may be smaller
    than what they show, each of their pixels is the mean of several bilinear samples, so that fine texture
    (halftone dots, pixel grids) does not alias more in training than in the antialiased resize of the scoring
    net.
    """
    B, S = crops.shape[0], crops.shape[-1]
    first, whole = place or (0, B)
    drawn = random_maps(config, count * whole, generator).reshape(count, whole, 2, 3)[:, first : first + B]
    maps = torch.from_numpy(drawn.reshape(count * B, 2, 3)).to(crops.device)
    over = math.ceil(S * math.sqrt(config.scale[1]) / size)  # samples a pixel and axis
    images = (crops.float() / 255).contiguous(memory_format=torch.channels_last)
    shape = [B, 3, over * size, over * size]
    made = [_sampled(images, part, shape, config.padding, over) for part in torch.split(maps, B)]
    return torch.cat(made).contiguous(memory_format=torch.channels_last)


def _sampled(
    images: Float[Tensor, "B 3 S S"], maps: Float[Tensor, "B 2 3"], shape: list[int], padding: str, over: int
) -> Float[Tensor, "B 3 size size"]:
    grid = functional.affine_grid(maps, shape, align_corners=False)
    sampled = functional.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)
    return functional.avg_pool2d(sampled, over) if over > 1 else sampled
