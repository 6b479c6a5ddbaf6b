"""What a bundle decides by, fixed on source validation: thresholds with their costs, the unsure band, calibration.

Scores are those of whole presentations, fused as the predictor fuses them, and of no other data.
"""

from functools import partial

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from safas.bundle import Band, Calibration, OperatingPoint, Rate
from safas.errors import MetricError
from safas.metrics import Statistic, apcer, bootstrap_interval, bpcer, eer, roc
from safas.policy import logit
from safas.table import is_live

APCERS = (0.10, 0.05, 0.01)  # largest APCER of the worst species at the further operating points
PASS_RISK, DENY_RISK = 0.05, 0.05  # of an attack that passes, of a live person who is denied


def operating_points(dev: pl.DataFrame) -> tuple[OperatingPoint, ...]:
    """The pooled EER's, then those of APCERS. Columns of `dev`: dataset, domain, subject, label, attack, score."""
    values, live = dev["score"].to_numpy(), is_live(dev)
    domains = ", ".join(dev["domain"].unique().sort())
    at = partial(_point, dev)
    points = [at("eer", eer(scores=values, live=live)[1], f"pooled EER of source validation ({domains})")]
    for most in APCERS:
        rule = f"APCER of the worst species at most {most:.0%} on source validation ({domains})"
        points.append(at(f"apcer{most:.0%}".rstrip("%"), _at_apcer(dev, most), rule))
    return tuple(points)


def band(dev: pl.DataFrame) -> Band:
    """Pass where an attack of the worst species passes at most PASS_RISK; deny where at most DENY_RISK of live are."""
    pass_at = _at_apcer(dev, PASS_RISK)
    live = np.sort(dev.filter(pl.col("label") == "live")["score"].to_numpy())
    deny_below = float(live[int(DENY_RISK * len(live))])
    if deny_below > pass_at:  # any threshold between them keeps both risks
        pass_at = deny_below = (pass_at + deny_below) / 2
    rule = f"source validation: APCER of the worst species at most {PASS_RISK:.0%}, BPCER at most {DENY_RISK:.0%}"
    return Band(pass_at=pass_at, deny_below=deny_below, rule=rule)


def calibration(dev: pl.DataFrame) -> Calibration:
    """Platt's line through the logits of the scores, live and attacks weighing the same.

    Raises MetricError when the score falls with liveness: such a network must not be used.
    """
    fit = LogisticRegression(C=np.inf, class_weight="balanced")
    fit.fit(logit(dev["score"].to_numpy())[:, None], is_live(dev))
    slope = float(fit.coef_[0, 0])
    if not slope > 0:
        raise MetricError("on source validation live faces score below attacks", remedy="Train it better.")
    return Calibration(
        slope=slope,
        intercept=float(fit.intercept_[0]),
        rule="Platt scaling on source validation, classes balanced",
    )


def _at_apcer(dev: pl.DataFrame, most: float) -> float:
    """The lowest threshold at which no species is accepted at a higher rate."""
    live = dev.filter(pl.col("label") == "live")["score"].to_numpy()
    thresholds = []
    for attacks in dev.filter(pl.col("label") == "spoof").partition_by("attack"):
        scores = np.concatenate([live, attacks["score"].to_numpy()])
        points = roc(scores=scores, live=np.arange(len(scores)) < len(live))
        thresholds.append(float(points.threshold[points.far <= most][-1]))
    return max(thresholds)


def _point(dev: pl.DataFrame, name: str, threshold: float, rule: str) -> OperatingPoint:
    attacks = dev.filter(pl.col("label") == "spoof")
    rates = apcer(
        scores=attacks["score"].to_numpy(), species=attacks["attack"].to_numpy(), threshold=threshold
    )
    worst = max(rates, key=lambda species: rates[species])
    shown = dev.filter((pl.col("label") == "live") | (pl.col("attack") == worst))
    return OperatingPoint(
        name=name,
        threshold=threshold,
        apcer=_rate(shown, rates[worst], lambda scores, live: float(np.mean(scores[~live] >= threshold))),
        worst_species=worst,
        bpcer=_rate(
            shown,
            bpcer(scores=dev["score"].to_numpy()[is_live(dev)], threshold=threshold),
            lambda scores, live: float(np.mean(scores[live] < threshold)),
        ),
        chosen_on=rule,
    )


def _rate(rows: pl.DataFrame, value: float, statistic: Statistic) -> Rate:
    people = rows.select(pl.concat_str("dataset", "domain", "subject", separator="\n")).to_series()
    if people.n_unique() < 2:
        return Rate(value=value)
    low, high = bootstrap_interval(
        statistic, scores=rows["score"].to_numpy(), live=is_live(rows), groups=people.to_numpy().astype(str)
    )
    return Rate(value=value, low=low, high=high)
