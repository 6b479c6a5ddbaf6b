import numpy as np
import pytest

from safas.figures.embedding import FEW, affine, pca, umap


def test_pca_keeps_a_plane_as_it_is() -> None:
    """Points of a plane in 5-D space: PCA to two axes is a rotation there, so distances stay and nothing is lost."""
    features = np.zeros((10, 5))
    features[:, [1, 3]] = np.random.default_rng(0).normal(5, (1, 3), (10, 2))
    points, kept = pca(features, features[:, 1])
    expected = np.linalg.norm(features[:, None] - features[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(points[:, None] - points[None], axis=2), expected, atol=1e-12)
    assert kept == pytest.approx(1)


def test_the_share_that_pca_keeps() -> None:
    """Corners (+-3, +-2, +-1) of a box: variances 9, 4, 1, of which the plane keeps 13 / 14."""
    corners = np.array([[a, b, c] for a in (-3, 3) for b in (-2, 2) for c in (-1, 1)], dtype=float)
    assert pca(corners, corners[:, 0])[1] == pytest.approx(13 / 14)


def test_the_decision_rises_along_both_axes() -> None:
    features = np.random.default_rng(1).normal(0, (3, 2, 1), (50, 3))
    for weight in np.array([[1.0, 1, 0], [-1, 1, 0], [1, -1, 0], [-1, -1, 0]]):
        points, _ = pca(features, features @ weight)
        assert (affine(points, features @ weight).slope > 0).all()


def test_one_dimension_becomes_a_line() -> None:
    points, _ = pca(np.array([[1.0], [-1.0], [2.0]]), np.zeros(3))
    assert points.shape == (3, 2)
    assert not points[:, 1].any()


def test_on_pcas_plane_the_fit_is_the_hyperplane_itself() -> None:
    """The plane is mean + a v1 + b v2; there w . phi + c is known without any fit, from points put into 6-D."""
    rng = np.random.default_rng(2)
    features = rng.normal(1, (4, 3, 2, 1, 1, 0.5), (80, 6))
    weight, bias = rng.normal(size=6), 0.7
    points, _ = pca(features, features @ weight)
    fit = affine(points, features @ weight + bias)
    axes = np.linalg.lstsq(features - features.mean(axis=0), points, rcond=None)[0]  # [6, 2], v1 and v2
    somewhere = rng.normal(0, 10, (20, 2))
    in_space = features.mean(axis=0) + somewhere @ axes.T
    np.testing.assert_allclose(fit.at(somewhere), in_space @ weight + bias, atol=1e-9)
    assert 0 < fit.share < 1


def test_how_much_of_the_values_the_plane_explains() -> None:
    """At the corners of a square, values x + 2 and +-2 by turns (2 x y, orthogonal to every affine
    function): the variance is 1 + 4, of which x makes a fifth."""
    square = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    fit = affine(square, square[:, 0] + 2 + 2 * square[:, 0] * square[:, 1])
    np.testing.assert_allclose((*fit.slope, fit.offset, fit.share), (1, 0, 2, 0.2), atol=1e-12)
    assert affine(square, np.full(4, 3.0)).share == 1


def test_umap_keeps_two_clusters_apart_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    centre = np.repeat(np.eye(8)[:2], FEW // 2, axis=0)
    features = 5 * centre + rng.normal(0, 0.2, (FEW, 8))
    points = umap(features, seed=3)
    assert points is not None
    first, second = points[: FEW // 2], points[FEW // 2 :]
    gap = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert gap > 2 * max(first.std(), second.std())
    again = umap(features, seed=3)
    assert again is not None
    np.testing.assert_array_equal(points, again)


def test_umap_says_nothing_of_few_points() -> None:
    assert umap(np.ones((FEW - 1, 3)), seed=0) is None
