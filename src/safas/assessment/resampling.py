"""The bootstrap over people, all replicates at once: what the rates would be had other people come.

People are drawn with replacement, each with all presentations (Davison and Hinkley 1997, section 3.8); where they
are not known, presentations are drawn, and the intervals are too narrow if one person gave several. A threshold
that was chosen on other people is chosen anew on a draw of those.

A replicate is a vector of counts by distinct score and class, so that a thousand of them are one matrix product.
Beyond MAX_BINS distinct scores neighbours share a bin, cut at quantiles of bona fide and of each species, and at the
threshold in use. With c such classes this moves a rate of any of them by less than 1 / (MAX_BINS / c - 1), in the
bootstrap only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from safas.assessment.operating import OperatingPoint
from safas.metrics import FloatArray, IntArray

MAX_BINS = 4096
_CHUNK = 50  # replicates at a time
_AT_ONCE = 20_000_000  # clusters drawn at a time


@dataclass(frozen=True, eq=False)
class Counted:
    """Rows as counts by person and by (class, bin); class 0 is bona fide, 1 ... S are the `species`."""

    values: FloatArray  # [K], rising: the lowest score of each bin
    species: tuple[str, ...]
    counts: csr_array  # [G, (1 + S) K]
    clustered: bool  # whether the G are drawn one by one, being people; otherwise each is one presentation

    @property
    def classes(self) -> int:
        """1 + S."""
        return 1 + len(self.species)


@dataclass(frozen=True, eq=False)
class Draws:
    """r replicates: accepted presentations when bins j, j + 1, ... are, j = 0 ... K; weights of the bins."""

    values: FloatArray  # [K], rising
    live: FloatArray  # [r, K + 1], falling to 0
    attacks: FloatArray  # [r, S, K + 1]

    @property
    def pooled(self) -> FloatArray:
        """[r, K + 1]"""
        return np.asarray(self.attacks.sum(axis=1))


def counted(
    table: pl.DataFrame, threshold: float | None = None, among: pl.DataFrame | None = None
) -> Counted:
    """Columns: label, attack, score, person (null where not known). Rows without a score are left out.

    `among` is the table whose people are drawn, all of them known, where this one holds a part of its rows.
    """
    rows = table.select("label", "attack", "score", "person").drop_nulls("score")
    scores = rows["score"].to_numpy()
    species = sorted(rows.filter(pl.col("label") == "spoof")["attack"].unique())
    code = {name: i + 1 for i, name in enumerate(species)}
    kind = rows.select(
        pl.when(pl.col("label") == "live")
        .then(0)
        .otherwise(pl.col("attack").replace_strict(code, default=0, return_dtype=pl.Int64))
    ).to_series()
    kinds = kind.to_numpy()
    values, bins = _binned(scores, kinds, threshold)
    names = (rows if among is None else among.drop_nulls("score"))["person"].unique().sort()
    known = names.null_count() == 0 and len(names) > 1
    people = _coded(rows["person"], names) if known else np.arange(scores.size)
    shape = (len(names) if known else scores.size, (1 + len(species)) * values.size)
    counts = csr_array((np.ones(scores.size), (people, kinds * values.size + bins)), shape=shape)
    return Counted(values, tuple(species), counts, known)


def drawn(
    data: Counted, replicates: int, seed: tuple[int, ...], part: Counted | None = None
) -> Iterator[Draws]:
    """The replicates in order, some at a time; the same seed and the same people give the same draws.

    With `part`, which was counted among data's people, its presentations are drawn with them: a draw may have none of a
    class.
    """
    rng = np.random.default_rng(seed)
    of = part or data
    chunk = max(1, min(_CHUNK, _AT_ONCE // data.counts.shape[0])) if data.clustered else _CHUNK
    for start in range(0, replicates, chunk):
        rows = min(chunk, replicates - start)
        cells = (
            (of.counts.T @ _clusters(data, rows, rng).T).T if data.clustered else _singles(data, rows, rng)
        )
        cells = cells.reshape(rows, of.classes, of.values.size)
        accepted = np.zeros((rows, of.classes, of.values.size + 1))
        accepted[:, :, :-1] = np.cumsum(cells[:, :, ::-1], axis=2)[:, :, ::-1]
        yield Draws(of.values, accepted[:, 0], accepted[:, 1:])


def thresholds(draws: Draws, point: OperatingPoint) -> FloatArray:
    """The threshold of each replicate [r], chosen (not stated) as `safas.assessment.operating.threshold_of` does."""
    rejects = draws.live[:, :1] - draws.live
    if point.kind == "eer":
        cut = _eer_point(draws)[0]
    elif point.kind == "apcer":
        allowed = worst_apcer(draws) <= point.value  # rising with j
        cut = np.argmax(allowed, axis=1)
    else:
        allowed = rejects / draws.live[:, :1] <= point.value  # falling with j
        cut = allowed.shape[1] - 1 - np.argmax(allowed[:, ::-1], axis=1)
    return _middle(draws, cut)


def worst_apcer(draws: Draws) -> FloatArray:
    """[r, K + 1]; a species that no drawn person has is passed over."""
    totals = draws.attacks[:, :, :1]
    shares = np.divide(draws.attacks, totals, out=np.zeros_like(draws.attacks), where=totals > 0)
    return np.asarray(shares.max(axis=1))


def eer(draws: Draws) -> FloatArray:
    """[r]"""
    return _eer_point(draws)[1]


def auc(draws: Draws) -> FloatArray:
    """[r]"""
    attacks = draws.pooled
    steps = attacks[:, :-1] - attacks[:, 1:]
    area = (steps * (draws.live[:, 1:] + draws.live[:, :-1])).sum(axis=1) / 2
    return np.asarray(area / (draws.live[:, 0] * attacks[:, 0]))


def at(accepted: FloatArray, values: FloatArray, threshold: FloatArray) -> FloatArray:
    """accepted [r, ..., K + 1] at a threshold for each replicate [r]: [r, ...]"""
    cut = np.searchsorted(values, threshold, side="left")
    return accepted[np.arange(len(accepted)), ..., cut]


def _eer_point(draws: Draws) -> tuple[IntArray, FloatArray]:
    """The operating point nearest to the EER, and the EER; see `safas.metrics.eer`."""
    attacks, lives = draws.pooled[:, ::-1], draws.live[:, ::-1]  # from accepting nobody to everybody
    far = attacks / attacks[:, -1:]
    # whole numbers decide, as in safas.metrics
    gap = attacks * lives[:, -1:] - (lives[:, -1:] - lives) * attacks[:, -1:]
    k = np.argmax(gap >= 0, axis=1)
    rows = np.arange(len(k))
    before, after = gap[rows, k - 1], gap[rows, k]
    share = before / (before - after)
    rate = (1 - share) * far[rows, k - 1] + share * far[rows, k]
    nearest = np.where(after < -before, k, k - 1)
    return far.shape[1] - 1 - nearest, rate


def _middle(draws: Draws, cut: IntArray) -> FloatArray:
    """The threshold of accepting bins `cut` and above [r]: the middle of the gap in what was drawn."""
    everybody = draws.live + draws.pooled
    seen = everybody[:, :-1] > everybody[:, 1:]
    bins = np.arange(draws.values.size)
    lowest = np.where(seen & (bins >= cut[:, None]), bins, draws.values.size).min(axis=1)
    highest = np.where(seen & (bins < cut[:, None]), bins, -1).max(axis=1)
    low = draws.values[highest]
    above = np.nextafter(low, np.inf)  # of all that was drawn
    high = np.where(lowest == draws.values.size, above, np.append(draws.values, np.nan)[lowest])
    middle = low / 2 + high / 2
    no_middle = (highest < 0) | (lowest == draws.values.size) | (middle <= low)
    return np.asarray(np.where(no_middle, high, middle))


def _coded(person: pl.Series, names: pl.Series) -> IntArray:
    """The place of each name among all."""
    return person.replace_strict(names, np.arange(len(names)), return_dtype=pl.Int64).to_numpy()


def _binned(scores: FloatArray, kinds: IntArray, threshold: float | None) -> tuple[FloatArray, IntArray]:
    """The lowest score of each bin, rising, and the bin of each score."""
    values, bins = np.unique(scores, return_inverse=True)
    if values.size <= MAX_BINS:
        return values, bins
    of_kinds = [scores[kinds == kind] for kind in np.unique(kinds)]
    each = max(2, MAX_BINS // len(of_kinds))
    edges = np.unique(np.concatenate([_quantiles(of_kind, each) for of_kind in of_kinds]))
    if threshold is not None:
        k = int(np.searchsorted(values, threshold))
        edges = np.unique(np.append(edges, values[min(k, values.size - 1)]))
    return edges, np.searchsorted(edges, scores, side="right") - 1


def _quantiles(scores: FloatArray, count: int) -> FloatArray:
    """So many of the scores, from the lowest to the highest, with as many of the others between any two."""
    at = np.linspace(0, scores.size - 1, count).astype(np.int64)
    return np.asarray(np.partition(scores, at)[at])


def _clusters(data: Counted, rows: int, rng: np.random.Generator) -> FloatArray:
    """How often each person is drawn [rows, G], anew until someone of each class is."""
    people = data.counts.shape[0]
    width = data.values.size
    holds = np.stack([data.counts[:, :width].sum(axis=1) > 0, data.counts[:, width:].sum(axis=1) > 0])
    holds = holds[holds.any(axis=1)]  # of scores of one class alone no more can be asked
    weights = _weights(rng, rows, people)
    while (lacking := ~((weights @ holds.T) > 0).all(axis=1)).any():
        weights[lacking] = _weights(rng, int(lacking.sum()), people)
    return weights


def _weights(rng: np.random.Generator, rows: int, people: int) -> FloatArray:
    """How often each person is drawn [rows, G]."""
    draw = rng.integers(0, people, size=(rows, people)) + people * np.arange(rows)[:, None]
    return np.bincount(draw.ravel(), minlength=rows * people).reshape(rows, people).astype(np.float64)


def _singles(data: Counted, rows: int, rng: np.random.Generator) -> FloatArray:
    """Presentations drawn one by one, which is to draw the cells by their share."""
    sums = np.asarray(data.counts.sum(axis=0)).ravel()
    total = int(sums.sum())
    width = data.values.size
    classes = [part for part in (slice(width), slice(width, None)) if sums[part].any()]
    cells = rng.multinomial(total, sums / total, size=rows).astype(np.float64)
    while (lacking := ~np.all([cells[:, part].any(axis=1) for part in classes], axis=0)).any():
        cells[lacking] = rng.multinomial(total, sums / total, size=int(lacking.sum()))
    return cells
