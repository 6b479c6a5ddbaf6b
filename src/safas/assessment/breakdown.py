"""The rates of each value of a column apart, and a word where a group is too small to say anything."""

from typing import Any

import polars as pl

from safas.assessment import rates
from safas.assessment.calibration import are_probabilities, ece
from safas.assessment.intervals import SMALL, WIDE, Cell
from safas.assessment.presentations import people_of
from safas.assessment.resampling import Counted, counted
from safas.assessment.scored import parts, scored
from safas.assessment.uncertainty import Bootstrap, group_replicates, interval
from safas.errors import InputError
from safas.metrics import FloatArray
from safas.table import is_live

RULE = f"too small: fewer than {SMALL} presentations, or an interval wider than {100 * WIDE:.0f} points"

Json = dict[str, Any]


def breakdown(
    table: pl.DataFrame, column: str, plan: Bootstrap, whole: Counted | None, thresholds: FloatArray | None
) -> Json:
    """The groups of a column, the largest first, as docs/report.md describes them. Raises InputError without it.

    `whole` is the table counted, and `thresholds` [R] are those of the draws; without them nothing is drawn.
    """
    if column not in table.columns:
        known_ones = ", ".join(name for name in table.columns if name not in ("row", "person", "score"))
        raise InputError("no such column to break down by", where=column, remedy=f"There are: {known_ones}.")
    named = table.with_columns(pl.col(column).cast(pl.String).fill_null("not said").alias("_group"))
    groups = sorted(parts(named, "_group").items(), key=lambda item: -len(item[1]))
    made = [_group(name, part, plan.threshold) for name, part in groups]
    if whole is not None and thresholds is not None and whole.clustered:
        for group, (_, part) in zip(made, groups, strict=True):
            if scored(part).complete and part.drop_nulls("score")["person"].n_unique() > 1:
                inside = counted(part, plan.threshold, among=table)
                _add_bootstrap(group, group_replicates(whole, inside, thresholds, plan))
    return {"rule": RULE, "groups": made}


def _group(name: str, rows: pl.DataFrame, threshold: float) -> Json:
    data = scored(rows)
    attacks, lives = (rows.filter(pl.col("label") == label) for label in ("spoof", "live"))
    species = rates.attack_cells(rows, threshold)
    rates.add_auc(species, data)
    pooled, bpcer = rates.accepted_cell(attacks, threshold), rates.rejected_cell(lives, threshold)
    worst = rates.worst(species)
    both = [pooled["rate"], bpcer["rate"]]
    return {
        "name": name,
        "live": len(lives),
        "attacks": len(attacks),
        "subjects": people_of(rows),
        "bpcer": bpcer,
        "pooled": pooled,
        "species": species,
        "worst_species": worst,
        "apcer": None if worst is None else species[worst]["rate"],
        "hter": None if None in both else sum(both) / 2,
        "auc": rates.auc_or_none(data),
        "ece": _ece(rows),
        "too_small": any(one["warning"] for one in (bpcer, pooled)),
    }


def _add_bootstrap(group: Json, found: dict[str, FloatArray]) -> None:
    species: dict[str, Cell] = {f"species/{kind}": one for kind, one in group["species"].items()}
    for name, one in {"apcer_pooled": group["pooled"], "bpcer": group["bpcer"], **species}.items():
        if name in found:
            one["bootstrap"] = interval(found[name])


def _ece(rows: pl.DataFrame) -> float | None:
    answered = rows.drop_nulls("score")
    scores = answered["score"].to_numpy()
    return ece(scores, is_live(answered)) if are_probabilities(scores) else None
