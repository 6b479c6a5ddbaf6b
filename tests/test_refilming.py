"""Faces filmed again: each step against another library or by hand."""

import numpy as np
import pytest
import torch
from scipy import fft, ndimage

from safas import refilming
from safas.refilming import coarsened, compressed, defocused, hazed, lit, refilmed


def images(n: int = 3, side: int = 19, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def per_image(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def test_the_blur_is_scipys() -> None:
    x, sigmas = images(), (0.4, 0.9, 1.5)
    made = defocused(x, per_image(*sigmas))
    for image, blurred, sigma in zip(x, made, sigmas, strict=True):
        for channel, ours in zip(image, blurred, strict=True):
            theirs = ndimage.gaussian_filter(channel.numpy(), sigma, radius=refilming.RADIUS, mode="mirror")
            np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)


def test_compression_is_scipys_cosine_transform_rounded() -> None:
    x, step = images(1, 16), 0.05
    made = compressed(x, per_image(step))
    steps = step * (1 + np.add.outer(np.arange(8), np.arange(8)) / 2)
    for channel, ours in zip(x[0].numpy(), made[0].numpy(), strict=True):
        for block in np.ndindex(2, 2):
            place = tuple(slice(8 * i, 8 * i + 8) for i in block)
            kept = np.round(fft.dctn(channel[place], norm="ortho") / steps) * steps
            np.testing.assert_allclose(ours[place], fft.idctn(kept, norm="ortho"), atol=1e-5)


def test_a_side_that_no_block_divides_keeps_its_size_and_a_tiny_step_changes_nothing() -> None:
    x = images(2, 13)
    torch.testing.assert_close(compressed(x, per_image(1e-6, 1e-6)), x, atol=1e-4, rtol=0)


def test_light_by_hand() -> None:
    """0.2, 0.4, 0.6 one stop longer: 0.4, 0.8, 1.2 -> 1. To the power 2 (contrast ln 2): 0.16, 0.64, 1.
    Their grey is 0.6; half the saturation: 0.6 + 0.5 (v - 0.6) = 0.38, 0.62, 0.8.
    """
    x = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1)
    none = torch.zeros(1, 3, 1, 1)
    made = lit(x, per_image(1.0), none, per_image(float(np.log(2))), per_image(-0.5))
    torch.testing.assert_close(made.flatten(), torch.tensor([0.38, 0.62, 0.80]))
    torch.testing.assert_close(lit(x, per_image(0.0), none, per_image(0.0), per_image(0.0)), x)
    twice = torch.tensor([np.log(2.0), 0.0, -np.log(2.0)], dtype=torch.float32).view(1, 3, 1, 1)
    tinted = lit(x, per_image(0.0), twice, per_image(0.0), per_image(0.0))
    torch.testing.assert_close(tinted.flatten(), torch.tensor([0.4, 0.4, 0.3]))


def test_haze_by_hand() -> None:
    """A quarter of 0.8 over 0.4 is 0.75 * 0.4 + 0.25 * 0.8 = 0.5."""
    made = hazed(torch.full((1, 3, 2, 2), 0.4), per_image(0.25), torch.full((1, 3, 1, 1), 0.8))
    torch.testing.assert_close(made, torch.full((1, 3, 2, 2), 0.5))


def test_coarser_pixels_hide_a_chequerboard_and_spare_the_other_images() -> None:
    board = (torch.arange(24)[:, None] + torch.arange(24)) % 2
    x = board.float().expand(2, 3, 24, 24).clone()
    made = coarsened(x, np.array([1.0, 3.0]))
    assert torch.equal(made[0], x[0])
    assert float(made[1].std()) < 0.1 * float(x[1].std())
    assert float(made[1].mean()) == pytest.approx(0.5, abs=0.01)


def test_the_generator_alone_decides_and_every_image_has_its_own_camera() -> None:
    x = images(1, 16).expand(8, 3, 16, 16)
    made = refilmed(x, 1.0, np.random.default_rng(1))
    assert torch.equal(made, refilmed(x, 1.0, np.random.default_rng(1)))
    assert not torch.equal(made, refilmed(x, 1.0, np.random.default_rng(2)))
    assert len({tuple(image.flatten().tolist()) for image in made}) == 8
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1


def test_strength_is_how_far_it_goes() -> None:
    x = images(64, 24)
    far = [float((refilmed(x, s, np.random.default_rng(3)) - x).abs().mean()) for s in (0.0, 0.2, 0.5, 1.0)]
    assert far[0] == 0
    assert far == sorted(far)
    assert far[1] > 0.01
