"""How far a face lies from what the network was trained on: the distance to the nearest (domain, label) cluster.

Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks", NeurIPS
2018, equation 2: one Gaussian a class, all with one covariance. That is shrunk (Ledoit and Wolf 2004) where it is
fitted, because there may be fewer faces than features.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safas.errors import BundleError

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Clusters:
    """means [C, D] of the clusters, whitening [D, D] (W'W = inverse of the covariance), domain name of each cluster.

    Several clusters may be of one domain: its live faces and its attacks.
    """

    means: FloatArray
    whitening: FloatArray
    domains: tuple[str, ...]

    def nearest(self, features: FloatArray) -> tuple[str, float]:
        """The domain that features [F, D] of F frames lie nearest to, and the distance in standard deviations.

        The distance is sqrt(Mahalanobis^2 / D), about 1 for training faces whatever D is; the mean over the frames.
        """
        white = features @ self.whitening.T
        gaps = white[:, None, :] - (self.means @ self.whitening.T)[None]
        distances = np.sqrt(np.square(gaps).mean(axis=2)).mean(axis=0)
        best = int(distances.argmin())
        return self.domains[best], float(distances[best])

    def to_bytes(self) -> bytes:
        """As `from_bytes` reads it: NumPy's .npz, single precision."""
        file = io.BytesIO()
        np.savez(file, means=self.means.astype(np.float32), whitening=self.whitening.astype(np.float32))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, domains: tuple[str, ...], where: str) -> "Clusters":
        """Raises BundleError when the arrays are not there or do not fit each other."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                means, whitening = arrays["means"], arrays["whitening"]
        except (OSError, ValueError, KeyError) as error:
            raise BundleError("not the statistics of features", where=where) from error
        if means.ndim != 2 or len(means) != len(domains) or whitening.shape != (means.shape[1],) * 2:
            raise BundleError("the statistics of features do not fit the bundle", where=where)
        return cls(means, whitening, domains)
