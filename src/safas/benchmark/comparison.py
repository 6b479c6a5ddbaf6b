"""How sure the numbers of many runs are: people and seeds drawn again, thresholds derived anew, methods in pairs.

What is drawn. A replicate draws the people of the target and, domain by domain, the people of source validation,
as many as there are, with replacement and with all their videos; the source-validation threshold is derived anew
from the drawn validation people (`safas.protocols.source_threshold`'s rule) and applied to the drawn target
people. Methods and seeds are paired by that: the same people of a domain have the same weights wherever they serve
together, in several protocols too. What is reported as the value keeps the threshold that was in use.

What an interval covers: who happened to stand before the camera, at validation and at test; and, where it is said,
which seeds happened to be trained. These are drawn with replacement too: with three of them that is rough, and by a
third of the variance too narrow; noise of single videos, on the other hand, counts for people and for seeds, so that p
is too large where trainings hardly differ (A. B. Owen, "The pigeonhole bootstrap", 2007).

What it does not cover: other training people, another choice of epoch or settings, other cameras and attacks than the
protocols', which count as fixed. A protocol where nobody errs has no width, which proves nothing.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from safas.errors import MetricError, ProtocolError
from safas.files import sha256
from safas.metrics import hter
from safas.protocols import SOURCE_DEV, TARGET
from safas.table import PERSON, is_live

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

REPLICATES = 2000
LEVEL = 0.95

JUDGED = (*PERSON, "video", "label")  # the columns that tell one presentation, whatever its score
_AT_ONCE = 4_000_000  # numbers held in one array while replicates are judged


@dataclass(frozen=True, eq=False)
class Trial:
    """One trained network at the epoch that source validation chose.

    `dev` and `target`: columns of SCORES, one row a presentation; `threshold` is the one in use.
    """

    seed: int
    threshold: float
    dev: pl.DataFrame
    target: pl.DataFrame


@dataclass(frozen=True, eq=False)
class Errors:
    """HTER of one method in one protocol, a column a seed: as measured, and in every replicate."""

    seeds: tuple[int, ...]
    measured: FloatArray  # [S], at the thresholds in use
    drawn: (
        FloatArray | None
    )  # [R, S]; row r has the same people for every method; None with one target person
    tested_on: str  # digest of the presentations: what is compared must be the same

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return float(self.measured.mean())


class Comparison(NamedTuple):
    """Method A against method B on the same videos. Shares in [0, 1], differences in [-1, 1]."""

    difference: float  # HTER of A minus HTER of B, mean over seeds (and protocols): negative = A errs less
    interval: tuple[float, float] | None  # 95 %, percentiles over the replicates
    better: float | None  # share of the replicates in which A errs less, ties counting half
    p: (
        float | None
    )  # two-sided: twice the smaller share of replicates beyond zero, (n + 1) / (R + 1), at most 1


def trial(scores: pl.DataFrame, chosen: Mapping[str, Any]) -> Trial:
    """From a run's score table (RUN_SCORES) and the part `chosen` of its evaluation."""
    rows = scores.filter(pl.col("epoch") == chosen["epoch"]).sort("dataset", "domain", "video")
    dev, target = (rows.filter(pl.col("role") == role) for role in (SOURCE_DEV, TARGET))
    return Trial(int(rows["seed"][0]), float(chosen["threshold"]["value"]), dev, target)


def errors(trials: Sequence[Trial], *, replicates: int = REPLICATES, seed: int = 0) -> Errors:
    """The errors of one method in one protocol, `trials` being its seeds.

    Raises ProtocolError when the seeds were not judged on the same videos, MetricError without a trial or a
    class.
    """
    if not trials:
        raise MetricError("there is no run to take the errors of")
    trials = sorted(trials, key=lambda one: one.seed)
    digests = {_digest(one) for one in trials}
    if len(digests) > 1:
        raise ProtocolError("the seeds of a method were not tested on the same videos")
    measured = [
        hter(scores=one.target["score"].to_numpy(), live=is_live(one.target), threshold=one.threshold)
        for one in trials
    ]
    drawn = None
    if trials[0].target.select(PERSON).n_unique() > 1:
        drawn = np.stack([hter_replicates(one, replicates, seed) for one in trials], axis=1)
    return Errors(tuple(one.seed for one in trials), np.array(measured), drawn, digests.pop())


def hter_replicates(one: Trial, replicates: int, seed: int) -> FloatArray:
    """HTER [R] with people drawn anew, each at the threshold that its own validation people give."""
    dev, target = _Ranked.of(one.dev), _Ranked.of(one.target)
    thresholds = dev.eer_thresholds(draw_people(one.dev, replicates, seed))
    return target.hter(draw_people(one.target, replicates, seed), thresholds)


def draw_people(rows: pl.DataFrame, replicates: int, seed: int) -> FloatArray:
    """How often each person is drawn [R, G], people sorted by data set, domain and name.

    Drawn within each domain: how many people it has is no accident. The numbers depend on `seed` and the domain's
    people alone, so that tables with the same people get the same draws. A draw that lacks a label which
    the domain has is drawn again.
    """
    domains = _people(rows).group_by("dataset", "domain", maintain_order=True)
    return np.hstack([_drawn_domain(of, replicates, seed) for _, of in domains])


def interval(of: Sequence[Errors], *, level: float = LEVEL) -> tuple[float, float] | None:
    """Percentile interval of the mean HTER over seeds and, if there are several, protocols; people are drawn.

    None where a protocol has one target person only.
    """
    values = _mean_over([one.drawn for one in of], [_even(one) for one in of])
    return None if values is None else _percentiles(values, level)


def compare(a: Sequence[Errors], b: Sequence[Errors], *, level: float = LEVEL, seed: int = 0) -> Comparison:
    """A against B in one or several protocols, given in the same order; people and seeds are drawn.

    Methods with the same seeds have them drawn together, otherwise each by itself. Over several protocols the
    mean of the differences is taken in each replicate. Raises ProtocolError when A and B were not tested on the
    same videos.
    """
    for one, other in zip(a, b, strict=True):
        if one.tested_on != other.tested_on:
            raise ProtocolError("two methods that are to be compared were not tested on the same videos")
    difference = float(np.mean([one.value - other.value for one, other in zip(a, b, strict=True)]))
    sides = [_mean_over([e.drawn for e in of], [_drawn_seeds(e, seed) for e in of]) for of in (a, b)]
    if sides[0] is None or sides[1] is None:
        return Comparison(difference, None, None, None)
    drawn = np.round(sides[0] - sides[1], 12)  # what differs by rounding alone is a tie
    below, above = int((drawn <= 0).sum()), int((drawn >= 0).sum())
    p = min(1.0, 2 * (min(below, above) + 1) / (drawn.size + 1))
    better = float((drawn < 0).mean() + (drawn == 0).mean() / 2)
    return Comparison(difference, _percentiles(drawn, level), better, p)


def holm(p_values: ArrayLike) -> list[float]:
    """The p-values adjusted for their number (Holm 1979): each below alpha holds at a family-wise error of alpha."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]


@dataclass(frozen=True, eq=False)
class _Ranked:
    """N presentations, highest score first: whose each is, and whether it is live.

    `distinct` [K], falling, are the scores; point k accepts the k highest of them, which are `ends[k]` presentations.
    A replicate is a weight for each presentation and a running sum, so that time and memory grow with N: a table of
    people by distinct scores would grow with the product, as there are more scores where there are more people.
    """

    person: IntArray  # [N], the place in the order of `draw_people`
    live: BoolArray  # [N]
    distinct: FloatArray
    ends: IntArray  # [K + 1]

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "_Ranked":
        """From the columns of SCORES."""
        who = rows.join(_people(rows), on=PERSON, how="left", maintain_order="left")["person"].to_numpy()
        scores = rows["score"].to_numpy()
        order = np.argsort(-scores, kind="stable")
        negative, sizes = np.unique(-scores, return_counts=True)
        ends = np.append(0, np.cumsum(sizes))
        return cls(who[order].astype(np.int64), is_live(rows)[order], -negative, ends)

    def eer_thresholds(self, weights: FloatArray) -> FloatArray:
        """The threshold of `safas.metrics.eer` in each replicate [R]; weights [R, G]."""
        return np.concatenate([self._eer_thresholds(part) for part in self._parts(weights)])

    def hter(self, weights: FloatArray, thresholds: FloatArray) -> FloatArray:
        """HTER [R] at a threshold [R] of its own in each replicate."""
        k = np.searchsorted(-self.distinct, -thresholds, side="right")
        parts = zip(self._parts(weights), self._parts(k), strict=True)
        return np.concatenate([self._hter(part, at) for part, at in parts])

    def _parts(self, of: NDArray[Any]) -> list[NDArray[Any]]:
        return np.array_split(of, -(-len(of) * self.person.size // _AT_ONCE))

    def _accepted(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How many spoof and how many live are accepted at each point [r, K + 1]."""
        drawn = weights[:, self.person]
        spoof, live = (np.cumsum(drawn * of, axis=1) for of in (~self.live, self.live))
        first = np.zeros((len(weights), 1))
        last = self.ends[1:] - 1
        return np.hstack([first, spoof[:, last]]), np.hstack([first, live[:, last]])

    def _hter(self, weights: FloatArray, k: IntArray) -> FloatArray:
        rows = np.arange(len(weights))
        spoof, live = (of[rows, k] / of[:, -1] for of in self._accepted(weights))
        return np.asarray(spoof + 1 - live) / 2

    def _eer_thresholds(self, weights: FloatArray) -> FloatArray:
        spoof, live = self._accepted(weights)
        # as in `safas.metrics.eer`: (FAR - FRR) * lives * spoofs, in whole numbers; it never falls
        gap = spoof * live[:, -1:] - (live[:, -1:] - live) * spoof[:, -1:]
        rows, k = np.arange(len(weights)), (gap < 0).sum(axis=1)
        nearest = np.where(gap[rows, k] < -gap[rows, k - 1], k, k - 1)
        total = spoof + live
        at = total[rows, nearest][:, None]
        # scores of people who were not drawn are no scores: look past them on both sides of the gap
        return self._middle(above=(total < at).sum(axis=1) - 1, below=(total <= at).sum(axis=1) - 1)

    def _middle(self, *, above: IntArray, below: IntArray) -> FloatArray:
        """Between the lowest accepted score, -1 if nobody is, and the highest rejected one, by their places.

        Somebody always is rejected: accepting everybody is never nearest to FAR = FRR.
        """
        low, high = self.distinct[below], self.distinct[np.maximum(above, 0)]
        middle = low / 2 + high / 2
        between = np.where(middle > low, middle, high)  # not so for neighbours in floating point
        return np.where(above < 0, np.nextafter(low, np.inf), between)


def _people(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a person, sorted and numbered from 0: PERSON, person, and whether there is a live and a spoof."""
    people = rows.group_by(PERSON).agg(
        live=(pl.col("label") == "live").any(), spoof=(pl.col("label") == "spoof").any()
    )
    return people.sort(PERSON).with_row_index("person")


def _drawn_domain(people: pl.DataFrame, replicates: int, seed: int) -> FloatArray:
    """Weights [R, G] of one domain's people."""
    name = "\n".join(map(str, people.select(PERSON).rows()))
    rng, count = np.random.default_rng([seed, zlib.crc32(name.encode())]), len(people)
    needed = [has for has in (people["live"].to_numpy(), people["spoof"].to_numpy()) if has.any()]
    weights = rng.multinomial(count, np.full(count, 1 / count), size=replicates)
    while (lacking := np.any([weights @ has == 0 for has in needed], axis=0)).any():
        weights[lacking] = rng.multinomial(count, np.full(count, 1 / count), size=int(lacking.sum()))
    return weights.astype(np.float64)


def _drawn_seeds(of: Errors, seed: int) -> FloatArray:
    """The share of each seed in each replicate [R, S]; the same for all who have these seeds."""
    if of.drawn is None or len(of.seeds) == 1:
        return _even(of)
    rng, count = np.random.default_rng([seed, zlib.crc32(repr(of.seeds).encode())]), len(of.seeds)
    return rng.multinomial(count, np.full(count, 1 / count), size=len(of.drawn)) / count


def _even(of: Errors) -> FloatArray:
    return np.full((1, len(of.seeds)), 1 / len(of.seeds))


def _mean_over(drawn: Sequence[FloatArray | None], shares: Sequence[FloatArray]) -> FloatArray | None:
    """The mean [R] over the seeds by their shares, then over the protocols."""
    means = [(of * share).sum(axis=1) for of, share in zip(drawn, shares, strict=True) if of is not None]
    return np.mean(means, axis=0) if len(means) == len(drawn) else None


def _percentiles(values: FloatArray, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _digest(one: Trial) -> str:
    """What was judged: the presentations of both roles, whatever their scores."""
    keys = [rows.select(JUDGED).rows() for rows in (one.dev, one.target)]
    return sha256(repr(keys).encode())
