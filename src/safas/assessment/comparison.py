"""Two systems on the same presentations: differences with paired intervals, and McNemar's exact test."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binomtest

from safas.assessment import rates, resampling, uncertainty
from safas.assessment.operating import OperatingPoint
from safas.assessment.presentations import Presentations
from safas.assessment.resampling import Counted
from safas.assessment.scored import scored
from safas.assessment.uncertainty import Bootstrap
from safas.errors import InputError
from safas.metrics import FloatArray

_KEYS = ("dataset", "video")
_ALPHA = 0.05
_NAMES = {
    "apcer": "APCER, worst species",
    "apcer_pooled": "APCER, pooled",
    "bpcer": "BPCER",
    "hter": "HTER",
    "auc": "AUC",
}
_NOTE = (
    "Intervals: both systems on the same draws of people (of presentations where people are not known), each threshold "
    "derived anew where dev chose it. McNemar's test takes presentations as independent and the two thresholds as "
    "given; it alone decides (p < 0.05, of HTER and AUC twice the smaller of both labels' p) where a difference is the "
    "same in 95 % of the draws and so has no interval."
)

Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class System:
    """One of the two: its scores, and the threshold with where it came from."""

    test: Presentations
    dev: Presentations | None
    threshold: float
    chosen_on: str
    oracle: bool


def compare(a: System, b: System, point: OperatingPoint, replicates: int, seed: int) -> Json:
    """The part `comparison` of docs/report.md: a minus b on the presentations that both have scored.

    Raises InputError when a file has no `video` column, the labels contradict each other, or nothing matches.
    """
    both, lost_a, lost_b = _joined(a, b)
    tables = [both, both.with_columns(pl.col("score_b").alias("score"))]
    plans = [Bootstrap(point, system.threshold, replicates, seed) for system in (a, b)]
    counts = [_counted(table, plan) for table, plan in zip(tables, plans, strict=True)]
    found = [
        uncertainty.replicates(data, _thresholds(system, data, plan), plan)
        for system, data, plan in zip((a, b), counts, plans, strict=True)
    ]
    values = [_values(table, system.threshold) for table, system in zip(tables, (a, b), strict=True)]
    tests = _mcnemar(both, a.threshold, b.threshold)
    return {
        "a": _about(a),
        "b": _about(b),
        "matched": len(both),
        "unmatched_a": lost_a,
        "unmatched_b": lost_b,
        "clusters": int(counts[0].counts.shape[0]),
        "rows": [_row(name, title, values, found, tests) for name, title in _titles(both).items()],
        "mcnemar": tests,
        "note": _NOTE,
    }


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p of the discordant pairs (McNemar 1947): Binomial(only_a + only_b, 1/2); 1 with none."""
    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0


def _joined(a: System, b: System) -> tuple[pl.DataFrame, int, int]:
    for system in (a, b):
        if system.test.table["video"].null_count():
            raise InputError(
                "two systems are compared by the name of each presentation, and some have none",
                where=system.test.file,
                remedy="Give both files a column `video` (and `dataset`, if names repeat).",
            )
    one = a.test.table.drop_nulls("score").with_columns(pl.col("dataset").fill_null(""))
    other = b.test.table.drop_nulls("score").with_columns(pl.col("dataset").fill_null(""))
    columns = other.select(*_KEYS, pl.col("label").alias("label_b"), pl.col("score").alias("score_b"))
    both = one.join(columns, on=_KEYS, how="inner", maintain_order="left")
    odd = both.filter(pl.col("label") != pl.col("label_b"))
    if len(odd):
        raise InputError(f"video {odd['video'][0]!r} has another label here", where=b.test.file)
    if not scored(both).complete:
        raise InputError(
            "the two files share no live or no spoof presentation",
            where=f"{a.test.file}, {b.test.file}",
            remedy="They are joined by the columns dataset and video.",
        )
    return both, len(one) - len(both), len(other) - len(both)


def _counted(table: pl.DataFrame, plan: Bootstrap) -> Counted:
    """With each presentation a cluster where people are not known: drawn one by one, the same for both systems."""
    return replace(resampling.counted(table, plan.threshold), clustered=True)


def _thresholds(system: System, test: Counted, plan: Bootstrap) -> FloatArray:
    dev = None if system.dev is None else _counted(system.dev.table.sort("dataset", "video", "row"), plan)
    return uncertainty.replicated_thresholds(plan, test, dev)


def _titles(both: pl.DataFrame) -> dict[str, str]:
    species = both.filter(pl.col("label") == "spoof")["attack"].unique().sort()
    return _NAMES | {f"species/{name}": f"APCER, {name}" for name in species}


def _values(table: pl.DataFrame, threshold: float) -> dict[str, float]:
    species = rates.attack_cells(table, threshold)
    pooled = rates.accepted_cell(table.filter(pl.col("label") == "spoof"), threshold)["rate"]
    bpcer = rates.rejected_cell(table.filter(pl.col("label") == "live"), threshold)["rate"]
    return {
        "apcer": max(one["rate"] for one in species.values()),
        "apcer_pooled": pooled,
        "bpcer": bpcer,
        "hter": (pooled + bpcer) / 2,
        "auc": float(rates.auc_or_none(scored(table)) or 0),
        **{f"species/{name}": one["rate"] for name, one in species.items()},
    }


def _row(
    name: str,
    title: str,
    values: list[dict[str, float]],
    found: list[dict[str, FloatArray]],
    tests: list[Json],
) -> Json:
    a, b = (value[name] for value in values)
    interval = uncertainty.interval(found[0][name] - found[1][name])
    is_sure = _p_of(name, tests) < _ALPHA if interval is None else interval[0] > 0 or interval[1] < 0
    better = ("a" if (a > b) == (name == "auc") else "b") if is_sure and a != b else "undecided"
    return {"name": title, "a": a, "b": b, "difference": a - b, "interval": interval, "better": better}


def _p_of(name: str, tests: list[Json]) -> float:
    """McNemar's p of the presentations that a number is made of; of HTER and AUC twice the smaller of both classes'."""
    p = {one["what"]: float(one["p"]) for one in tests}
    if name.startswith("species/"):
        return p[name.removeprefix("species/")]
    if name in ("apcer", "apcer_pooled"):
        return p["attacks"]
    return p["bona fide"] if name == "bpcer" else min(1.0, 2 * min(p["bona fide"], p["attacks"]))


def _mcnemar(both: pl.DataFrame, threshold_a: float, threshold_b: float) -> list[Json]:
    is_live = (both["label"] == "live").to_numpy()
    right_a = (both["score"].to_numpy() >= threshold_a) == is_live
    right_b = (both["score_b"].to_numpy() >= threshold_b) == is_live
    kinds = both["attack"].to_numpy()
    groups = {"bona fide": is_live, "attacks": ~is_live}
    groups |= {str(name): ~is_live & (kinds == name) for name in np.unique(kinds[~is_live])}
    return [_pairs(name, right_a[rows], right_b[rows]) for name, rows in groups.items()]


def _pairs(name: str, right_a: np.ndarray, right_b: np.ndarray) -> Json:
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return {
        "what": name,
        "n": int(right_a.size),
        "both_right": int((right_a & right_b).sum()),
        "only_a_right": only_a,
        "only_b_right": only_b,
        "both_wrong": int((~right_a & ~right_b).sum()),
        "p": mcnemar(only_a, only_b),
    }


def _about(system: System) -> Json:
    return {
        "file": system.test.file,
        "threshold": system.threshold,
        "chosen_on": system.chosen_on,
        "oracle": system.oracle,
    }
