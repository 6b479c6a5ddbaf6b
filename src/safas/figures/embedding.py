"""Features in the plane, for looking at, and what a linear decision looks like there."""

import warnings
from dataclasses import dataclass

import numpy as np

FEW = 60  # below this UMAP's neighbourhoods say nothing


@dataclass(frozen=True, eq=False)
class Affine:
    """v(p) = slope . p + offset at the points p of a plane.

    slope [2]. share: how much of the variance of the values it stands for it explains, in [0, 1].
    """

    slope: np.ndarray
    offset: float
    share: float

    def at(self, points: np.ndarray) -> np.ndarray:
        """Values [N] at points [N, 2]."""
        values: np.ndarray = points @ self.slope + self.offset
        return values


def pca(features: np.ndarray, decision: np.ndarray) -> tuple[np.ndarray, float]:
    """Features [N, D] to points [N, 2] by their two principal components, and the share of variance kept.

    Features are taken as they are, because a linear decision is affine in them. Each axis is turned so that
    `decision` [N] rises along it, which makes two pictures comparable.
    """
    centred = (features - features.mean(axis=0)).astype(np.float64)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    points = centred @ axes[:2].T
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    rising = (decision - decision.mean()) @ points >= 0
    total = float((sizes**2).sum())
    return np.where(rising, points, -points), float((sizes[:2] ** 2).sum()) / total if total else 1.0


def umap(features: np.ndarray, seed: int) -> np.ndarray | None:
    """Features [N, D] to points [N, 2] by UMAP (McInnes et al. 2018); None below 60 rows.

    Rows are scaled to unit length first, as the contrastive loss sees them. The same seed gives the same points
    on one machine.
    """
    if len(features) < FEW:
        return None
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    with warnings.catch_warnings():  # it warns that a seed means one thread, which is what is wanted here
        warnings.simplefilter("ignore")
        from umap import UMAP  # takes seconds to import, so only when it is needed

        mapper = UMAP(n_neighbors=15, min_dist=0.15, init="pca", random_state=seed, n_jobs=1)
        return np.asarray(mapper.fit_transform(unit), dtype=np.float64)


def affine(points: np.ndarray, values: np.ndarray) -> Affine:
    """The affine function of points [N, 2] nearest to values [N] in squares.

    For PCA's points and a hyperplane's values w . phi + b it is no approximation of the hyperplane: principal
    components are uncorrelated, so the fit is w . phi + b itself on the plane through the features' mean, and
    its zero is where the hyperplane cuts that plane.
    """
    design = np.column_stack([points, np.ones(len(points))])
    solution = np.linalg.lstsq(design, values.astype(np.float64), rcond=None)[0]
    spread = float(((values - values.mean()) ** 2).sum())
    rest = float(((values - design @ solution) ** 2).sum())
    share = 1.0 if spread == 0 else max(0.0, 1 - rest / spread)
    return Affine(solution[:2], float(solution[2]), share)
