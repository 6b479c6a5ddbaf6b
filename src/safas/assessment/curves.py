"""Points to draw: error rates at every operating point, thinned, and histograms of the scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from safas.assessment.operating import rejecting
from safas.assessment.scored import Scored, below, parts
from safas.metrics import FloatArray, IntArray

MAX_POINTS = 2000
BINS = 40

Json = dict[str, Any]


def curves(data: Scored, marked: Mapping[str, float]) -> Json | None:
    """BPCER and APCER by species against the threshold, as docs/report.md describes it; None without a class.

    `marked`: name -> threshold, points that must not be thinned away.
    """
    if not data.complete:
        return None
    rejected = _kept(data, list(marked.values()))
    thresholds = [rejecting(data.values, int(k)) for k in rejected]
    return {
        "threshold": thresholds,
        "bpcer": _bpcer(data, thresholds),
        "apcer": {
            "pooled": _apcer(data.attacks, thresholds),
            **{name: _apcer(attacks, thresholds) for name, attacks in data.species.items()},
        },
        "points": [_point(data, name, threshold) for name, threshold in marked.items()],
        "operating_points": int(data.values.size + 1),
    }


def histograms(rows: pl.DataFrame) -> Json:
    """Counts by species and by domain in the same bins from the lowest to the highest score; one is there at least."""
    rows = rows.drop_nulls("score")
    scores = rows["score"].to_numpy()
    low, high = float(scores.min()), float(scores.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    kinds = rows.with_columns(
        pl.when(pl.col("label") == "live").then(pl.lit("live")).otherwise("attack").alias("of")
    )
    species = {name: _counts(part, edges) for name, part in parts(kinds, "of").items()}
    live = {"live": species.pop("live", [0] * BINS)}
    return {"edges": edges.tolist(), "species": live | species, "domains": _by_domain(rows, edges)}


def _by_domain(rows: pl.DataFrame, edges: FloatArray) -> Json:
    return {
        name: {label: _counts(part.filter(pl.col("label") == label), edges) for label in ("live", "spoof")}
        for name, part in parts(rows.drop_nulls("domain"), "domain").items()
    }


def _counts(rows: pl.DataFrame, edges: FloatArray) -> list[int]:
    return [int(n) for n in np.histogram(rows["score"].to_numpy(), edges)[0]]


def _kept(data: Scored, marked: list[float]) -> IntArray:
    """How many distinct values each kept operating point rejects, from all of them to none.

    Points are left out where the next is as near in both rates; the ends and the marked ones always stay.
    """
    count = data.values.size
    every = np.arange(count, -1, -1)
    if count + 1 <= MAX_POINTS:
        return every
    thresholds = np.append(data.values, np.nextafter(data.values[-1], np.inf))
    way = below(data.live, thresholds) / data.live.size
    for attacks in data.species.values():
        way = way + below(attacks, thresholds) / attacks.size
    steps = np.linspace(0, way[-1], MAX_POINTS - len(marked) - 2)
    chosen = np.searchsorted(way, steps)
    extra = [0, count, *(int(np.searchsorted(data.values, t)) for t in marked)]
    return np.unique(np.concatenate([chosen, extra]))[::-1]


def _bpcer(data: Scored, thresholds: list[float]) -> list[float]:
    shares: list[float] = (below(data.live, thresholds) / data.live.size).tolist()
    return shares


def _apcer(attacks: FloatArray, thresholds: list[float]) -> list[float]:
    shares: list[float] = ((attacks.size - below(attacks, thresholds)) / attacks.size).tolist()
    return shares


def _point(data: Scored, name: str, threshold: float) -> Json:
    species = [_apcer(attacks, [threshold])[0] for attacks in data.species.values()]
    return {
        "name": name,
        "threshold": threshold,
        "bpcer": _bpcer(data, [threshold])[0],
        "apcer": max(species),
        "apcer_pooled": _apcer(data.attacks, [threshold])[0],
    }
