"""Distances to clusters, checked against SciPy's Mahalanobis and by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from safas.errors import BundleError
from safas.familiarity import Clusters


def test_by_hand() -> None:
    """Standard deviations 1 and 2, so W = diag(1, 1/2). From (3, 0) to (0, 0): 3/1 and 0; sqrt(9 / 2) = 2.1213.

    The cluster at (3, 8) is sqrt((0 + 4^2) / 2) = 2.8284 away.
    """
    clusters = Clusters(np.array([[0.0, 0.0], [3.0, 8.0]]), np.diag([1.0, 0.5]), ("near", "far"))
    assert clusters.nearest(np.array([[3.0, 0.0]])) == ("near", pytest.approx(np.sqrt(4.5)))
    assert clusters.nearest(np.array([[3.0, 7.0]])) == ("far", pytest.approx(0.5 / np.sqrt(2)))


def test_as_scipy_has_it() -> None:
    """Over several frames: the mean of their distances; D = 5, divided by sqrt(5)."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    covariance = root @ root.T + np.eye(5)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    means, frames = rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    inverse = np.linalg.inv(covariance)
    wanted = [np.mean([mahalanobis(x, mean, inverse) for x in frames]) / np.sqrt(5) for mean in means]
    domain, distance = Clusters(means, whitening, ("a", "b", "c")).nearest(frames)
    assert domain == "abc"[int(np.argmin(wanted))]
    assert distance == pytest.approx(min(wanted))


def test_training_faces_lie_about_one_away() -> None:
    """Draws of the very Gaussian: the expected squared distance is D, so its root over D is about 1."""
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(500, 64)) * np.arange(1, 65)
    clusters = Clusters(np.zeros((1, 64)), np.diag(1 / np.arange(1.0, 65)), ("a",))
    assert clusters.nearest(draws)[1] == pytest.approx(1, abs=0.02)


def test_files_that_do_not_fit_are_refused() -> None:
    whole = Clusters(np.zeros((2, 3)), np.eye(3), ("a", "b"))
    back = Clusters.from_bytes(whole.to_bytes(), ("a", "b"), "here")
    assert back.whitening.shape == (3, 3)
    with pytest.raises(BundleError, match="do not fit"):
        Clusters.from_bytes(whole.to_bytes(), ("a",), "here")
    with pytest.raises(BundleError, match="not the statistics"):
        Clusters.from_bytes(b"PK nonsense", ("a",), "here")
