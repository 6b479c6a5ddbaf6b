"""How long a report on a million scores takes: ours beside the plain way with scikit-learn.

    python benchmarks/assessment.py [ROWS] [REPLICATES] [ROUNDS]

ROWS (default 1,000,000) scores of 2,000 people, bona fide and four species; REPLICATES (default 20) of the bootstrap
over people, few because the plain way recomputes every curve in each; ROUNDS (default 5), the ways in turns; medians
are printed, with the spread. "rates" are APCER by species, BPCER, AUC, EER threshold and curve; "intervals" are those
of APCER, BPCER, HTER and AUC, the threshold derived anew in every replicate. The last line is the whole report with
1,000 replicates, from reading the file to report.json, which has no plain counterpart. Both ways must agree.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from os import getloadavg
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score, roc_curve

from machine import machine
from safas.assessment import rates, resampling, uncertainty
from safas.assessment.assess import EER, Settings, assess
from safas.assessment.curves import curves
from safas.assessment.operating import threshold_of
from safas.assessment.presentations import Inputs, Presentations
from safas.assessment.reading import read
from safas.assessment.scored import below
from safas.assessment.uncertainty import Bootstrap

SPECIES = ("print", "cut", "replay", "mask")
PEOPLE = 2000


def campaign(rows: int, path: Path) -> None:
    """A Parquet of scores: people differ, species overlap with the bona fide."""
    rng = np.random.default_rng(0)
    code, person = rng.integers(0, 1 + len(SPECIES), rows), rng.integers(0, PEOPLE, rows)
    level = 2.5 * (code == 0) - 1 + rng.normal(0, 0.5, PEOPLE)[person]
    table = pl.DataFrame(
        {
            "video": np.arange(rows).astype(str),
            "label": np.where(code == 0, "live", "spoof"),
            "attack": np.array(["none", *SPECIES])[code],
            "subject": person.astype(str),
            "score": 1 / (1 + np.exp(-rng.normal(level, 1.2))),
        }
    )
    table.write_parquet(path)


def plain_rates(scores: np.ndarray, live: np.ndarray, attack: np.ndarray) -> dict[str, float]:
    """As one writes it with scikit-learn."""
    far, tpr, thresholds = roc_curve(live, scores)
    threshold = thresholds[np.argmin(np.abs(far - (1 - tpr)))]
    accepted = scores >= threshold
    apcer = {name: float(accepted[attack == i].mean()) for i, name in enumerate(SPECIES, start=1)}
    bpcer = float(1 - accepted[live].mean())
    hter = (float(accepted[~live].mean()) + bpcer) / 2
    return {"auc": roc_auc_score(live, scores), "apcer": max(apcer.values()), "bpcer": bpcer, "hter": hter}


def plain_intervals(table: pl.DataFrame, replicates: int) -> dict[str, list[float]]:
    """The same again for each draw of people."""
    scores, live = table["score"].to_numpy(), (table["label"] == "live").to_numpy()
    attack, person = codes(table), table["subject"].cast(pl.Int64).to_numpy()
    order = np.argsort(person, kind="stable")
    starts = np.searchsorted(person[order], np.arange(PEOPLE + 1))
    rng, found = np.random.default_rng(0), []
    for _ in range(replicates):
        drawn = rng.integers(0, PEOPLE, PEOPLE)
        rows = np.concatenate([order[starts[p] : starts[p + 1]] for p in drawn])
        found.append(plain_rates(scores[rows], live[rows], attack[rows]))
    return {name: np.quantile([one[name] for one in found], [0.025, 0.975]).tolist() for name in found[0]}


def codes(table: pl.DataFrame) -> np.ndarray:
    """0 for bona fide, 1, 2, ... for the species: whole numbers are compared faster than words."""
    names = ("none", *SPECIES)
    return table["attack"].replace_strict(names, range(len(names))).to_numpy()


def our_rates(test: Presentations) -> dict[str, Any]:
    """Fresh each time: what is sorted once is sorted again."""
    again = Presentations(test.table, test.file, test.sha256, test.rows)
    data = again.scored
    threshold = threshold_of(EER, data)
    curves(data, {"in use": threshold})
    bpcer, pooled = (
        rates.bpcer_of(data, threshold),
        1 - np.searchsorted(data.attacks, threshold) / data.attacks.size,
    )
    apcer = max((a.size - float(below(a, threshold))) / a.size for a in data.species.values())
    return {"auc": rates.auc_or_none(data), "apcer": apcer, "bpcer": bpcer, "hter": (pooled + bpcer) / 2}


def our_intervals(test: Presentations, replicates: int) -> dict[str, Any]:
    """The draws of uncertainty.py, the threshold derived anew on the draw itself as in the plain way."""
    plan = Bootstrap(EER, threshold_of(EER, test.scored), replicates)
    data = resampling.counted(test.table, plan.threshold)
    thresholds = uncertainty.replicated_thresholds(plan, data, None)
    return uncertainty.intervals(uncertainty.replicates(data, thresholds, plan))


def whole_report(path: Path) -> dict[str, Any]:
    """From the file to the JSON, with the 1,000 replicates of the command."""
    report = assess(Inputs(read(path)[0]), Settings())
    json.dumps(report, allow_nan=False)
    return report


def check(plain: dict[str, Any], ours: dict[str, Any], tolerance: float) -> None:
    """Both ways must find the same."""
    for name, value in plain.items():
        if not np.allclose(ours[name], value, atol=tolerance):
            sys.exit(f"{name}: {value} the plain way, {ours[name]} ours")


def main() -> int:
    count, replicates, rounds = (
        int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 1_000_000), (2, 20), (3, 5))
    )
    print(machine("safas", "numpy", "scipy", "polars", "scikit-learn"))
    print(
        f"load when it began: {getloadavg()[0]:.1f}; {count:,} scores of {PEOPLE:,} people, {rounds} rounds"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.parquet"
        campaign(count, path)
        test = read(path)[0]
        table = test.table
        scores, live = table["score"].to_numpy(), (table["label"] == "live").to_numpy()
        attack = codes(table)
        check(plain_rates(scores, live, attack), our_rates(test), 1e-4)
        check(plain_intervals(table, replicates), our_intervals(test, replicates), 0.02)
        ways: dict[str, Callable[[], object]] = {
            "rates, plain": lambda: plain_rates(scores, live, attack),
            "rates, safas": lambda: our_rates(test),
            f"intervals x{replicates}, plain": lambda: plain_intervals(table, replicates),
            f"intervals x{replicates}, safas": lambda: our_intervals(test, replicates),
            "intervals x1000, safas": lambda: our_intervals(test, 1000),
            "report x1000, safas": lambda: whole_report(path),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    for name, each in seconds.items():
        base = medians.get(f"{name.split(',')[0]}, plain")
        told = (
            ""
            if base is None or "plain" in name
            else f", plain takes {base / medians[name]:.1f} times as long"
        )
        print(f"{name:24} {medians[name]:7.2f} s ({min(each):.2f} to {max(each):.2f}){told}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
