"""What a bundle decides by, fixed on source validation: thresholds with their costs, the unsure band, calibration.

Scores are those of whole presentations, fused as the predictor fuses them, and of no other data.
"""

from typing import Any

import numpy as np
import polars as pl

from safas.assessment.calibration import fit_platt
from safas.assessment.intervals import Cell
from safas.assessment.operating import OperatingPoint as Asked
from safas.assessment.operating import threshold_of
from safas.assessment.presentations import Presentations
from safas.assessment.rates import attack_cells, rejected_cell, worst
from safas.assessment.risk import Risks, decision
from safas.assessment.scored import scored
from safas.bundle import Band, Calibration, OperatingPoint, Rate
from safas.errors import MetricError
from safas.table import PERSON, is_live

POINTS = {
    "eer": Asked("eer"),
    "apcer10": Asked("apcer", 0.10),
    "apcer5": Asked("apcer", 0.05),
    "apcer1": Asked("apcer", 0.01),
}


def presentations(videos: pl.DataFrame, scores: np.ndarray) -> pl.DataFrame:
    """Sample rows with their scores [N] and the column `person`, unique over data sets and domains."""
    person = pl.concat_str(PERSON, separator="\n")
    return videos.with_columns(person.alias("person"), pl.Series("score", scores, dtype=pl.Float64))


def operating_points(dev: pl.DataFrame) -> tuple[OperatingPoint, ...]:
    """The pooled EER's, then those with the APCER of the worst species at most 10, 5 and 1 %."""
    data, domains = scored(dev), ", ".join(dev["domain"].unique().sort())
    return tuple(
        _point(dev, name, threshold_of(asked, data), f"{asked.words} on source validation ({domains})")
        for name, asked in POINTS.items()
    )


def band(dev: pl.DataFrame, risks: Risks) -> Band:
    """Two thresholds that keep both risks: with the stated confidence where there are enough presentations.

    Where there are not, the risk holds for what was seen on source validation, and the band says so.
    """
    made = decision(risks, Presentations(dev, "source validation", "", len(dev)), dev)
    data = scored(dev)
    seen = {
        "pass": threshold_of(Asked("apcer", risks.apcer), data),
        "deny": threshold_of(Asked("bpcer", risks.bpcer), data),
    }
    passes, denies = (made[side]["threshold"] for side in ("pass", "deny"))
    passes, denies = seen["pass"] if passes is None else passes, seen["deny"] if denies is None else denies
    if passes < denies:  # any threshold between the two keeps both risks
        passes = denies = passes / 2 + denies / 2
    return Band(
        pass_at=passes,
        deny_below=denies,
        pass_risk=risks.apcer,
        deny_risk=risks.bpcer,
        confidence=risks.confidence,
        pass_guaranteed=made["pass"]["supported"],
        deny_guaranteed=made["deny"]["supported"],
        statements=(
            _words(
                made["pass"], passes, f"APCER <= {risks.apcer:.0%} for the worst species", "of each species"
            ),
            _words(made["deny"], denies, f"BPCER <= {risks.bpcer:.0%}", "bona fide"),
            made["assumptions"],
        ),
    )


def calibration(dev: pl.DataFrame) -> Calibration:
    """Platt's line through the logits of the scores, moved to where live faces and attacks are equally many.

    Raises MetricError when the score falls with liveness: such a network must not be used.
    """
    live = is_live(dev)
    fit = fit_platt(dev["score"].to_numpy(), live, on_logit=True)
    if not fit.slope > 0:
        raise MetricError("on source validation live faces score below attacks", remedy="Train it better.")
    offset = fit.offset - float(np.log(live.sum() / (~live).sum()))
    rule = "Platt scaling on source validation, for equally many live faces and attacks"
    return Calibration(slope=fit.slope, offset=offset, rule=rule)


def _point(dev: pl.DataFrame, name: str, threshold: float, rule: str) -> OperatingPoint:
    species = attack_cells(dev, threshold)
    return OperatingPoint(
        name=name,
        threshold=threshold,
        apcer={kind: _rate(cell) for kind, cell in species.items()},
        worst_species=worst(species) or "none",
        bpcer=_rate(rejected_cell(dev.filter(pl.col("label") == "live"), threshold)),
        chosen_on=rule,
    )


def _rate(cell: Cell) -> Rate:
    low, high = cell["interval"]
    return Rate(
        value=cell["rate"], low=low, high=high, errors=cell["errors"], n=cell["n"], people=cell["subjects"]
    )


def _words(side: dict[str, Any], threshold: float, claim: str, of: str) -> str:
    """What holds of the threshold in use, which may be a stricter one than the side's own."""
    if side["supported"]:
        return str(side["statement"]).replace(f"{side['threshold']:.4g}", f"{threshold:.4g}", 1)
    return f"{claim}: as seen on source validation, not guaranteed. That would need at least {side['needed']} {of}."
