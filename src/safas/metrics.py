"""Error rates as pure functions on arrays, by the names of ISO/IEC 30107-3 and of the field.

One row = one presentation. Score = P(live), higher = more live; accepted when score >= threshold.
FAR = share of attacks accepted, all species pooled (also FPR); FRR = share of live rejected (also BPCER,
1 - TPR).

N scores with K distinct values have K + 1 operating points: accept nobody, accept the highest value, the
two highest, ..., everybody. Equal scores are accepted or rejected together, so the order of rows never
matters. Every threshold returned here is the middle of the gap between the lowest accepted and the
highest rejected score: it gives the same rates on these scores as any other point of the gap and leaves
the same room on both sides for the scores of new data. It lies just above the highest score when nobody
is accepted, and at the lowest when everybody is.

All functions raise MetricError (a ValueError) when a class that they need is absent, a score or the threshold
is not a number, or the lengths differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from safas.errors import MetricError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

Statistic = Callable[..., float]  # called as statistic(scores=[N], live=[N])


class Roc(NamedTuple):
    """The K + 1 operating points, from accepting nobody to accepting everybody; shares in [0, 1]."""

    threshold: FloatArray  # [K + 1], falling
    far: FloatArray  # [K + 1], rising from 0 to 1
    frr: FloatArray  # [K + 1], falling from 1 to 0


def roc(*, scores: ArrayLike, live: ArrayLike) -> Roc:
    """The ROC: `far` against 1 - `frr`. scores [N]; live [N], true or 1 where live."""
    points = _operating_points(scores, live)
    threshold = np.array([points.threshold(k) for k in range(points.false_accepts.size)])
    return Roc(threshold, points.false_accepts / points.spoofs, points.false_rejects / points.lives)


def auc(*, scores: ArrayLike, live: ArrayLike) -> float:
    """Chance in [0, 1] that a live scores above an attack, ties counting half: the area under the ROC."""
    points = _operating_points(scores, live)
    accepted_live = points.lives - points.false_rejects
    twice_area = np.diff(points.false_accepts) @ (accepted_live[1:] + accepted_live[:-1])
    return float(twice_area) / (2 * points.lives * points.spoofs)


def eer(*, scores: ArrayLike, live: ArrayLike) -> tuple[float, float]:
    """Equal error rate in [0, 1], and the threshold of the operating point nearest to it.

    The rate is where FAR = FRR on the ROC, its points joined by straight lines; no threshold need reach it.
    The threshold belongs to the point with the smallest |FAR - FRR|, the stricter one of two equal.
    """
    points = _operating_points(scores, live)
    # (FAR - FRR) * lives * spoofs in whole numbers: no rounding decides; it rises strictly from < 0 to > 0
    gap = points.false_accepts * points.lives - points.false_rejects * points.spoofs
    k = int(np.searchsorted(gap, 0))
    share = float(gap[k - 1]) / float(gap[k - 1] - gap[k])
    before, after = points.false_accepts[[k - 1, k]] / points.spoofs
    nearest = k if gap[k] < -gap[k - 1] else k - 1
    return float((1 - share) * before + share * after), points.threshold(nearest)


def hter(*, scores: ArrayLike, live: ArrayLike, threshold: float) -> float:
    """Half total error rate in [0, 1]: (FAR + FRR) / 2 at the threshold, all attacks pooled."""
    values, is_live = _both_classes(scores, live)
    accepted = values >= _number(threshold)
    return float(np.mean(accepted[~is_live]) + np.mean(~accepted[is_live])) / 2


def hter_at_eer(*, scores: ArrayLike, live: ArrayLike) -> float:
    """HTER in [0, 1] at the EER threshold of these same scores: an oracle when they are test data."""
    return hter(scores=scores, live=live, threshold=eer(scores=scores, live=live)[1])


def tpr_at_fpr(*, scores: ArrayLike, live: ArrayLike, fpr: float) -> float:
    """Share of live accepted at the largest pooled FAR <= `fpr`, both in [0, 1]; nothing is interpolated."""
    points = _operating_points(scores, live)
    allowed = points.false_accepts / points.spoofs <= _share(fpr, "fpr")
    return float(points.lives - points.false_rejects[allowed][-1]) / points.lives


def tpr_at_nearest_fpr(*, scores: ArrayLike, live: ArrayLike, fpr: float) -> float:
    """Share of live accepted at the strictest of the points whose pooled FAR is nearest to `fpr`, above or below it.

    As SA-FAS's code has it (github.com/sunyiyou/SAFAS, utils/performance.py): more attacks may pass than it names, and
    where none is to pass nobody does. What is nearest is told by floating-point numbers, as there: of 2 and 3 of 50
    attacks, 3 are nearer to 0.05. `tpr_at_fpr` keeps what it names, and takes the loosest such point.
    """
    points = _operating_points(scores, live)
    nearest = np.argmin(np.abs(points.false_accepts / points.spoofs - _share(fpr, "fpr")))
    return float(points.lives - points.false_rejects[nearest]) / points.lives


def bpcer_at_apcer(*, scores: ArrayLike, live: ArrayLike, apcer: float) -> float:
    """BPCER at the largest pooled APCER <= `apcer`: BPCER10, 20 and 100 are those at 0.1, 0.05 and 0.01.

    The standard's APCER is the worst species': for it, pass the attacks of one species at a time (with
    all the live) and take the largest result.
    """
    points = _operating_points(scores, live)
    allowed = points.false_accepts / points.spoofs <= _share(apcer, "apcer")
    return float(points.false_rejects[allowed][-1]) / points.lives


def apcer(*, scores: ArrayLike, species: ArrayLike, threshold: float) -> dict[str, float]:
    """Share of attacks accepted, by species (sorted by name); the standard's APCER is the largest of them.

    scores [N] of attacks only; species [N], the name of each attack's instrument species.
    """
    accepted = _finite(scores) >= _number(threshold)
    names = _named(species, "species").astype(str)
    _same_length(accepted, names, "species")
    return {str(name): float(np.mean(accepted[names == name])) for name in np.unique(names)}


def bpcer(*, scores: ArrayLike, threshold: float) -> float:
    """Share of live rejected. scores [N] of live presentations only."""
    return float(np.mean(_finite(scores) < _number(threshold)))


def bootstrap_interval(
    statistic: Statistic,
    *,
    scores: ArrayLike,
    live: ArrayLike,
    groups: ArrayLike,
    level: float = 0.95,
    seed: int = 0,
    replicates: int = 1000,
) -> tuple[float, float]:
    """Percentile interval of a statistic by the cluster bootstrap: people are drawn, with all their rows.

    `statistic` is called as statistic(scores=..., live=...) once for each replicate, with the rows of the
    drawn groups (highest score first, a group drawn twice counting twice): pass `auc` itself, or
    `functools.partial(hter, threshold=t)` to keep a threshold fixed, or `hter_at_eer` to derive it anew each
    time. groups [N]: whose presentation a row is.

    A draw that lacks one of the classes is drawn again, so the interval is conditional on both being there
    (at least half of all draws have both, whatever the groups). The interval knows of the choice of people
    only, not of retraining; with no error in the data it has no width, which proves nothing.
    Raises MetricError when there are fewer than two groups, no replicate, or several numbers from the statistic.
    """
    values, is_live = _both_classes(scores, live)
    if replicates < 1:
        raise MetricError("an interval needs at least one replicate")
    names = _named(groups, "groups")
    _same_length(values, names, "groups")
    order = np.argsort(-values, kind="stable")  # sorted once: each replicate's own sort then finds it done
    values, is_live = values[order], is_live[order]
    codes = np.unique(names[order], return_inverse=True)[1]
    if codes.max() == 0:
        raise MetricError("an interval needs at least two groups", remedy="Score more than one person.")
    rows, results = np.arange(values.size), np.empty(replicates)
    for i, draw in enumerate(_draws(codes, is_live, replicates, seed)):
        drawn = np.repeat(rows, np.bincount(draw, minlength=codes.max() + 1)[codes])
        found = statistic(scores=values[drawn], live=is_live[drawn])
        if np.ndim(found):
            raise MetricError(
                f"the statistic gives {np.size(found)} numbers, of which an interval needs one",
                remedy="Of `eer`, take the first: `lambda **rows: eer(**rows)[0]`.",
            )
        results[i] = found
    tail = (1 - _share(level, "level")) / 2
    low, high = np.quantile(results, [tail, 1 - tail])
    return float(low), float(high)


def _draws(codes: IntArray, live: BoolArray, replicates: int, seed: int) -> IntArray:
    """Groups drawn with replacement [replicates, G], each draw holding a live and an attack at least."""
    rng = np.random.default_rng(seed)
    count = int(codes.max()) + 1
    has_live = np.bincount(codes[live], minlength=count) > 0
    has_spoof = np.bincount(codes[~live], minlength=count) > 0
    draws = rng.integers(0, count, size=(replicates, count))
    while (lacking := ~(has_live[draws].any(axis=1) & has_spoof[draws].any(axis=1))).any():
        draws[lacking] = rng.integers(0, count, size=(int(lacking.sum()), count))
    return draws


@dataclass(frozen=True)
class _Points:
    """Counts at the K + 1 operating points; point k accepts the k highest of the distinct scores."""

    distinct: FloatArray  # [K], falling
    false_accepts: IntArray  # [K + 1]
    false_rejects: IntArray  # [K + 1]
    lives: int
    spoofs: int

    def threshold(self, k: int) -> float:
        if k == 0:
            return float(np.nextafter(self.distinct[0], np.inf))
        lowest_accepted = float(self.distinct[k - 1])
        if k == self.distinct.size:
            return lowest_accepted
        highest_rejected = float(self.distinct[k])
        middle = highest_rejected / 2 + lowest_accepted / 2
        return middle if middle > highest_rejected else lowest_accepted  # neighbours in floating point


def _operating_points(scores: ArrayLike, live: ArrayLike) -> _Points:
    values, is_live = _both_classes(scores, live)
    order = np.argsort(-values, kind="stable")
    values, is_live = values[order], is_live[order]
    ends = np.append(np.flatnonzero(values[1:] != values[:-1]), values.size - 1)  # last row of each tie
    accepted_live = np.append(0, np.cumsum(is_live)[ends])
    lives = int(accepted_live[-1])
    return _Points(
        distinct=values[ends],
        false_accepts=np.append(0, ends + 1) - accepted_live,
        false_rejects=lives - accepted_live,
        lives=lives,
        spoofs=values.size - lives,
    )


def _both_classes(scores: ArrayLike, live: ArrayLike) -> tuple[FloatArray, BoolArray]:
    values, raw = _finite(scores), np.asarray(live)
    _same_length(values, raw, "live")
    is_live = raw.astype(bool)
    if not np.array_equal(is_live, raw):
        raise MetricError("`live` holds something else than true/false or 1/0")
    for name, count in (("live", int(is_live.sum())), ("spoof", int((~is_live).sum()))):
        if count == 0:
            raise MetricError(
                f"there is no {name} presentation among the {values.size}: the rate is undefined"
            )
    return values, is_live


def _finite(scores: ArrayLike) -> FloatArray:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise MetricError(f"scores must be a row of numbers with at least one, not of shape {values.shape}")
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.argmin(finite))
        raise MetricError(f"score {first} of {values.size} is {values[first]}, which is not a finite number")
    return values


def _named(names: ArrayLike, name: str) -> NDArray[np.generic]:
    values = np.asarray(names)
    if any(value is None or value != value for value in values.ravel().tolist()):
        raise MetricError(f"`{name}` has an empty value")
    return values


def _same_length(values: NDArray[np.generic], other: NDArray[np.generic], name: str) -> None:
    if other.shape != values.shape:
        raise MetricError(f"`{name}` has shape {other.shape}, the scores have {values.shape}")


def _number(threshold: float) -> float:
    if np.isnan(threshold):
        raise MetricError("the threshold is not a number")
    return threshold


def _share(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise MetricError(f"`{name}` is {value}; it is a share from 0 to 1")
    return value
