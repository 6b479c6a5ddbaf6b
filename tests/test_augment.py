"""The views of a batch against operations done one by one, and against their ranges."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from safas.augment import AugmentConfig, random_maps, views
from safas.errors import InputError

STILL = AugmentConfig(rotation_deg=0, scale=(1, 1), flip=False)


class Fixed(np.random.Generator):
    """A generator whose numbers are given: rows angle, area, right, down, mirror."""

    def __init__(self, *rows: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.rows = rows

    def random(self, size: tuple[int, int]) -> np.ndarray:  # type: ignore[override]
        return np.tile(np.array(self.rows)[:, None], size[1])


def crops(n: int = 3, side: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, side, side), generator=generator, dtype=torch.uint8)


def test_no_change_is_no_change() -> None:
    made = views(crops(), 16, STILL, np.random.default_rng(0), count=2)
    torch.testing.assert_close(made, (crops() / 255).repeat(2, 1, 1, 1), atol=1e-5, rtol=0)


def test_halving_averages_two_by_two_pixels() -> None:
    made = views(crops(), 8, STILL, np.random.default_rng(0), count=1)
    wanted = (crops() / 255).unflatten(3, (8, 2)).unflatten(2, (8, 2)).mean(dim=(3, 5))
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=0)


def test_any_shrinking_averages_several_samples_a_pixel() -> None:
    """16 to 12 pixels: two samples a pixel and axis, so the means over 2 x 2 of a bilinear resize to 24."""
    config = replace(STILL, padding="border")
    made = views(crops(), 12, config, np.random.default_rng(0), count=1)
    fine = functional.interpolate(crops() / 255, (24, 24), mode="bilinear", align_corners=False)
    torch.testing.assert_close(made, functional.avg_pool2d(fine, 2), atol=1e-5, rtol=0)


def test_a_quarter_turn_and_a_mirror() -> None:
    """Angle 180 * (2 * 0.75 - 1) = 90 degrees; mirror 0.4 < 0.5 mirrors the turned crop."""
    config = AugmentConfig(rotation_deg=180, scale=(1, 1))
    plain = crops() / 255
    turned = views(crops(), 16, config, Fixed(0.75, 0.0, 0.5, 0.5, 0.6), count=1)
    torch.testing.assert_close(turned, torch.rot90(plain, 1, (2, 3)), atol=1e-4, rtol=0)
    mirrored = views(crops(), 16, config, Fixed(0.75, 0.0, 0.5, 0.5, 0.4), count=1)
    torch.testing.assert_close(mirrored, turned.flip(3), atol=1e-4, rtol=0)


def test_a_quarter_of_the_area_is_cut_out_of_the_turned_crop() -> None:
    """Scale 1/4 is half the side; right = 1 and down = 0: the upper right quarter, at its own resolution."""
    config = AugmentConfig(rotation_deg=180, scale=(0.25, 0.25))
    made = views(crops(side=16), 8, config, Fixed(0.75, 0.0, 1.0, 0.0, 0.6), count=1)
    wanted = torch.rot90(crops(side=16) / 255, 1, (2, 3))[:, :, :8, 8:]
    torch.testing.assert_close(made, wanted, atol=1e-4, rtol=0)


def test_cut_outs_stay_inside_and_in_the_range_of_areas() -> None:
    maps = random_maps(AugmentConfig(rotation_deg=0, scale=(0.2, 0.7)), 2000, np.random.default_rng(1))
    area = np.abs(np.linalg.det(maps[:, :, :2]))
    assert area.min() >= 0.2 - 1e-6
    assert area.max() <= 0.7 + 1e-6
    assert area.mean() == pytest.approx(0.45, abs=0.02)
    corners = np.abs(maps[:, :, :2]).sum(axis=2) + np.abs(maps[:, :, 2])
    assert corners.max() <= 1 + 1e-6
    assert (np.linalg.det(maps[:, :, :2]) < 0).mean() == pytest.approx(0.5, abs=0.05)


def test_angles_fill_their_range_and_maps_are_similarities() -> None:
    maps = random_maps(AugmentConfig(rotation_deg=30, flip=False), 2000, np.random.default_rng(2))
    angles = np.rad2deg(np.arctan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert np.abs(angles).max() <= 30 + 1e-4
    assert np.abs(angles).mean() == pytest.approx(15, abs=1)
    np.testing.assert_allclose(maps[:, 0, 0], maps[:, 1, 1], atol=1e-6)
    np.testing.assert_allclose(maps[:, 0, 1], -maps[:, 1, 0], atol=1e-6)


def test_views_differ_repeat_and_stay_in_range() -> None:
    made = views(crops(), 12, AugmentConfig(), np.random.default_rng([5, 7]), count=2)
    again = views(crops(), 12, AugmentConfig(), np.random.default_rng([5, 7]), count=2)
    assert made.shape == (6, 3, 12, 12)
    assert torch.equal(made, again)
    assert float((made[:3] - made[3:]).abs().mean()) > 0.01
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1


def test_view_one_of_all_then_view_two_of_all() -> None:
    flat = torch.tensor([10, 200], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 8, 8)
    config = AugmentConfig(padding="border")
    made = views(flat.contiguous(), 8, config, np.random.default_rng(0), count=2)
    means = made.mean(dim=(1, 2, 3)) * 255
    torch.testing.assert_close(means, torch.tensor([10.0, 200.0, 10.0, 200.0]), atol=0.01, rtol=0)


@pytest.mark.parametrize("wrong", [{"scale": (0.0, 1.0)}, {"scale": (0.5, 0.2)}, {"rotation_deg": 200.0}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"augment\."):
        AugmentConfig(**wrong)  # type: ignore[arg-type]
