"""The rates at one threshold by the names of ISO/IEC 30107-3: APCER by species, BPCER, and what was not answered.

A presentation without a score got no response: it counts in APNRR or BPNRR and in neither APCER nor BPCER, which
are shares of the presentations that were answered.
"""

from typing import Any

import polars as pl

from safas import metrics
from safas.assessment.intervals import Cell, cell
from safas.assessment.operating import OperatingPoint, threshold_of
from safas.assessment.scored import Scored, below, parts

BPCER_AT = (0.1, 0.05, 0.01)  # BPCER10, BPCER20, BPCER100

Json = dict[str, Any]


def attack_cells(table: pl.DataFrame, threshold: float) -> dict[str, Cell]:
    """APCER of each species (names sorted) as a cell with what docs/report.md adds to it."""
    attacks = parts(table.filter(pl.col("label") == "spoof"), "attack")
    return {name: _species(part, threshold) for name, part in attacks.items()}


def _species(part: pl.DataFrame, threshold: float) -> Cell:
    made = accepted_cell(part, threshold)
    missing = part["score"].null_count()
    return {
        **made,
        "apcer": made["rate"],
        "presented": len(part),
        "nonresponses": missing,
        "apnrr": cell(missing, len(part), subjects=subjects(part)),
        "auc": None,
    }


def add_auc(species: dict[str, Cell], data: Scored) -> None:
    """Write into each species' cell the AUC of its attacks against all bona fide."""
    for name, attacks in data.species.items():
        species[name]["auc"] = auc_or_none(Scored(data.live, {name: attacks}))


def accepted_cell(rows: pl.DataFrame, threshold: float) -> Cell:
    """Share of the answered rows that are accepted: of attacks the APCER."""
    answered = rows.drop_nulls("score")
    return cell(int((answered["score"] >= threshold).sum()), len(answered), subjects=subjects(answered))


def rejected_cell(rows: pl.DataFrame, threshold: float) -> Cell:
    """Share of the answered rows that are rejected: of bona fide the BPCER."""
    answered = rows.drop_nulls("score")
    return cell(int((answered["score"] < threshold).sum()), len(answered), subjects=subjects(answered))


def worst(species: dict[str, Cell]) -> str | None:
    """The species with the highest APCER, of equals the one with fewer presentations; None without an attack."""
    seen = {name: one for name, one in species.items() if one["n"]}
    return min(seen, key=lambda name: (-seen[name]["rate"], seen[name]["n"]), default=None)


def nonresponse(table: pl.DataFrame, threshold: float) -> Json:
    """APNRR and BPNRR as cells, the reasons where a column `reason` gives them, and who is turned away."""
    attacks, lives = (table.filter(pl.col("label") == label) for label in ("spoof", "live"))
    missing = table.filter(pl.col("score").is_null())
    reasons = (
        missing["reason"].cast(pl.String).fill_null("not said")
        if "reason" in table.columns
        else pl.Series(dtype=pl.String)
    )
    counts = reasons.value_counts(name="n").sort("n", descending=True).rows() if len(reasons) else []
    turned = rejected_cell(lives, threshold)["errors"] + lives["score"].null_count()
    return {
        "attacks": cell(attacks["score"].null_count(), len(attacks), subjects=subjects(attacks)),
        "bona_fide": cell(lives["score"].null_count(), len(lives), subjects=subjects(lives)),
        "turned_away": cell(turned, len(lives), subjects=subjects(lives)),
        "reasons": dict(counts),
    }


def bpcer_at_apcer(data: Scored) -> dict[str, float | None]:
    """{"0.1", "0.05", "0.01"}: BPCER10, 20 and 100, the worst species' APCER held, read off these very scores."""
    if not data.complete:
        return {f"{rate:g}": None for rate in BPCER_AT}
    points = {rate: threshold_of(OperatingPoint("apcer", rate), data) for rate in BPCER_AT}
    return {f"{rate:g}": bpcer_of(data, threshold) for rate, threshold in points.items()}


def bpcer_of(data: Scored, threshold: float) -> float:
    """Share of the bona fide rejected."""
    return float(below(data.live, threshold)) / data.live.size


def auc_or_none(data: Scored) -> float | None:
    """AUC, None when a class is absent."""
    scores, live = data.both
    return metrics.auc(scores=scores, live=live) if data.complete else None


def subjects(rows: pl.DataFrame) -> int | None:
    """How many people, None where not all are known."""
    people = rows["person"]
    return people.n_unique() if len(people) and not people.null_count() else None
