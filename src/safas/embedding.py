"""Features in the plane, for looking at."""

import warnings

import numpy as np

FEW = 60  # below this UMAP's neighbourhoods say nothing


def plane(features: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """Features [N, D] to points [N, 2] and the name of the way: "UMAP", or "PCA" below 60 points.

    Rows are scaled to unit length first, as the contrastive loss sees them. The same seed gives the same points
    on one machine.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return (_pca(unit), "PCA") if len(unit) < FEW else (_umap(unit, seed), "UMAP")


def _pca(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    points = centred @ axes[:2].T
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1]))).astype(np.float64)


def _umap(rows: np.ndarray, seed: int) -> np.ndarray:
    with warnings.catch_warnings():  # it warns that a seed means one thread, which is what is wanted here
        warnings.simplefilter("ignore")
        from umap import UMAP  # takes seconds to import, so only when it is needed

        mapper = UMAP(n_neighbors=15, min_dist=0.15, init="pca", random_state=seed, n_jobs=1)
        return np.asarray(mapper.fit_transform(rows), dtype=np.float64)
