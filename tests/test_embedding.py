import numpy as np

from safas.embedding import FEW, plane


def test_few_points_go_through_pca_and_keep_a_plane_as_it_is() -> None:
    """Unit vectors in a plane of 5-D space: PCA to two axes is a rotation there, so distances stay."""
    angles = np.linspace(0, 1.2, 10)
    features = np.zeros((10, 5))
    features[:, 1], features[:, 3] = np.cos(angles), np.sin(angles)
    points, how = plane(3 * features, seed=0)
    assert how == "PCA"
    expected = np.linalg.norm(features[:, None] - features[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(points[:, None] - points[None], axis=2), expected, atol=1e-12)


def test_one_dimension_becomes_a_line() -> None:
    points, _ = plane(np.array([[1.0], [-1.0], [2.0]]), seed=0)
    assert points.shape == (3, 2)
    assert not points[:, 1].any()


def test_umap_keeps_two_clusters_apart_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    centre = np.repeat(np.eye(8)[:2], FEW // 2, axis=0)
    features = 5 * centre + rng.normal(0, 0.2, (FEW, 8))
    points, how = plane(features, seed=3)
    assert how == "UMAP"
    first, second = points[: FEW // 2], points[FEW // 2 :]
    gap = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert gap > 2 * max(first.std(), second.std())
    np.testing.assert_array_equal(points, plane(features, seed=3)[0])
