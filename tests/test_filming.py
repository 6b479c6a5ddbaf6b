"""Prints and screens before a camera, against geometry and optics that are known in closed form."""

from dataclasses import replace

import numpy as np
import pytest

from safas.capture import filming
from safas.capture.camera import Camera, aperture_taps, develop, to_linear
from safas.capture.filming import Lamp, Placement, film, seen_at
from safas.capture.instruments import Printer, Screen, Surface, printed, shown, with_holes

LAMP = Lamp((0.0, 0.0, -1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
UPRIGHT = Placement(0.0, 0.0, 0.0, (0.0, 0.0))


def page(value: float, height: int = 60, width: int = 80) -> Surface:
    texture = np.full((height, width, 4), value, np.float32)
    texture[..., 3] = 1
    return Surface(texture, texels=1.0, lit=False)


def test_upright_page_covers_its_own_size_and_reflects_the_ambient_light() -> None:
    """80 x 60 texels at one texel a pixel cover 4800 pixels; reflectance 0.3 under ambient 1 gives 0.3."""
    radiance, cover = film(page(0.3), UPRIGHT, LAMP, (120, 100), 150.0, aperture_taps(0.01))
    assert cover.sum() == pytest.approx(4800, rel=0.02)
    assert radiance[50, 60] == pytest.approx([0.3, 0.3, 0.3], abs=1e-5)
    assert cover[5, 5] == 0


def test_turned_page_is_foreshortened_by_the_cosine() -> None:
    """A page turned by 60 degrees is half as wide; the pinhole is far (focal 4000 pixels), so nothing else."""
    turned = Placement(np.pi / 3, 0.0, 0.0, (0.0, 0.0))
    _, cover = film(page(0.3), turned, LAMP, (120, 100), 4000.0, aperture_taps(0.01))
    assert cover[50].sum() == pytest.approx(40, abs=1.5)


def test_points_are_seen_where_the_film_shows_them() -> None:
    surface = page(0.0)
    surface.texture[10, 70, :3] = 1.0
    placement = Placement(0.3, -0.2, 0.1, (4.0, -3.0))
    radiance, _ = film(surface, placement, LAMP, (140, 120), 160.0, aperture_taps(0.2))
    y, x = np.mgrid[:120, :140] + 0.5
    weight = radiance[..., 0] / radiance[..., 0].sum()
    point = np.array([[70.5 - 40, 10.5 - 30]])
    expected = seen_at(point, placement, 0.0, (140, 120), 160.0)[0]
    assert [(x * weight).sum(), (y * weight).sum()] == pytest.approx(expected, abs=0.35)


def test_aperture_weakens_a_fine_pattern_as_the_optics_say() -> None:
    """A wave of f cycles a pixel keeps sinc(f) exp(-2 (pi s f)^2); here f = 0.4 and s = 0.4: 0.757 * 0.604 = 0.457."""
    taps = aperture_taps(0.4, count=16)
    kept = np.cos(2 * np.pi * 0.4 * taps[:, 0].astype(np.float64)).mean()
    assert kept == pytest.approx(np.sinc(0.4) * np.exp(-2 * (np.pi * 0.4 * 0.4) ** 2), abs=0.08)


def test_halftone_keeps_the_mean_tone_and_puts_it_into_dots() -> None:
    grey = np.full((60, 60, 3), 128, np.uint8)
    rng = np.random.default_rng(0)
    dotted = printed(grey, Printer("p", 1.5, True, depth=1.0, grain=0.0), 1.0, rng).texture[..., 1]
    smooth = printed(grey, Printer("p", 1.5, True, depth=0.0, grain=0.0), 1.0, rng).texture[..., 1]
    assert dotted.std() > 20 * smooth.std()
    assert dotted.mean() == pytest.approx(smooth.mean(), rel=0.2)


def test_print_has_a_smaller_gamut_and_a_grey_black() -> None:
    colours = np.zeros((30, 60, 3), np.uint8)
    colours[:, 30:] = (255, 0, 0)
    flat = printed(
        colours, Printer("p", 1.0, True, depth=0.0, grain=0.0), 1.0, np.random.default_rng(0)
    ).texture
    black, red = flat[:, :20, :3].mean((0, 1)), flat[:, -20:, :3].mean((0, 1))
    assert black.min() > 0.002
    assert red[0] - red[1] < 0.95
    assert red[0] > 2 * red[1]


def test_screen_shines_in_the_dark_and_its_black_is_not_black() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    surface = shown(picture, Screen("s", 1.0, black=0.05), 1.0)
    dark = Lamp((0.0, 0.0, -1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    radiance, cover = film(surface, UPRIGHT, dark, (60, 60), 100.0, aperture_taps(1.0))
    inside = radiance[cover == 1].mean()
    assert inside == pytest.approx(0.05, rel=0.1)


def test_screen_grid_makes_moire_that_a_soft_lens_removes() -> None:
    """A pitch of 1.6 pixels passes a sharp lens and aliases; a lens of 2 pixels leaves the plain white."""
    white = np.full((60, 60, 3), 255, np.uint8)
    surface = shown(white, Screen("s", 1.6, grid=0.7), 1.0)
    sharp, cover = film(surface, UPRIGHT, LAMP, (50, 50), 100.0, aperture_taps(0.3))
    soft, _ = film(surface, UPRIGHT, LAMP, (50, 50), 100.0, aperture_taps(2.0, count=64))
    middle = np.s_[15:35, 15:35]
    assert cover[middle].min() == 1
    assert sharp[middle].std() > 3 * soft[middle].std()


def test_hole_lets_the_background_through() -> None:
    surface = with_holes(page(0.3), np.array([[40.0, 30.0]]), np.array([[8.0, 8.0]]))
    _, cover = film(surface, UPRIGHT, LAMP, (120, 100), 150.0, aperture_taps(0.01))
    assert cover[50, 60] == 0
    assert cover[50, 75] == 1


def test_developed_grey_card_keeps_its_light() -> None:
    """A flat field of 0.18 with gain 1 comes back as 0.18 (sRGB 118), within the noise; twice the same seed is
    the same picture."""
    camera = Camera(64, 48, 15, "mjpeg", 4, "avi", vignette=0.0, contrast=0.0)
    card = np.full((48, 64, 3), 0.18, np.float32)
    first, again = (develop(card, camera, 1.0, np.random.default_rng(1)) for _ in range(2))
    assert to_linear(first).mean() == pytest.approx(0.18, rel=0.03)
    assert np.array_equal(first, again)


def test_nothing_of_a_surface_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a window of the pixels is filmed: for any pose and bend the same as going through all of them."""
    rng = np.random.default_rng(0)
    size = (160, 120)
    shots = [
        (
            replace(page(0.3), bend=float(rng.uniform(-0.9, 0.9))),
            Placement(*rng.normal(0, [0.3, 0.25, 0.15]), shift=(float(rng.normal(0, 15)), 3.0)),
            LAMP,
            size,
            150.0,
            aperture_taps(float(rng.uniform(0.3, 1.3))),
        )
        for _ in range(60)
    ]
    filmed = [film(*shot) for shot in shots]
    monkeypatch.setattr(filming, "_window", lambda *_: (0, 0, *size))
    for (radiance, cover), shot in zip(filmed, shots, strict=True):
        whole = film(*shot)
        assert np.array_equal(radiance, whole[0])
        assert np.array_equal(cover, whole[1])
    assert 0.1 < np.mean([cover for _, cover in filmed]) < 0.5
