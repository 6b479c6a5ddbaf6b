"""The report's part on probabilities: maps fitted on dev, what they change on test, and reliability by domain."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from safas.assessment import calibration
from safas.assessment.calibration import BINS, Platt, Temperature, are_probabilities, bin_of
from safas.assessment.intervals import clopper_pearson
from safas.assessment.presentations import Presentations
from safas.assessment.scored import parts
from safas.metrics import FloatArray
from safas.table import is_live

Json = dict[str, Any]
Map = Callable[[FloatArray], FloatArray]


def calibrated(test: pl.DataFrame, by: Presentations | None) -> tuple[Json | None, Json | None]:
    """`calibration` and `reliability` of docs/report.md; rows have a score and a domain.

    The first is None without dev rows of both labels; the second where nothing makes probabilities of the scores.
    """
    test, dev = test.drop_nulls("score"), None if by is None else by.table.drop_nulls("score")
    both = [test] if dev is None else [test, dev]
    plain = all(are_probabilities(rows["score"].to_numpy()) for rows in both if len(rows))
    maps: dict[str, Map] = {"as given": np.asarray} if plain else {}
    if by is None or dev is None or test.is_empty() or dev["label"].n_unique() < 2:
        return None, _reliability(test, "as given", np.asarray) if plain and len(test) else None
    temperature, platt = _fitted(dev, plain)
    maps |= {} if temperature is None else {"temperature": temperature}
    maps["Platt"] = platt
    about = {
        "fitted_on": by.file,
        "live_share_dev": float(is_live(dev).mean()),
        "live_share_test": float(is_live(test).mean()),
        "temperature": None if temperature is None else {"temperature": temperature.temperature},
        "platt": {
            "slope": platt.slope,
            "offset": platt.offset,
            "input": "logit" if platt.on_logit else "score",
        },
        "test": [{"map": name, **_errors(test, to)} for name, to in maps.items()],
    }
    shown = "as given" if plain else "Platt"
    return about, _reliability(test, shown, maps[shown])


def _fitted(dev: pl.DataFrame, plain: bool) -> tuple[Temperature | None, Platt]:
    scores, live = dev["score"].to_numpy(), is_live(dev)
    temperature = calibration.fit_temperature(scores, live) if plain else None
    return temperature, calibration.fit_platt(scores, live, on_logit=plain)


def _errors(rows: pl.DataFrame, to: Map) -> Json:
    domains = {
        name: calibration.errors(to(part["score"].to_numpy()), is_live(part))
        for name, part in parts(rows.drop_nulls("domain"), "domain").items()
    }
    return {**calibration.errors(to(rows["score"].to_numpy()), is_live(rows)), "domains": domains}


def _reliability(rows: pl.DataFrame, name: str, to: Map) -> Json:
    groups = [("all", rows), *parts(rows.drop_nulls("domain"), "domain").items()]
    return {"map": name, "bins": BINS, "groups": [_group(title, part, to) for title, part in groups]}


def _group(name: str, rows: pl.DataFrame, to: Map) -> Json:
    p, live = to(rows["score"].to_numpy()), is_live(rows)
    which = bin_of(p)
    counts = np.bincount(which, minlength=BINS)
    lives = np.bincount(which, live, minlength=BINS).astype(np.int64)
    sums = np.bincount(which, p, minlength=BINS)
    edges = np.linspace(0, 1, BINS + 1)
    bins = [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "n": int(n),
            "mean_score": float(sums[i] / n),
            "live_share": float(lives[i] / n),
            "interval": list(clopper_pearson(int(lives[i]), int(n))),
        }
        for i, n in enumerate(counts)
        if n
    ]
    return {"name": name, "n": len(rows), "ece": calibration.ece(p, live), "bins": bins}
