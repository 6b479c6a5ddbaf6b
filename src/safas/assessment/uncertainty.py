"""The bootstrap's intervals of every headline number and of every cell, the threshold derived anew each time."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from safas.assessment import resampling
from safas.assessment.intervals import LEVEL
from safas.assessment.operating import OperatingPoint
from safas.assessment.rates import BPCER_AT
from safas.assessment.resampling import Counted, Draws
from safas.metrics import FloatArray

_TEST, _DEV = 0, 1  # streams of random numbers: what is drawn of dev must not follow what is drawn of test

Interval = list[float] | None


@dataclass(frozen=True)
class Bootstrap:
    """How to resample: the operating point, the threshold in use, how often, and from which seed."""

    point: OperatingPoint
    threshold: float
    replicates: int = 1000
    seed: int = 0


def replicated_thresholds(plan: Bootstrap, test: Counted, dev: Counted | None) -> FloatArray:
    """The threshold on each draw [R]: the stated one, or what a draw of dev's rows (without dev, the test's) gives."""
    if plan.point.kind == "threshold":
        return np.full(plan.replicates, plan.point.value)
    data, stream = (test, _TEST) if dev is None else (dev, _DEV)
    draws = resampling.drawn(data, plan.replicates, (plan.seed, stream))
    return np.concatenate([resampling.thresholds(draw, plan.point) for draw in draws])


def replicates(data: Counted, thresholds: FloatArray, plan: Bootstrap) -> dict[str, FloatArray]:
    """Each number on each draw of the test's people [R]: name -> values; a species is "species/<name>".

    NaN where a draw has none of a species. Both classes must be there.
    """
    found: dict[str, list[FloatArray]] = defaultdict(list)
    start = 0
    for draws in resampling.drawn(data, plan.replicates, (plan.seed, _TEST)):
        part = thresholds[start : start + len(draws.live)]
        start += len(part)
        for name, values in _numbers(draws, part, data).items():
            found[name].append(values)
    return {name: np.concatenate(values) for name, values in found.items()}


def intervals(found: Mapping[str, FloatArray]) -> dict[str, Interval]:
    """Percentile intervals, 95 %."""
    return {name: interval(values) for name, values in found.items()}


def interval(values: FloatArray) -> Interval:
    """[low, high] at 95 %, of the replicates in which the number is defined; None when they are all the same.

    A number that no draw changes, such as a rate without any error, has an interval without width, which proves
    nothing: there the Clopper-Pearson bound is the honest one.
    """
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)] if high > low else None


def in_words(data: Counted, plan: Bootstrap, *, oracle: bool, fixed: bool) -> dict[str, Any]:
    """What stands beside the intervals."""
    unit = "subject" if data.clustered else "presentation"
    derived = "stated and kept" if fixed else f"derived anew on drawn {'test' if oracle else 'dev'} {unit}s"
    return {
        "method": f"percentile bootstrap over {unit}s, 95 %; threshold {derived}",
        "replicates": plan.replicates,
        "seed": plan.seed,
        "clusters": int(data.counts.shape[0]),
        "unit": unit,
    }


def _numbers(draws: Draws, threshold: FloatArray, data: Counted) -> dict[str, FloatArray]:
    lives, pooled = draws.live[:, 0], draws.pooled
    bpcer = 1 - resampling.at(draws.live, draws.values, threshold) / lives
    of_species = _share(resampling.at(draws.attacks, draws.values, threshold), draws.attacks[:, :, 0])
    worst = np.nanmax(of_species, axis=1)
    all_attacks = resampling.at(pooled, draws.values, threshold) / pooled[:, 0]
    return {
        "apcer": worst,
        "apcer_pooled": all_attacks,
        "bpcer": bpcer,
        "acer": (worst + bpcer) / 2,
        "hter": (all_attacks + bpcer) / 2,
        "eer": resampling.eer(draws),
        "auc": resampling.auc(draws),
        **{f"bpcer_at_apcer/{rate:g}": _bpcer_at(draws, rate) for rate in BPCER_AT},
        **{f"species/{name}": of_species[:, i] for i, name in enumerate(data.species)},
    }


def _bpcer_at(draws: Draws, rate: float) -> FloatArray:
    cut = np.argmax(resampling.worst_apcer(draws) <= rate, axis=1)
    return np.asarray(1 - draws.live[np.arange(len(cut)), cut] / draws.live[:, 0])


def _share(some: FloatArray, of: FloatArray) -> FloatArray:
    return np.divide(some, of, out=np.full_like(some, np.nan), where=of > 0)
