"""Scores to probabilities, and how far they are from being some.

`Temperature` and `Platt` are fitted on validation scores once (scipy) and used with numpy alone; a bundle carries
Platt's slope and offset. Both are monotone: they move no presentation past another, so no rate of the report depends on
them. A probability of being live holds for the share of live among the validation rows and changes with it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from safas.errors import MetricError
from safas.metrics import FloatArray

EPSILON = 1e-6  # a score of 0 or 1 counts as this far from it: its logit is +-13.8, not infinite
PASS, UNSURE, DENY = "pass", "unsure", "deny"
BINS = 15  # of the expected calibration error (Guo et al. 2017)

Json = dict[str, Any]


@dataclass(frozen=True)
class Temperature:
    """p = sigmoid(logit(score) / temperature) (Guo et al. 2017, section 4.2); > 1 makes scores less sure."""

    temperature: float

    def __call__(self, scores: ArrayLike) -> FloatArray:
        """Probabilities of scores in [0, 1], of the same shape."""
        return sigmoid(logit(scores) / self.temperature)


@dataclass(frozen=True)
class Platt:
    """p = sigmoid(slope * x + offset) (Platt 1999); x is the score, or its logit where `on_logit`."""

    slope: float
    offset: float
    on_logit: bool

    def __call__(self, scores: ArrayLike) -> FloatArray:
        """Probabilities of scores (any finite number, or in [0, 1] where `on_logit`), of the same shape."""
        x = logit(scores) if self.on_logit else np.asarray(scores, dtype=np.float64)
        return sigmoid(self.slope * x + self.offset)


@dataclass(frozen=True)
class Decision:
    """Pass when score >= `passes`, deny when score < `denies`, unsure between; None: nobody is (denied, passed)."""

    passes: float | None
    denies: float | None

    def __call__(self, scores: FloatArray) -> np.ndarray:
        """ "pass", "unsure" or "deny" of each score."""
        made = np.full(np.shape(scores), UNSURE, dtype="<U6")
        if self.denies is not None:
            made[np.asarray(scores) < self.denies] = DENY
        if self.passes is not None:
            made[np.asarray(scores) >= self.passes] = PASS
        return made


def fit_temperature(scores: ArrayLike, live: ArrayLike) -> Temperature:
    """The temperature with the highest likelihood, from 0.01 to 100. scores [N] in [0, 1]; live [N], both classes."""
    from scipy.optimize import minimize_scalar

    x, y = logit(scores), _both(live)

    def loss(log_t: float) -> float:
        return float(np.mean(np.logaddexp(0, -np.where(y, x, -x) / np.exp(log_t))))

    found = minimize_scalar(
        loss, bounds=(np.log(0.01), np.log(100)), method="bounded", options={"xatol": 1e-8}
    )
    return Temperature(float(np.exp(found.x)))


def fit_platt(scores: ArrayLike, live: ArrayLike, *, on_logit: bool) -> Platt:
    """Slope and offset of the highest likelihood, on Platt's targets: finite even where the classes are apart.

    scores [N], any finite numbers (in [0, 1] for `on_logit`); live [N], both classes.
    """
    from scipy.optimize import minimize

    values, y = np.asarray(scores, dtype=np.float64), _both(live)
    x = logit(values) if on_logit else values
    middle, spread = float(x.mean()), float(x.std()) or 1.0
    z = (x - middle) / spread  # so that the search is well scaled whatever the scores' unit
    lives, spoofs = int(y.sum()), int((~y).sum())
    target = np.where(y, (lives + 1) / (lives + 2), 1 / (spoofs + 2))

    def loss(ab: FloatArray) -> tuple[float, FloatArray]:
        u = ab[0] * z + ab[1]
        slope = sigmoid(u) - target
        value = np.mean(np.logaddexp(0, u) - target * u)
        return float(value), np.array([np.mean(slope * z), np.mean(slope)])

    start = np.array([0.0, np.log((lives + 1) / (spoofs + 1))])
    a, b = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    return Platt(float(a / spread), float(b - a * middle / spread), on_logit)


def errors(probabilities: FloatArray, live: ArrayLike) -> Json:
    """{`ece`, `nll`, `brier`}; probabilities [N] in [0, 1], live [N]."""
    y = np.asarray(live, dtype=bool)
    p = np.clip(probabilities, EPSILON, 1 - EPSILON)
    return {
        "ece": ece(probabilities, y),
        "nll": float(-np.mean(np.log(np.where(y, p, 1 - p)))),
        "brier": float(np.mean((probabilities - y) ** 2)),
    }


def ece(probabilities: FloatArray, live: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error in [0, 1]: mean over rows of |mean p - share of live| of the row's bin.

    Bins are equally wide, (0, 1/bins], ..., the first with its left end.
    """
    y = np.asarray(live, dtype=np.float64)
    which = bin_of(probabilities, bins)
    difference = np.bincount(which, probabilities - y, minlength=bins)
    return float(np.abs(difference).sum() / y.size)


def bin_of(probabilities: FloatArray, bins: int = BINS) -> np.ndarray:
    """The bin [N] of each probability, 0 ... bins - 1."""
    edges = np.linspace(0, 1, bins + 1)
    return np.clip(np.searchsorted(edges, probabilities, side="left") - 1, 0, bins - 1)


def are_probabilities(scores: ArrayLike) -> bool:
    """Whether all lie in [0, 1]."""
    values = np.asarray(scores, dtype=np.float64)
    return bool(values.size and values.min() >= 0 and values.max() <= 1)


def logit(scores: ArrayLike) -> FloatArray:
    """log(p / (1 - p)), p kept EPSILON away from 0 and 1."""
    p = np.clip(np.asarray(scores, dtype=np.float64), EPSILON, 1 - EPSILON)
    return np.log(p) - np.log1p(-p)


def sigmoid(x: ArrayLike) -> FloatArray:
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(0, -np.asarray(x, dtype=np.float64)))


def _both(live: ArrayLike) -> np.ndarray:
    y = np.asarray(live, dtype=bool)
    if y.all() or not y.any():
        raise MetricError("calibration needs live and spoof rows to be fitted on")
    return y
