"""The bootstrap's intervals of every headline number and of every cell, the threshold derived anew each time."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
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
    draws = resampling.drawn(data, plan.replicates, (plan.seed, _TEST))
    return _collected(draws, thresholds, lambda drawn, at: _numbers(drawn, at, data))


def group_replicates(
    whole: Counted, group: Counted, thresholds: FloatArray, plan: Bootstrap
) -> dict[str, FloatArray]:
    """A group's rates on the draws of all of the test's people [R]: apcer_pooled, bpcer and "species/<name>".

    So a threshold that the test itself chose meets the draw that it is of. NaN where a draw has none of a kind.
    """
    draws = resampling.drawn(whole, plan.replicates, (plan.seed, _TEST), group)
    return _collected(draws, thresholds, lambda drawn, at: _rates(drawn, at, group))


def intervals(found: Mapping[str, FloatArray]) -> dict[str, Interval]:
    """Percentile intervals, 95 %."""
    return {name: interval(values) for name, values in found.items()}


def interval(values: FloatArray) -> Interval:
    """[low, high] at 95 %, of the replicates in which the number is defined; None when both ends are the same.

    A number that hardly a draw changes, such as a rate without any error, has an interval without width, which proves
    nothing: there the Clopper-Pearson bound is the honest one.
    """
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)] if high > low else None


def in_words(test: Counted, dev: Counted | None, plan: Bootstrap) -> dict[str, Any]:
    """What stands beside the intervals; what is drawn of dev need not be what is drawn of the test."""
    unit = _unit(test)
    file, chose = ("test", test) if dev is None else ("dev", dev)
    fixed = plan.point.kind == "threshold"
    derived = "stated and kept" if fixed else f"derived anew on drawn {file} {_unit(chose)}s"
    return {
        "method": f"percentile bootstrap over {unit}s, 95 %; threshold {derived}",
        "replicates": plan.replicates,
        "seed": plan.seed,
        "clusters": int(test.counts.shape[0]),
        "unit": unit,
    }


def _unit(data: Counted) -> str:
    return "subject" if data.clustered else "presentation"


def _collected(
    draws: Iterable[Draws],
    thresholds: FloatArray,
    numbers: Callable[[Draws, FloatArray], dict[str, FloatArray]],
) -> dict[str, FloatArray]:
    """The numbers of some draws after the other, each with its threshold, as one row of each."""
    found: dict[str, list[FloatArray]] = defaultdict(list)
    start = 0
    for some in draws:
        end = start + len(some.live)
        for name, values in numbers(some, thresholds[start:end]).items():
            found[name].append(values)
        start = end
    return {name: np.concatenate(values) for name, values in found.items()}


def _rates(draws: Draws, threshold: FloatArray, data: Counted) -> dict[str, FloatArray]:
    lives, pooled = draws.live[:, 0], draws.pooled
    of_species = _share(resampling.at(draws.attacks, draws.values, threshold), draws.attacks[:, :, 0])
    return {
        "apcer_pooled": _share(resampling.at(pooled, draws.values, threshold), pooled[:, 0]),
        "bpcer": 1 - _share(resampling.at(draws.live, draws.values, threshold), lives),
        **{f"species/{name}": of_species[:, i] for i, name in enumerate(data.species)},
    }


def _numbers(draws: Draws, threshold: FloatArray, data: Counted) -> dict[str, FloatArray]:
    rates = _rates(draws, threshold, data)
    worst = np.nanmax([rates[f"species/{name}"] for name in data.species], axis=0)
    return {
        **rates,
        "apcer": worst,
        "acer": (worst + rates["bpcer"]) / 2,
        "hter": (rates["apcer_pooled"] + rates["bpcer"]) / 2,
        "eer": resampling.eer(draws),
        "auc": resampling.auc(draws),
        **{f"bpcer_at_apcer/{rate:g}": _bpcer_at(draws, rate) for rate in BPCER_AT},
    }


def _bpcer_at(draws: Draws, rate: float) -> FloatArray:
    cut = np.argmax(resampling.worst_apcer(draws) <= rate, axis=1)
    return np.asarray(1 - draws.live[np.arange(len(cut)), cut] / draws.live[:, 0])


def _share(some: FloatArray, of: FloatArray) -> FloatArray:
    return np.divide(some, of, out=np.full_like(some, np.nan), where=of > 0)
